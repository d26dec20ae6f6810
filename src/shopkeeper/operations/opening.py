"""Opening the bundled shop for the first time: catalogue, customers, history, stock, and what the stream will release.

Every step can be repeated, the history is committed chunk by chunk with its position, and the last write says `done`: a
process that is killed anywhere opens the same shop at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.days import date_of, day_of, days_of
from shopkeeper.core.protocols import Report, silent
from shopkeeper.core.records import Event, Item, Record, StockLevel, Store, User
from shopkeeper.operations.import_rows import Targets
from shopkeeper.sources import stock_simulation
from shopkeeper.sources.retail import CURRENCY, STORE_ID, ZONE, RetailData, RetailShop, weeks_until
from shopkeeper.stores import withheld
from shopkeeper.stores.filling import fill_items, fill_levels, fill_users
from shopkeeper.stores.meta import Meta, set_in
from shopkeeper.stores.rows import RowGiver

if TYPE_CHECKING:
    import polars as pl

CHUNK_ROWS = 50_000
_NEXT = "opening.next"
_DONE = "opening.done"


class Opened(Record, kw_only=True):
    """What the shop holds after opening. Times: `opens_at` microseconds, where the shop clock begins."""

    events: int
    withheld: int
    users: int
    items: int
    opens_at: int
    shift_weeks: int


def is_open(meta: Meta) -> bool:
    """The shop was opened to the end."""
    return meta.get(_DONE) is not None


def as_opened(meta: Meta) -> Opened | None:
    """What a shop that is open held after its opening."""
    done = meta.get(_DONE)
    return None if done is None else msgspec.json.decode(done, type=Opened)


def mark_open(connection: Connection, opened: Opened) -> None:
    """Inside the last write of an opening."""
    set_in(connection, _DONE, msgspec.json.encode(opened).decode())


def open_retail(to: Targets, meta: Meta, clock: Clock, report: Report = silent) -> Opened:
    """Imports the bundled shop, or the rest of it. A shop that is open stays as it is. About half a million rows."""
    if (done := as_opened(meta)) is not None:
        return done
    zone = ZoneInfo(ZONE)
    stored = meta.get("shop.shift_weeks")
    yesterday = date_of(day_of(clock.wall(), zone)) - timedelta(days=1)
    data = RetailShop().load(weeks_until(yesterday) if stored is None else int(stored))
    opened = Opened(
        events=data.kept.height,
        withheld=data.withheld.height,
        users=data.users.height,
        items=data.items.height,
        opens_at=data.opens_at,
        shift_weeks=data.shift_weeks,
    )
    of = data.kept.height + data.withheld.height
    report(0, of, message="products and customers")
    give = RowGiver(to.vocabularies, clock)
    to.db.writer.run(lambda connection: _describe(connection, give, data))
    to.shops.put(Store(store_id=STORE_ID, name="Online shop", location="United Kingdom", type="online")).result()
    _store_history(to, data.kept, int(meta.get(_NEXT) or 0), of, report)
    levels = [*_levels(data, zone)]
    to.db.writer.run(lambda connection: _close(connection, give, levels, data, opened))
    report(of, of, message="open")
    return opened


def _describe(connection: Connection, give: RowGiver, data: RetailData) -> None:
    """What the shop knows before its first order."""
    fill_items(connection, give, [*_items(data)])
    fill_users(connection, give, [*_users(data)])
    facts = {
        "shop.kind": "retail",
        "shop.timezone": ZONE,
        "shop.currency": CURRENCY,
        "shop.shift_weeks": str(data.shift_weeks),
        "clock.position": str(data.opens_at),
        "live.released": "0",
    }
    for key, value in facts.items():
        set_in(connection, key, value)


def _store_history(to: Targets, kept: pl.DataFrame, start: int, of: int, report: Report) -> None:
    for first in range(start, kept.height, CHUNK_ROWS):
        rows = _rows(kept[first : first + CHUNK_ROWS])
        end = first + len(rows)

        def write(connection: Connection, rows: list[Any] = rows, end: int = end) -> None:
            to.log.insert_rows(connection, rows)
            set_in(connection, _NEXT, str(end))

        to.db.writer.run(write)
        report(end, of, message="order history")


def _rows(lines: pl.DataFrame) -> list[Any]:
    """Lines as bulk rows of the event log."""
    import polars as pl

    text = pl.lit(None, dtype=pl.String)
    return lines.select(
        "event_id", "user_id", text.alias("anonymous_id"), "event_type", pl.lit("product").alias("target_kind"),
        "item_id", pl.lit(STORE_ID).alias("store_id"), "time", "quantity", "unit_price", "value",
        text.alias("promotion"),
        pl.concat_str(pl.lit('{"order_id":"'), "invoice", pl.lit('"}')).alias("context"),
    ).rows()  # fmt: skip


def _items(data: RetailData) -> Iterator[Item]:
    for row in data.items.iter_rows(named=True):
        first = row["first_sold"]
        yield Item(
            item_id=row["item_id"],
            name=row["name"],
            category=row["category"],
            price=row["price"],
            active=row["active"],
            attributes={} if first is None else {"first_sold": first.isoformat()},
        )


def _users(data: RetailData) -> Iterator[User]:
    for row in data.users.iter_rows(named=True):
        attributes = {"country": row["country"], "first_order": row["first_order"].isoformat()}
        yield User(user_id=row["user_id"], attributes=attributes)


def _levels(data: RetailData, zone: ZoneInfo) -> Iterator[StockLevel]:
    """Simulated levels of the products that are for sale."""
    ids = data.items.filter(data.items["active"])["item_id"].to_list()
    demand, first_day = _daily_demand(data, ids, zone)
    yield from simulated_levels(ids, demand, first_day, data.opens_at)


def simulated_levels(
    ids: list[str], demand: NDArray[np.float64], first_day: int, opens_at: int
) -> Iterator[StockLevel]:
    """Levels of products of which `demand` (len(ids), days) pieces were ordered from local day `first_day` on."""
    levels = stock_simulation.simulate(demand, first_weekday=date_of(first_day).weekday())
    for id, on_hand, on_order in zip(ids, levels.on_hand, levels.on_order, strict=True):
        yield StockLevel(
            store_id=STORE_ID,
            item_id=id,
            on_hand=float(on_hand),
            on_order=float(on_order),
            lead_time_days=float(stock_simulation.LEAD_DAYS),
            as_of=moment(opens_at),
            simulated=True,
        )


def _daily_demand(data: RetailData, ids: list[str], zone: ZoneInfo) -> tuple[NDArray[np.float64], int]:
    """Pieces ordered (len(ids), days) on the last days before the opening, and the first of those days."""
    days = stock_simulation.WINDOW_DAYS + stock_simulation.RUN_DAYS
    first_day = day_of(data.opens_at, zone) - days
    sold = data.kept.filter((data.kept["event_type"] == "order") & data.kept["item_id"].is_in(ids))
    day = days_of(sold["time"].to_numpy(), zone) - first_day
    place = {id: at for at, id in enumerate(ids)}
    item = np.array([place[id] for id in sold["item_id"]], dtype=np.int64)
    demand = np.zeros((len(ids), days))
    recent = day >= 0
    np.add.at(demand, (item[recent], day[recent]), sold["quantity"].to_numpy()[recent])
    return demand, first_day


def _stream(data: RetailData) -> Iterator[Event]:
    """The withheld lines as events. The first of a new customer carries the country, for the record made then."""
    known = set(data.users["user_id"])
    for row in data.withheld.iter_rows(named=True):
        context = {"order_id": row["invoice"]}
        if row["user_id"] is not None and row["user_id"] not in known:
            known.add(row["user_id"])
            context["country"] = row["country"]
        yield Event(
            event_id=row["event_id"],
            event_type=row["event_type"],
            user_id=row["user_id"],
            item_id=row["item_id"],
            target_id=row["item_id"],
            store_id=STORE_ID,
            time=moment(row["time"]),
            quantity=row["quantity"],
            unit_price=row["unit_price"],
            value=row["value"],
            context=context,
        )


def _close(connection: Connection, give: RowGiver, levels: list[StockLevel], data: RetailData, opened: Opened) -> None:
    """The end of the opening, whole or not at all."""
    fill_levels(connection, give, levels)
    withheld.replace_all(connection, [*_stream(data)])
    mark_open(connection, opened)
