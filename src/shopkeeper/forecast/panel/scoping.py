"""From the panel to the series of a scope: everything, a store, a category, or one product, by day or by week."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import NotFound
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.aggregating import WEIGHED_DAYS, Aggregation, aggregate, aggregation_of, mean_price, shares_of
from shopkeeper.forecast.panel.grids import Grid, Sales, grid_of, sum_of
from shopkeeper.forecast.panel.weekly import weekly
from shopkeeper.forecast.series import TOTAL, SeriesSet
from shopkeeper.forecast.steps import Step

if TYPE_CHECKING:
    from shopkeeper.forecast.panel.sales import SalesPanel


def aggregate_id(scope: Scope) -> str:
    """The unique_id of what a scope comes to: `__total__`, `__store:S1__`, `__category:Tea@S1__`."""
    return TOTAL if scope.kind == "all" else f"__{scope}__"


def scoped(
    panel: SalesPanel,
    last_day: int,
    scope: Scope,
    step: Step,
    aggregation: Aggregation,
    ahead: int,
    members: bool,
) -> SeriesSet:
    """See `SalesPanel.set`."""
    store_id = scope.id if scope.kind == "store" else scope.store
    store = None if store_id is None else (store_id, _store_row(panel, store_id))
    store_row = None if store is None else store[1]
    how = aggregation_of(aggregation)
    one = scope.kind == "product"
    wanted = _items(panel, scope)
    first, columns = panel.window(last_day, store_row)
    pieces, sold = panel.between(store_row, first, columns)

    def sales() -> Iterator[Sales]:
        return panel.sales(store_row, first, last_day, wanted)

    alone = how == "sum" and not members and not one
    grid = grid_of(
        (lambda: iter(())) if alone else sales,
        first,
        columns,
        extra=0 if one else 1,
        rows=wanted if one else None,
    )
    if alone and scope.kind == "category":
        grid = _summed(grid, *sum_of(sales, first, columns))
    elif not one:
        whole = pieces if scope.kind in ("all", "store") and how == "sum" else None
        _add_up(grid, how, whole, described=scope.kind == "category")
    ids = panel.item_ids(grid.rows) + ([] if one else [aggregate_id(scope)])
    further = ahead * step.days
    series = SeriesSet(
        tuple(ids),
        first,
        grid.y,
        grid.price,
        sold,
        np.arange(len(ids)) >= len(grid.rows),
        covariates=panel.beside.covariates(
            ids,
            grid.rows,
            first,
            columns,
            further,
            store=store,
            category=scope.id if scope.kind == "category" else None,
            promoted=grid.promoted,
        ),
        available=panel.beside.available(store_row, grid.rows, grid.y, first),
        aggregation=how,
        facts={"scope": str(scope), "period": step.period, "aggregation": how},
    )
    if not members and not one:
        series = series.select(np.array([len(ids) - 1]))
    return series if step.days == 1 else weekly(series, step)


def _summed(grid: Grid, pieces: NDArray[np.float64], price: NDArray[np.float32], promoted: NDArray[np.float32]) -> Grid:
    """The last row of a grid without any other."""
    grid.y[-1], grid.price[-1] = pieces, price
    return grid._replace(promoted=promoted[None]) if promoted.any() else grid


def _add_up(grid: Grid, how: Aggregation, whole: NDArray[np.float64] | None, *, described: bool) -> None:
    """Fills the last row. `whole` (d,): the sum, where it is known from elsewhere. A price and a share of promotions
    are told of a category; those of a whole shop or store, of whatever it sells, say nothing.
    """
    y, price = grid.y[:-1], grid.price[:-1]
    shares = shares_of(y, price, WEIGHED_DAYS) if how == "weighted" else None
    grid.y[-1] = aggregate(y, how, shares) if whole is None else whole
    if grid.promoted is not None:
        grid.promoted[-1] = np.nan
    if not described:
        return
    grid.price[-1] = mean_price(y, price)
    if grid.promoted is not None:
        sold = y.sum(axis=0, dtype=np.float64)
        grid.promoted[-1] = np.einsum("nd,nd->d", grid.promoted[:-1], y) / np.maximum(sold, 1e-9)


def _items(panel: SalesPanel, scope: Scope) -> NDArray[np.int64] | None:
    """Item rows of a scope; None for all."""
    if scope.kind == "product":
        assert scope.id is not None
        return np.array([panel.item_row(scope.id)], dtype=np.int64)
    if scope.kind != "category":
        return None
    assert scope.id is not None
    rows = panel.beside.of_category(scope.id)
    if not len(rows):
        raise NotFound(f"no category {scope.id[:128]!r}", code="unknown_category", field="category")
    return rows


def _store_row(panel: SalesPanel, store_id: str) -> int:
    row = panel.beside.stores.row(store_id) if panel.beside.stores else None
    if row is None:
        raise NotFound(f"no store {store_id[:128]!r}", code="unknown_store", field="store_id")
    return row
