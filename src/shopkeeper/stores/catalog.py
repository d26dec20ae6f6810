"""The items in memory, as columns over item rows: what filters, features and slates read on every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, select

from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

Listener: TypeAlias = Callable[[list[int]], None]
_C = schema.items.c
_CHUNK = 500


class Catalog:
    """Column k of each array belongs to item row k. Readable from any thread; changes appear after their commit.

    `ids`, `names`, `category`, `kind` are lists (n,), `price` float32 (n,) in the shop's currency (NaN: none), `active`
    bool (n,), `attributes` the further fields of the records, `born` int64 (n,) us of the wall clock when a record was
    made; `moves` counts how often an item has changed its category, `version` grows when anything did. An array that
    was handed out is never changed: a refresh replaces it. New items come while others read: whatever is as long as
    `len(catalog)` or `sellable()` once was, the other columns are at least as long from then on.
    """

    def __init__(self, db: Database, vocabularies: Vocabularies) -> None:
        self._db = db
        self._items = vocabularies.items
        self._touched: list[int] = []
        self._listeners: tuple[Listener, ...] = ()
        self.moves = 0
        self.version = 0
        self.ids: list[str] = []
        self.names: list[str] = []
        self.category: list[str | None] = []
        self.kind: list[str] = []
        self.attributes: list[Mapping[str, Any]] = []
        self.born: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.price: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self.active: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._sellable: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._load(_C.row >= 0)
        db.writer.join(self, first=True)  # before the vocabulary: a row that someone finds has its columns

    def __len__(self) -> int:
        return len(self._sellable)

    def sellable(self) -> NDArray[np.bool_]:
        """bool (n,): active and of kind product."""
        return self._sellable

    def touch(self, row: int) -> None:
        """Inside a write: this row was changed and is read again after the commit."""
        self._touched.append(row)

    def mark(self) -> int:
        return len(self._touched)

    def undo(self, mark: int) -> None:
        del self._touched[mark:]

    def publish(self) -> None:
        touched = sorted(set(self._touched))
        if self._items.growing:
            self._load(_C.row >= len(self))
        known = [row for row in touched if row < len(self)]
        for start in range(0, len(known), _CHUNK):
            self._load(_C.row.in_(known[start : start + _CHUNK]))
        self._touched.clear()  # only now: what could not be read is read with the next commit
        if touched:
            for listener in self._listeners:
                listener(touched)

    def subscribe(self, listener: Listener) -> None:
        """`listener(rows)` after records of items were put or taken away, on the writer's thread; it must not wait."""
        self._listeners = (*self._listeners, listener)

    def _load(self, where: ColumnElement[bool]) -> None:
        columns = select(
            _C.row, _C.item_id, _C.name, _C.category, _C.kind, _C.price, _C.active, _C.attributes, _C.created_at
        )
        with self._db.read() as connection:
            rows: Any = connection.execute(columns.where(where).order_by(_C.row)).all()
        if rows:
            self._place(rows)

    def _place(self, rows: Sequence[Row[Any]]) -> None:
        """Rows have no gaps: those that are new follow on the last one. `_sellable`, the length, is assigned last."""
        have = len(self)
        known, new = [row for row in rows if row.row < have], [row for row in rows if row.row >= have]
        for row in known:
            self.moves += self.category[row.row] != row.category
            self.ids[row.row] = row.item_id
            self.names[row.row] = row.name
            self.category[row.row] = row.category
            self.kind[row.row] = row.kind
            self.attributes[row.row] = row.attributes
        self.ids.extend([row.item_id for row in new])
        self.names.extend([row.name for row in new])
        self.category.extend([row.category for row in new])
        self.kind.extend([row.kind for row in new])
        self.attributes.extend([row.attributes for row in new])
        at = [row.row for row in rows]
        self.price = _with(self.price, at, [np.nan if row.price is None else row.price for row in rows], len(new))
        self.born = _with(self.born, at, [row.created_at for row in rows], len(new))
        self.active = _with(self.active, at, [row.active for row in rows], len(new))
        sellable = [row.active and row.kind == "product" for row in rows]
        self._sellable = _with(self._sellable, at, sellable, len(new))
        self.version += 1


def _with(column: NDArray[Any], at: Sequence[int], values: Sequence[Any], extra: int) -> NDArray[Any]:
    """A longer copy with the values in their places."""
    fresh = np.concatenate([column, np.zeros(extra, dtype=column.dtype)])
    fresh[np.asarray(at, dtype=np.int64)] = values
    return fresh
