"""Stock levels: pieces on hand and on order, per store and item. A level never gives way to an older one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import field
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, delete, func, insert, select

from shopkeeper.core.clock import SECOND, Clock, micros, moment
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Record, Rejection, StockLevel
from shopkeeper.stores import schema
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.put_many import split_checked
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

_C = schema.stock_levels.c
_FUTURE_LIMIT = 300 * SECOND
_CHUNK = 500


class Stocked(Record, kw_only=True):
    updated: int
    rejected: list[Rejection] = field(default_factory=list)


class Counted(NamedTuple):
    """What is on hand of an item in all stores together; `as_of` us, the newest of its levels."""

    item_row: int
    on_hand: float
    as_of: int


Listener: TypeAlias = Callable[[list[int]], None]
Levels: TypeAlias = tuple[list[StockLevel], str | None, int]


class StockStore:
    """Levels of stores and items that exist."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._vocabularies = vocabularies
        self._clock = clock
        self._touched: list[int] = []
        self._listeners: tuple[Listener, ...] = ()
        self._on_hand = np.empty(0, dtype=np.float32)
        self._sum()
        db.writer.join(self)  # after the vocabularies: their new items get their places

    def get(self, store_id: str, item_id: str) -> StockLevel:
        """Raises NotFound when nobody has told the level."""
        stores, items = self._vocabularies.stores, self._vocabularies.items
        query = select(schema.stock_levels).where(
            _C.store_row == stores.row(store_id), _C.item_row == items.row(item_id)
        )
        with self._db.read() as connection:
            found = connection.execute(query).first()
        if found is None:
            raise NotFound(f"no stock level of {item_id!r} in store {store_id!r}", code="unknown_stock")
        return self._level(found)

    def list(
        self, store_id: str | None = None, item_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Levels:
        """`(levels, next_cursor, total)` in order of the rows of store and item."""
        matching = select(schema.stock_levels)
        for column, vocabulary, wanted in (
            (_C.store_row, self._vocabularies.stores, store_id),
            (_C.item_row, self._vocabularies.items, item_id),
        ):
            if wanted is not None:
                row = vocabulary.row(wanted)
                matching = matching.where(column == (-1 if row is None else row))
        page = matching.order_by(_C.store_row, _C.item_row).limit(limit + 1)
        if (after := _place(cursor)) is not None:
            store, item = after
            page = page.where((_C.store_row > store) | ((_C.store_row == store) & (_C.item_row > item)))
        with self._db.read() as connection:
            rows = connection.execute(page).all()
            total = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
        more = cursor_after(f"{rows[limit - 1].store_row}:{rows[limit - 1].item_row}") if len(rows) > limit else None
        return [self._level(row) for row in rows[:limit]], more, total

    def put_many(self, levels: Sequence[StockLevel]) -> Future[Stocked]:
        """Stores levels; rejected alone: unknown store or item, bad numbers, older than what is stored."""
        indexed = [*enumerate(levels)]
        good, rejected = split_checked(indexed, lambda pair: self._check(pair[1]))

        def write(connection: Connection) -> Stocked:
            done = self.put_in(connection, good)
            found = sorted([*rejected, *done.rejected], key=lambda rejection: rejection.index)
            return Stocked(updated=done.updated, rejected=found)

        return self._db.writer.submit(write)

    def put_in(self, connection: Connection, levels: Sequence[tuple[int, StockLevel]]) -> Stocked:
        """`put_many` of checked (index, level) pairs inside a write of the caller's; rows are told by index."""
        updated = 0
        rejected = []
        for index, level in levels:
            reason = self._put(connection, level)
            if reason is None:
                updated += 1
            else:
                rejected.append(Rejection(index=index, reason=reason))
        return Stocked(updated=updated, rejected=rejected)

    def on_hand(self) -> NDArray[np.float32]:
        """float32 (n,) over item rows: pieces on hand in all stores together, NaN where nobody has told.

        From memory, on any thread; a change is in it before its future is done. An array is never changed afterwards.
        """
        return self._on_hand

    def counted(self, item_rows: Sequence[int]) -> Sequence[Counted]:
        """Of those items of which somebody counted every level there is."""
        query = (
            select(_C.item_row, func.sum(_C.on_hand), func.max(_C.as_of))
            .group_by(_C.item_row)
            .having(func.max(_C.simulated).is_(False))
        )
        found: list[Any] = []
        with self._db.read() as connection:
            for start in range(0, len(item_rows), _CHUNK):
                found += connection.execute(query.where(_C.item_row.in_(item_rows[start : start + _CHUNK])))
        return [Counted(*row) for row in found]

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return len(self._touched)

    def undo(self, mark: int) -> None:
        del self._touched[mark:]

    def publish(self) -> None:
        if self._touched or len(self._on_hand) < len(self._vocabularies.items):
            touched = sorted(set(self._touched))
            self._sum(touched)
            self._touched.clear()
            if touched:
                for listener in self._listeners:
                    listener(touched)

    def subscribe(self, listener: Listener) -> None:
        """`listener(item rows)` after levels were put, on the writer's thread; it must not wait."""
        self._listeners = (*self._listeners, listener)

    def _sum(self, items: Sequence[int] | None = None) -> None:
        """Adds up the levels of some items, None: of all."""
        query = select(_C.item_row, func.sum(_C.on_hand)).group_by(_C.item_row)
        found: list[Any] = []
        with self._db.read() as connection:
            if items is None:
                found += connection.execute(query)
            for start in range(0, len(items or ()), _CHUNK):
                found += connection.execute(query.where(_C.item_row.in_((items or ())[start : start + _CHUNK])))
        totals = np.full(max(len(self._vocabularies.items), len(self._on_hand)), np.nan, dtype=np.float32)
        totals[: len(self._on_hand)] = self._on_hand
        for row, total in found:
            totals[row] = total
        self._on_hand = totals

    def _put(self, connection: Connection, level: StockLevel) -> str | None:
        store = self._vocabularies.stores.staged_row(level.store_id)
        item = self._vocabularies.items.staged_row(level.item_id)
        if store is None:
            return f"no store {level.store_id!r}; create it first"
        if item is None:
            return f"no item {level.item_id!r}; create it first"
        here = (_C.store_row == store) & (_C.item_row == item)
        as_of = self._clock.now() if level.as_of is None else micros(level.as_of)
        before = connection.execute(select(_C.as_of).where(here)).scalar()
        if before is not None and as_of < before:
            return f"as_of is older than the stored level of {moment(before).isoformat()}"
        connection.execute(delete(schema.stock_levels).where(here))
        facts = msgspec.structs.asdict(level)
        values = {name: facts[name] for name in ("on_hand", "on_order", "lead_time_days", "simulated")}
        connection.execute(insert(schema.stock_levels).values(store_row=store, item_row=item, as_of=as_of, **values))
        self._touched.append(item)
        return None

    def _check(self, level: StockLevel) -> None:
        for name in ("on_hand", "on_order"):
            if not (math.isfinite(getattr(level, name)) and 0 <= getattr(level, name) <= 1e12):
                raise Invalid(f"{name} must be a number of pieces from 0 to 1e12", field=name)
        if not 0 <= level.lead_time_days <= 365:
            raise Invalid("lead_time_days must be from 0 to 365", field="lead_time_days")
        if level.as_of is not None and micros(level.as_of) > self._clock.wall() + _FUTURE_LIMIT:
            raise Invalid("as_of lies in the future; check the sender's clock", field="as_of")

    def _level(self, row: Row[Any]) -> StockLevel:
        return StockLevel(
            store_id=self._vocabularies.stores.id(row.store_row),
            item_id=self._vocabularies.items.id(row.item_row),
            on_hand=row.on_hand,
            on_order=row.on_order,
            lead_time_days=row.lead_time_days,
            as_of=moment(row.as_of),
            simulated=row.simulated,
        )


def _place(cursor: str | None) -> tuple[int, int] | None:
    key = key_of(cursor)
    if key is None:
        return None
    store, _, item = key.partition(":")
    if not (store.isdecimal() and item.isdecimal()):
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor")
    return int(store), int(item)
