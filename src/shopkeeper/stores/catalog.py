"""The items in memory, as columns over item rows: what filters, features and slates read on every request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, select

from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

_C = schema.items.c
_CHUNK = 500


class Catalog:
    """Column k of each array belongs to item row k. Readable from any thread; changes appear after their commit.

    `ids`, `names`, `category`, `kind` are lists (n,), `price` float32 (n,) in the shop's currency (NaN: none), `active`
    bool (n,). An array that was handed out is never changed: a refresh replaces it.
    """

    def __init__(self, db: Database, vocabularies: Vocabularies) -> None:
        self._db = db
        self._items = vocabularies.items
        self._touched: list[int] = []
        self.ids: list[str] = []
        self.names: list[str] = []
        self.category: list[str | None] = []
        self.kind: list[str] = []
        self.price: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self.active: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._products: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._load(_C.row >= 0)
        db.writer.join(self, first=True)  # before the vocabulary: a row that someone finds has its columns

    def __len__(self) -> int:
        return len(self.price)

    def sellable(self) -> NDArray[np.bool_]:
        """bool (n,): active and of kind product."""
        return self.active & self._products

    def touch(self, row: int) -> None:
        """Inside a write: this row was changed and is read again after the commit."""
        self._touched.append(row)

    def mark(self) -> int:
        return len(self._touched)

    def undo(self, mark: int) -> None:
        del self._touched[mark:]

    def publish(self) -> None:
        touched, self._touched = sorted(set(self._touched)), []
        if self._items.growing:
            self._load(_C.row >= len(self))
        known = [row for row in touched if row < len(self)]
        for start in range(0, len(known), _CHUNK):
            self._load(_C.row.in_(known[start : start + _CHUNK]))

    def _load(self, where: ColumnElement[bool]) -> None:
        columns = select(_C.row, _C.item_id, _C.name, _C.category, _C.kind, _C.price, _C.active)
        with self._db.read() as connection:
            rows: Any = connection.execute(columns.where(where).order_by(_C.row)).all()
        if rows:
            self._place(rows)

    def _place(self, rows: Sequence[Row[Any]]) -> None:
        size = max(len(self), rows[-1].row + 1)
        extra = size - len(self)
        price = np.concatenate([self.price, np.full(extra, np.nan, dtype=np.float32)])
        active = np.concatenate([self.active, np.zeros(extra, dtype=np.bool_)])
        for column in (self.ids, self.names, self.category, self.kind):
            column.extend([""] * extra)
        for row in rows:
            self.ids[row.row] = row.item_id
            self.names[row.row] = row.name
            self.category[row.row] = row.category
            self.kind[row.row] = row.kind
            price[row.row] = np.nan if row.price is None else row.price
            active[row.row] = row.active
        self._products = np.array([kind == "product" for kind in self.kind], dtype=np.bool_)
        self.price, self.active = price, active
