"""Committing a chunk of an import: its rows and its position, so that a killed import goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import NotFound, ShopkeeperError
from shopkeeper.core.records import CalendarEntry, Item, Rejection, StockLevel, Store, User
from shopkeeper.sources.checking import EVENT_COLUMNS
from shopkeeper.sources.importing import Chunk, rejects_file, write_rejects
from shopkeeper.sources.source import Broken
from shopkeeper.stores import imports as table
from shopkeeper.stores.calendar import CalendarStore
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.day_facts import ALL, DayFact, DayFactStore, check_fact, plain_fact
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.shops import ShopStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Targets:
    """Where imported rows go."""

    db: Database
    log: EventLog
    vocabularies: Vocabularies
    users: UserStore
    items: ItemStore
    shops: ShopStore
    stock: StockStore
    calendar: CalendarStore
    days: DayFactStore


def targets(db: Database, clock: Clock) -> Targets:
    """Of a database that nobody else has open."""
    names = Vocabularies.load(db)
    return Targets(
        db=db,
        log=EventLog(db, names, clock),
        vocabularies=names,
        users=UserStore(db, names, clock),
        items=ItemStore(db, names, clock, Catalog(db, names)),
        shops=ShopStore(db, names, clock),
        stock=StockStore(db, names, clock),
        calendar=CalendarStore(db, clock),
        days=DayFactStore(db),
    )


@dataclass(frozen=True)
class Stored:
    """What became of the good rows of a chunk. `refused`: (row number, reason)."""

    accepted: int
    duplicates: int
    refused: list[tuple[int, str]]


def commit_chunk(to: Targets, import_id: str, folder: Path, chunk: Chunk) -> None:
    """Stores a chunk once: one that the import has passed already changes nothing. Never on the writer's thread.

    Events and the position move in one transaction. Users, items and levels are replaced by equal ones when a chunk is
    told again after a kill between the two.
    """
    import polars as pl

    with to.db.read() as connection:
        found = table.get(connection, import_id)
    good = folder / chunk.good
    if chunk.next_row <= found.next_row:
        good.unlink(missing_ok=True)
        return
    frame = pl.read_parquet(good)
    if "event_id" in frame.columns:
        _store_events(to, import_id, chunk, frame)
    else:
        stored = _STORE[found.kind](to, frame)
        late = rejects_file(folder, chunk.first_row, "-late")
        write_rejects(late, [Broken(row, reason, ()) for row, reason in stored.refused])
        to.db.writer.run(lambda connection: _advance(connection, import_id, chunk, stored))
    good.unlink(missing_ok=True)


def _store_events(to: Targets, import_id: str, chunk: Chunk, frame: pl.DataFrame) -> None:
    new = _new_items(to, frame)
    if new:
        to.items.put_many(new).result()
    rows: list[Any] = frame.select(EVENT_COLUMNS).rows()

    def write(connection: Connection) -> None:
        appended = to.log.insert_rows(connection, rows) if rows else None
        accepted = appended.accepted if appended else 0
        _advance(connection, import_id, chunk, Stored(accepted, len(rows) - accepted, []))

    to.db.writer.run(write)


def _advance(connection: Connection, import_id: str, chunk: Chunk, stored: Stored) -> None:
    table.advance(
        connection,
        import_id,
        chunk.next_row,
        accepted=stored.accepted,
        duplicates=stored.duplicates,
        rejected=chunk.rejected + len(stored.refused),
    )


def _new_items(to: Targets, frame: pl.DataFrame) -> list[Item]:
    """Products that the shop does not know yet, with what the order lines say of them: name, category, median price."""
    import polars as pl

    products = frame.filter(pl.col("target_kind") == "product")
    ids = products["target_id"].unique(maintain_order=True)
    unknown = ids.filter(pl.Series(to.vocabularies.items.rows(ids.to_list()) < 0, dtype=pl.Boolean))
    facts = (
        products.filter(pl.col("target_id").is_in(unknown.implode()))
        .group_by("target_id", maintain_order=True)
        .agg(
            pl.col("item_name").drop_nulls().mode().sort().first(),
            pl.col("category").drop_nulls().mode().sort().first(),
            pl.col("unit_price").median().round(2),
        )
    )
    return [
        Item(item_id=id, name=name or id, category=category or None, price=price)
        for id, name, category, price in facts.iter_rows()
    ]


def _store_users(to: Targets, frame: pl.DataFrame) -> Stored:
    users = [
        User(user_id=id, attributes=msgspec.json.decode(text)) for id, text in _columns(frame, "user_id", "attributes")
    ]
    return _put(frame, users, lambda user: _known(to.users.get, user.user_id, user), to.users.put_many)


def _store_items(to: Targets, frame: pl.DataFrame) -> Stored:
    names = ("item_id", "name", "kind", "category", "price", "active", "attributes")
    items = [
        Item(item_id=id, name=name, kind=kind, category=group, price=price, active=active, attributes=_object(text))
        for id, name, kind, group, price, active, text in _columns(frame, *names)
    ]
    return _put(frame, items, lambda item: _known(to.items.get, item.item_id, item), to.items.put_many)


def _store_stock(to: Targets, frame: pl.DataFrame) -> Stored:
    """Stores and items that a level names are made when the shop does not know them."""
    levels = [
        StockLevel(
            store_id=store, item_id=id, on_hand=on_hand, on_order=on_order, lead_time_days=days, as_of=moment(us)
        )
        for store, id, on_hand, on_order, days, us in _columns(
            frame, "store_id", "item_id", "on_hand", "on_order", "lead_time_days", "as_of"
        )
    ]
    names = to.vocabularies
    for store in dict.fromkeys(level.store_id for level in levels):
        if names.stores.row(store) is None:
            to.shops.put(Store(store_id=store)).result()
    unknown = [id for id in dict.fromkeys(level.item_id for level in levels) if names.items.row(id) is None]
    if unknown:
        to.items.put_many([Item(item_id=id, name=id) for id in unknown]).result()
    stored = to.stock.put_many(levels).result()
    return Stored(stored.updated, 0, _by_row(frame["row"].to_list(), stored.rejected))


def _store_days(to: Targets, frame: pl.DataFrame) -> Stored:
    """Numbers of days. Rows of stores and items that the shop does not know are refused."""
    facts: list[DayFact] = []
    refused: list[tuple[int, str]] = []
    accepted = 0
    for row, day, store, item, text in _columns(frame, "row", "day", "store_id", "item_id", "facts"):
        try:
            at = _row(to.vocabularies.stores, store, "store"), _row(to.vocabularies.items, item, "item")
            found = [DayFact(*at, day, check_fact(plain_fact(name)), float(v)) for name, v in _object(text).items()]
        except ShopkeeperError as error:
            refused.append((row, str(error)))
            continue
        facts += found
        accepted += 1
    to.days.put_many(facts).result()
    return Stored(accepted, 0, refused)


def _store_calendar(to: Targets, frame: pl.DataFrame) -> Stored:
    """Entries; one that is there already counts as a duplicate."""
    names = ("kind", "name", "from", "to", "item_id", "store_id", "discount")
    entries = [
        CalendarEntry(
            kind=kind,
            name=name,
            from_=date_of(first).isoformat(),
            to=date_of(last).isoformat(),
            item_ids=None if item is None else [item],
            store_ids=None if store is None else [store],
            discount=discount,
        )
        for kind, name, first, last, item, store, discount in _columns(frame, *names)
    ]
    added = to.calendar.put_many(entries, by="import").result()
    return Stored(added, len(entries) - added, [])


_STORE: dict[str, Callable[[Targets, pl.DataFrame], Stored]] = {
    "users": _store_users,
    "items": _store_items,
    "stock": _store_stock,
    "days": _store_days,
    "calendar": _store_calendar,
}


def _put(frame: pl.DataFrame, records: list[Any], known: Callable[[Any], bool], put_many: Callable[..., Any]) -> Stored:
    """Puts the records that are new or changed; the others count as duplicates."""
    numbered = [(row, record) for row, record in zip(frame["row"], records, strict=True) if not known(record)]
    stored = put_many([record for _, record in numbered]).result()
    refused = _by_row([row for row, _ in numbered], stored.rejected)
    return Stored(len(numbered) - len(refused), len(records) - len(numbered), refused)


def _known(get: Callable[[str], Any], id: str, record: Any) -> bool:
    """The shop holds this very record."""
    try:
        stored = get(id)
    except NotFound:
        return False
    times = {"created_at": None, "updated_at": None}
    return bool(msgspec.structs.replace(stored, **times) == record)


def _by_row(rows: list[int], rejected: Iterable[Rejection]) -> list[tuple[int, str]]:
    return [(rows[one.index], one.reason) for one in rejected]


def _columns(frame: pl.DataFrame, *names: str) -> Iterable[tuple[Any, ...]]:
    return frame.select(names).iter_rows()


def _row(vocabulary: Vocabulary, id: str | None, what: str) -> int:
    """Raises NotFound."""
    row = ALL if id is None else vocabulary.row(id)
    if row is None:
        raise NotFound(f"no {what} {id!r}; create it first")
    return row


def _object(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
