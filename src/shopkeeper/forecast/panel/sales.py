"""The sales panel: daily demand, kept by following the log. Training and serving read the same one.

Demand is the pieces of `order` events with a quantity above 0, by local day; `return` events and orders with a negative
quantity are counted beside it and never taken off the day on which the goods were sold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.days import day_of, days_of
from shopkeeper.core.errors import NotFound
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.aggregating import Aggregation
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.panel.grids import Sales, grid_of
from shopkeeper.forecast.panel.ledger import LAST_DAY, RETURNED, SOLD, Ledger, amounts, blocks, distinct, pack, unpack
from shopkeeper.forecast.panel.scoping import scoped
from shopkeeper.forecast.series import TOTAL, SeriesSet
from shopkeeper.forecast.steps import DAY, Step

if TYPE_CHECKING:
    import polars as pl

_SALES_TYPES = ("order", "return")
_STORES_KEPT = 64
_FEW = 256  # items that are looked up one by one
MAX_DAYS = 5 * 366
"""How far back series go: a single order with a wrong year must not stretch them."""


class Names(Protocol):
    """Ids outside, rows inside; what the stores' vocabularies offer."""

    def row(self, id: str, /) -> int | None: ...

    def id(self, row: int, /) -> str: ...


class SalesPanel:
    """A follower of the log. Used on one thread. `beside`: what else is known, none by default."""

    name = "panel"

    def __init__(self, zone: ZoneInfo, items: Names, event_types: Names, beside: Beside | None = None) -> None:
        self.zone = zone
        self.beside = beside or Beside()
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
            change[sales.type == back, :RETURNED] = 0.0
        kept = (day >= 0) & (day <= LAST_DAY)
        if not kept.any():
            return
        self._ledger.add(pack(sales.item, sales.store, day)[kept], change[kept])
        self._changes += 1
        touched = np.flatnonzero(np.bincount(day[kept]))
        self._changed.update(dict.fromkeys(touched.tolist(), self._changes))
        for days in self._total.values():
            days.stale_from = min(days.stale_from, int(touched[0]))

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
        first, total, _ = self.totals(store)
        if item_id is None:
            return first, total.copy()
        keys, sums = self._ledger.of_item(self.item_row(item_id))
        _, at, day = unpack(keys)
        here = (sums[:, SOLD] > 0) & _in(store, at)
        if not here.any():
            return first + len(total), np.empty(0)
        start = int(day[here].min())
        y = np.bincount(day[here] - start, sums[here, SOLD], minlength=first + len(total) - start)
        return start, y.astype(np.float64)

    def set(
        self,
        last_day: int,
        scope: Scope = ALL,
        step: Step = DAY,
        aggregation: Aggregation = "sum",
        ahead: int = 0,
        *,
        members: bool = True,
    ) -> SeriesSet:
        """What a scope is made of: its products that sold by `last_day` and, as the last row, what they come to by
        `aggregation`; of a scope of one product that product alone. `members` False: only the last row.

        Covariates go `ahead` steps beyond. Columns run from the first sale (in the scope's store), or MAX_DAYS ago, to
        `last_day`; of weeks to the last whole one. Raises NotFound for an unknown product, store or category.
        """
        return scoped(self, last_day, scope, step, aggregation, ahead, members)

    def dense(self, last_day: int, item_ids: list[str] | None = None, store: int | None = None) -> SeriesSet:
        """All products that sold by `last_day` (or exactly `item_ids`), and their shop's total as the last row.

        Columns run from the shop's first sale, or MAX_DAYS ago, to `last_day`. Raises NotFound for an unknown item.
        """
        first, columns = self.window(last_day, store)
        wanted = None if item_ids is None else np.array([self.item_row(id) for id in item_ids], dtype=np.int64)
        grid = grid_of(lambda: self.sales(store, first, last_day, wanted), first, columns, rows=wanted)
        grid.y[-1], sold = self.between(store, first, columns)
        aggregates = np.zeros(len(grid.y), dtype=np.bool_)
        aggregates[-1] = True
        return SeriesSet((*self.item_ids(grid.rows), TOTAL), first, grid.y, grid.price, sold, aggregates)

    def frame(self, last_day: int, store: int | None = None) -> pl.DataFrame:
        """Long rows `unique_id, ds, y` of the days with a sale, by id and day."""
        import polars as pl

        item, day, sums = self._columns(store)
        kept = day <= last_day
        ids = [self._items.id(int(row)) for row in item[kept]]
        frame = pl.DataFrame({"unique_id": ids, "ds": day[kept].astype(np.int32), "y": sums[kept, SOLD]})
        grouped = frame.group_by("unique_id", "ds").agg(pl.col("y").sum()).sort("unique_id", "ds")
        return grouped.with_columns(pl.col("ds").cast(pl.Date))

    def last_change(self, last_day: int, days: int) -> int:
        """A number that is another one as soon as sales came of the `days` that end with `last_day`."""
        return max(self._changed.get(day, 0) for day in range(last_day - days + 1, last_day + 1))

    def daily_pieces(self, last_day: int, days: int) -> NDArray[np.float32]:
        """Mean pieces a day by item row in the `days` that end with `last_day`, all stores together."""
        item, day, sums = self._columns(None, last_day - days + 1)
        kept = day <= last_day
        return (np.bincount(item[kept], sums[kept, SOLD]) / days).astype(np.float32)

    # -- for the sets

    def item_row(self, item_id: str) -> int:
        row = self._items.row(item_id)
        if row is None:
            raise NotFound(f"no item {item_id!r}", code="unknown_item", field="item_id")
        return row

    def knows(self, item_id: str) -> bool:
        """Such an item was heard of."""
        return self._items.row(item_id) is not None

    def item_ids(self, rows: NDArray[np.integer]) -> list[str]:
        return [self._items.id(int(row)) for row in rows]

    def window(self, last_day: int, store: int | None) -> tuple[int, int]:
        """First day and number of the columns that end with `last_day`."""
        begun, total, _ = self.totals(store)
        first = max(begun, last_day - MAX_DAYS + 1) if len(total) else last_day + 1
        return first, max(last_day - first + 1, 0)

    def between(self, store: int | None, first: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """(columns,) pieces and different products of the whole shop or a store, from day `first` on."""
        begun, total, products = self.totals(store)
        return _fit(total[first - begun :], columns), _fit(products[first - begun :], columns)

    def sales(self, store: int | None, first: int, last: int, rows: NDArray[np.int64] | None = None) -> Iterator[Sales]:
        """Days with a sale from `first` to `last`, in blocks of items; of all, or of those in `rows`."""
        if rows is not None and len(rows) <= _FEW:
            parts = [self._ledger.of_item(row) for row in sorted(rows.tolist())]
            found = [tuple(np.concatenate(column) for column in zip(*parts, strict=True))] if parts else []
            wanted = None
        else:
            found = list(blocks(*self._ledger.all()))
            wanted = None if rows is None else np.bincount(rows) > 0
        for keys, sums in found:
            item, at, day = unpack(keys)
            kept = (sums[:, SOLD] > 0) & (first <= day) & (day <= last) & _in(store, at)
            if wanted is not None:
                kept &= wanted[np.minimum(item, len(wanted) - 1)] & (item < len(wanted))
            if kept.any():
                yield Sales(item[kept], day[kept], sums[kept])

    def totals(self, store: int | None) -> tuple[int, NDArray[np.float64], NDArray[np.int32]]:
        """First day, (d,) pieces and (d,) different products of the whole shop or one store.

        Kept; after a sale only its day and the later ones are added up again.
        """
        kept = self._total.get(store)
        if kept is None or kept.stale_from < kept.first:
            kept = self._add_up(store, None)
        elif kept.stale_from <= LAST_DAY:
            kept = self._add_up(store, kept)
        return kept.first, kept.pieces, kept.products

    # -- inside

    def _columns(
        self, store: int | None, since: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Item, day and sums of every sale since a day."""
        keys, sums = self._since(since)
        item, at, day = unpack(keys)
        here = (sums[:, SOLD] > 0) & _in(store, at)
        return item[here], day[here], sums[here]

    def _since(self, day: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        keys, sums = self._ledger.all()
        if not day:
            return keys, sums
        recent = np.flatnonzero((keys & LAST_DAY) >= day)
        return keys[recent], sums[recent]

    def _add_up(self, store: int | None, before: _Days | None) -> _Days:
        since = 0 if before is None else before.stale_from
        pieces, products = np.zeros(LAST_DAY + 1 - since), np.zeros(LAST_DAY + 1 - since, dtype=np.int32)
        for keys, sums in blocks(*self._since(since)):
            item, at, day = unpack(keys)
            here = (sums[:, SOLD] > 0) & _in(store, at)
            sold = np.bincount(day[here] - since, sums[here, SOLD])
            pieces[: len(sold)] += sold
            each = day[here]
            if store is None:
                each = distinct(np.sort(item[here] * (LAST_DAY + 1) + each))
            different = np.bincount(each % (LAST_DAY + 1) - since)
            products[: len(different)] += different.astype(np.int32)
        selling = np.flatnonzero(products)
        end = int(selling[-1]) + 1 if len(selling) else 0
        if before is None:
            first = begin = int(selling[0]) if len(selling) else 0
            fresh = _Days(first, pieces[begin:end].copy(), products[begin:end].copy())
        elif not end:
            fresh = _Days(before.first, before.pieces, before.products)  # nothing but returns came
        else:
            known = since - before.first
            fresh = _Days(
                before.first,
                np.concatenate([_fit(before.pieces, known), pieces[:end]]),
                np.concatenate([_fit(before.products, known), products[:end]]),
            )
        if len(self._total) >= _STORES_KEPT:
            self._total.clear()
        self._total[store] = fresh
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


def _fit(values: NDArray[Any], columns: int) -> NDArray[Any]:
    """Cut, or filled up with 0, to that many days."""
    return np.concatenate([values[:columns], np.zeros(max(columns - len(values), 0), dtype=values.dtype)])
