"""The sales panel: daily demand, kept by following the log. Training and serving read the same one.

Demand is the pieces of `order` events with a quantity above 0, by local day; `return` events and orders with a negative
quantity are counted beside it and never taken off the day on which the goods were sold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.days import day_of, days_of
from shopkeeper.core.errors import NotFound
from shopkeeper.forecast.ledger import LAST_DAY, Ledger, amounts, pack, unpack
from shopkeeper.forecast.series import SeriesSet, with_total

if TYPE_CHECKING:
    import polars as pl

_SALES_TYPES = ("order", "return")
_STORES_KEPT = 64
MAX_DAYS = 5 * 366
"""How far back series go: a single order with a wrong year must not stretch them."""


class Names(Protocol):
    """Ids outside, rows inside; what the stores' vocabularies offer."""

    def row(self, id: str, /) -> int | None: ...

    def id(self, row: int, /) -> str: ...


class SalesPanel:
    """A follower of the log. Used on one thread."""

    name = "panel"

    def __init__(self, zone: ZoneInfo, items: Names, event_types: Names) -> None:
        self.zone = zone
        self._items = items
        self._types = event_types
        self._ledger = Ledger()
        self._total: dict[int | None, _Days] = {}
        self._changes = 0
        self._changed: dict[int, int] = {}  # the change that touched a day last

    def apply(self, batch: EventBatch) -> None:
        order, back = (self._types.row(name) for name in _SALES_TYPES)
        wanted = np.zeros(len(batch), dtype=np.bool_)
        for row in (order, back):
            if row is not None:
                wanted |= batch.type == row
        wanted &= batch.item >= 0
        if not wanted.any():
            return
        sales = batch.take(wanted)
        day = days_of(sales.time, self.zone)
        change = amounts(sales)
        if back is not None:
            change[sales.type == back, :3] = 0.0
        kept = (day >= 0) & (day <= LAST_DAY)
        if not kept.any():
            return
        self._ledger.add(pack(sales.item, sales.store, day)[kept], change[kept])
        self._changes += 1
        self._changed.update(dict.fromkeys(np.unique(day[kept]).tolist(), self._changes))
        for days in self._total.values():
            days.stale_from = min(days.stale_from, int(day[kept].min()))

    def __len__(self) -> int:
        """Days kept, over all items and stores."""
        return len(self._ledger)

    def last_complete_day(self, now: int) -> int:
        """Yesterday, in the shop's zone."""
        return day_of(now, self.zone) - 1

    def series(self, item_id: str | None, store: int | None = None) -> tuple[int, NDArray[np.float64]]:
        """First day and (d,) pieces of each day since, up to the shop's last sale; item_id None is everything.

        An item without a sale gives the shop's last day and an empty array. Raises NotFound for an unknown item.
        """
        first, total, _ = self._days(store)
        if item_id is None:
            return first, total.copy()
        keys, sums = self._ledger.of_item(self._row(item_id))
        _, at, day = unpack(keys)
        here = (sums[:, 0] > 0) & _in(store, at)
        if not here.any():
            return first + len(total), np.empty(0)
        start = int(day[here].min())
        y = np.bincount(day[here] - start, sums[here, 0], minlength=first + len(total) - start)
        return start, y.astype(np.float64)

    def dense(self, last_day: int, item_ids: list[str] | None = None, store: int | None = None) -> SeriesSet:
        """All products that sold by `last_day` (or exactly `item_ids`), and their shop's total as the last row.

        Columns run from the shop's first sale, or MAX_DAYS ago, to `last_day`. Raises NotFound for an unknown item.
        """
        begun, total, sold = self._days(store)
        first = max(begun, last_day - MAX_DAYS + 1) if len(total) else last_day + 1
        columns = max(last_day - first + 1, 0)
        total, sold = total[first - begun :], sold[first - begun :]
        if item_ids is None:
            item, day, sums = self._columns(store)
            kept = (first <= day) & (day <= last_day)
            rows, place = np.unique(item[kept], return_inverse=True)
            grid = _grid(len(rows), columns, place, day[kept] - first, sums[kept])
            return with_total(tuple(self._items.id(int(row)) for row in rows), first, *grid)
        grid = np.zeros((3, len(item_ids), columns))
        for position, item_id in enumerate(item_ids):
            keys, sums = self._ledger.of_item(self._row(item_id))
            _, at, day = unpack(keys)
            kept = (sums[:, 0] > 0) & (first <= day) & (day <= last_day) & _in(store, at)
            grid[:, position : position + 1] = _grid(
                1, columns, np.zeros(kept.sum(), int), day[kept] - first, sums[kept]
            )
        return _beside_total(tuple(item_ids), first, grid, _fit(total, columns), _fit(sold, columns))

    def frame(self, last_day: int, store: int | None = None) -> pl.DataFrame:
        """Long rows `unique_id, ds, y` of the days with a sale, by id and day."""
        import polars as pl

        item, day, sums = self._columns(store)
        kept = day <= last_day
        ids = [self._items.id(int(row)) for row in item[kept]]
        frame = pl.DataFrame({"unique_id": ids, "ds": day[kept].astype(np.int32), "y": sums[kept, 0]})
        grouped = frame.group_by("unique_id", "ds").agg(pl.col("y").sum()).sort("unique_id", "ds")
        return grouped.with_columns(pl.col("ds").cast(pl.Date))

    def last_change(self, last_day: int, days: int) -> int:
        """A number that is another one as soon as sales came of the `days` that end with `last_day`."""
        return max(self._changed.get(day, 0) for day in range(last_day - days + 1, last_day + 1))

    def daily_pieces(self, last_day: int, days: int) -> NDArray[np.float32]:
        """Mean pieces a day by item row in the `days` that end with `last_day`, all stores together."""
        item, day, sums = self._columns(None, last_day - days + 1)
        kept = day <= last_day
        return (np.bincount(item[kept], sums[kept, 0]) / days).astype(np.float32)

    def _row(self, item_id: str) -> int:
        row = self._items.row(item_id)
        if row is None:
            raise NotFound(f"no item {item_id!r}", code="unknown_item", field="item_id")
        return row

    def _columns(
        self, store: int | None, since: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Item, day and sums of every sale since a day."""
        keys, sums = self._ledger.all()
        if since:
            recent = np.flatnonzero((keys & LAST_DAY) >= since)
            keys, sums = keys[recent], sums[recent]
        item, at, day = unpack(keys)
        here = (sums[:, 0] > 0) & _in(store, at)
        return item[here], day[here], sums[here]

    def _days(self, store: int | None) -> tuple[int, NDArray[np.float64], NDArray[np.int32]]:
        """First day, (d,) pieces and (d,) different products of the whole shop or one store.

        Kept; after a sale only its day and the later ones are added up again.
        """
        kept = self._total.get(store)
        if kept is None or kept.stale_from < kept.first:
            kept = self._add_up(store, None)
        elif kept.stale_from <= LAST_DAY:
            kept = self._add_up(store, kept)
        return kept.first, kept.pieces, kept.products

    def _add_up(self, store: int | None, before: _Days | None) -> _Days:
        item, day, sums = self._columns(store, 0 if before is None else before.stale_from)
        if before is None:
            since = first = int(day.min()) if len(day) else 0
            pieces, products = np.empty(0), np.empty(0, dtype=np.int32)
        else:
            since, first = before.stale_from, before.first
            pieces, products = _fit(before.pieces, since - first), _fit(before.products, since - first)
        if len(day):
            sold = day if store is not None else np.unique(item * (LAST_DAY + 1) + day) % (LAST_DAY + 1)
            pieces = np.concatenate([pieces, np.bincount(day - since, sums[:, 0])])
            products = np.concatenate([products, np.bincount(sold - since).astype(np.int32)])
        elif before is not None:
            pieces, products = before.pieces, before.products  # nothing but returns came
        if len(self._total) >= _STORES_KEPT:
            self._total.clear()
        self._total[store] = fresh = _Days(first, pieces, products)
        return fresh


class _Days:
    """Pieces and different products (d,) a day from day `first` on; right for the days before `stale_from`."""

    def __init__(self, first: int, pieces: NDArray[np.float64], products: NDArray[np.int32]) -> None:
        self.first = first
        self.pieces = pieces
        self.products = products
        self.stale_from = LAST_DAY + 1 if len(pieces) else -1


def _in(store: int | None, at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows are of that store; None is every store."""
    return np.ones(len(at), dtype=np.bool_) if store is None else np.equal(at, store)


def _grid(
    rows: int, columns: int, row: NDArray[np.integer], column: NDArray[np.integer], sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3, rows, columns) pieces, revenue, priced pieces."""
    grid = np.zeros((3, rows, columns))
    for layer, source in enumerate((0, 2, 1)):
        np.add.at(grid[layer], (row, column), sums[:, source])
    return grid


def _fit(values: NDArray[Any], columns: int) -> NDArray[Any]:
    """Cut, or filled up with 0, to that many days."""
    return np.concatenate([values[:columns], np.zeros(max(columns - len(values), 0), dtype=values.dtype)])


def _beside_total(
    ids: tuple[str, ...],
    first: int,
    grid: NDArray[np.float64],
    total: NDArray[np.generic],
    sold: NDArray[np.generic],
) -> SeriesSet:
    """Some products and the total of all."""
    some = with_total(ids, first, *grid)
    y = some.y.copy()
    y[-1] = total
    return SeriesSet(some.ids, first, y, some.price, sold.astype(np.int32), some.aggregate)
