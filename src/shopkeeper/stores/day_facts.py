"""Numbers of days: temperature, fuel price, what was out of stock; of a store or all, of an item or all.

They are read whole from memory, a column of days a fact: a forecast asks for them on every request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select

from shopkeeper.core.errors import Invalid
from shopkeeper.stores.schema import day_facts as table
from shopkeeper.stores.sql import Database

ALL = -1
"""The row that stands for every store, or every item."""
OUT_OF_STOCK = "out_of_stock"
"""1 on a day on which an item could not be bought: what was sold then says nothing about demand."""
IN_STOCK = "in_stock"
"""A change: 0 on the day on which an item ran out, 1 on the day on which it was there again."""
_C = table.c
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KEY = ("store_row", "item_row", "day", "fact")
_PLACE = [_C[name] == bindparam(f"at_{name}") for name in _KEY]


class DayFact(NamedTuple):
    """`day` since 1970, local; rows of the store and the item, ALL for every one."""

    store_row: int
    item_row: int
    day: int
    fact: str
    value: float


Key: TypeAlias = tuple[str, int, int]
"""fact, store row, item row."""
Column: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Days, in order, and the value of each."""
_NOTHING: Column = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))


class DayFactStore:
    """Reads on any thread; a change is there before its future is done. Arrays are never changed afterwards."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._touched: list[Key] = []
        self._columns: Mapping[Key, Column] = {}
        self._of_items: Mapping[str, Mapping[tuple[int, int], Column]] = {}
        self._names: list[str] = []
        self._show(self._read(None))
        db.writer.join(self)

    def column(self, fact: str, store_row: int = ALL, item_row: int = ALL) -> Column:
        """Of exactly that store and item; empty where nothing is known."""
        return self._columns.get((fact, store_row, item_row), _NOTHING)

    def names(self) -> list[str]:
        """Facts that are of days and stores, not of items: sorted."""
        return self._names

    def items(self, fact: str) -> Mapping[tuple[int, int], Column]:
        """(store row, item row) -> column, of the items that a fact is told of."""
        return self._of_items.get(fact, {})

    def put_many(self, facts: Sequence[DayFact]) -> Future[int]:
        """Stores numbers, later ones over earlier ones; the future says how many. Raises Invalid, then nothing is."""
        for one in facts:
            check_fact(one.fact)
            if not math.isfinite(one.value):
                raise Invalid(f"{one.fact} must be a finite number", field=one.fact)

        def write(connection: Connection) -> int:
            return self.put_in(connection, facts)

        return self._db.writer.submit(write)

    def put_in(self, connection: Connection, facts: Iterable[DayFact]) -> int:
        """`put_many` of checked facts inside a write of the caller's."""
        rows = list({one[:4]: one._asdict() for one in facts}.values())
        if rows:
            connection.execute(
                delete(table).where(*_PLACE), [{f"at_{name}": row[name] for name in _KEY} for row in rows]
            )
            connection.execute(insert(table), rows)
        self._touched += {(row["fact"], row["store_row"], row["item_row"]) for row in rows}
        return len(rows)

    def forget(self, fact: str, before: int) -> Future[int]:
        """Takes the numbers of the days before one away; the future says how many there were."""

        def write(connection: Connection) -> int:
            gone = connection.execute(delete(table).where(_C.fact == fact, _C.day < before)).rowcount
            self._touched += [key for key in self._columns if key[0] == fact]
            return gone

        return self._db.writer.submit(write)

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return len(self._touched)

    def undo(self, mark: int) -> None:
        del self._touched[mark:]

    def publish(self) -> None:
        touched = sorted(set(self._touched))
        if not touched:
            return
        fresh = dict(self._columns)
        for key in touched:
            fact, store, item = key
            found = self._read((_C.fact == fact) & (_C.store_row == store) & (_C.item_row == item))
            fresh.pop(key, None)
            fresh.update(found)
        self._show(fresh)
        self._touched.clear()

    def _show(self, columns: Mapping[Key, Column]) -> None:
        self._columns = columns
        of_items: dict[str, dict[tuple[int, int], Column]] = {}
        for (fact, store, item), column in columns.items():
            if item != ALL:
                of_items.setdefault(fact, {})[store, item] = column
        self._of_items = of_items
        self._names = sorted({fact for fact, _, item in columns if item == ALL})

    def _read(self, where: ColumnElement[bool] | None) -> dict[Key, Column]:
        query = select(_C.fact, _C.store_row, _C.item_row, _C.day, _C.value)
        if where is not None:
            query = query.where(where)
        with self._db.read() as connection:
            rows: Any = connection.execute(query.order_by(_C.fact, _C.store_row, _C.item_row, _C.day)).all()
        gathered: dict[Key, tuple[list[int], list[float]]] = {}
        for fact, store, item, day, value in rows:
            days, values = gathered.setdefault((fact, store, item), ([], []))
            days.append(day)
            values.append(value)
        return {
            key: (np.array(days, dtype=np.int32), np.array(values, dtype=np.float32))
            for key, (days, values) in gathered.items()
        }


def check_fact(name: str) -> str:
    """Raises Invalid for what is no name of a fact."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name[:40]!r} is no name of a fact: a-z, 0-9 and _, at most 32 characters", field=name[:40])
    return name


def plain_fact(header: str) -> str:
    """`Fuel Price`, `FuelPrice` and `fuel_price` are one fact."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
