"""From the sums of the ledger to matrices of products and days, in float32 and a few hundred products at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.aggregating import carried_price
from shopkeeper.forecast.panel.ledger import FIELDS, PRICED, PROMOTED, REVENUE, SOLD, distinct


class Sales(NamedTuple):
    """(k,) item rows in order, (k,) days, (k, 5) sums of days on which something was sold."""

    item: NDArray[np.int64]
    day: NDArray[np.int64]
    sums: NDArray[np.float64]


Blocks: TypeAlias = Callable[[], Iterator[Sales]]
"""Sales of the same products and days each time that it is called; no item is in two blocks."""


class Grid(NamedTuple):
    """`rows` (n,) item rows; `y`, `price` (n + extra, d), the extra rows still empty; `promoted` (n + extra, d) share
    of the pieces that was sold in a promotion, None where nothing was."""

    rows: NDArray[np.int64]
    y: NDArray[np.float32]
    price: NDArray[np.float32]
    promoted: NDArray[np.float32] | None


def grid_of(
    blocks: Blocks, first_day: int, columns: int, *, extra: int = 1, rows: NDArray[np.int64] | None = None
) -> Grid:
    """The products that sold, by item row; or exactly `rows`, in that order."""
    any_promoted, found = False, [np.empty(0, dtype=np.int64)]
    for sales in blocks():
        found.append(distinct(sales.item))
        any_promoted = any_promoted or bool((sales.sums[:, PROMOTED] > 0).any())
    wanted = np.concatenate(found) if rows is None else rows
    order = np.argsort(wanted, kind="stable")
    n = len(wanted)
    y = np.zeros((n + extra, columns), dtype=np.float32)
    price = np.full((n + extra, columns), np.nan, dtype=np.float32)
    promoted = np.zeros((n + extra, columns), dtype=np.float32) if any_promoted else None
    for sales in blocks():
        here = distinct(sales.item)
        place = order[np.searchsorted(wanted, here, sorter=order)]
        at = np.searchsorted(here, sales.item) * columns + (sales.day - first_day)
        sold, priced, revenue, offered = (
            _added(at, sales.sums[:, field], len(here), columns) if field != PROMOTED or promoted is not None else None
            for field in (SOLD, PRICED, REVENUE, PROMOTED)
        )
        assert sold is not None
        assert priced is not None
        assert revenue is not None
        y[place] = sold
        price[place] = carried_price(revenue, priced)
        if promoted is not None and offered is not None:
            promoted[place] = offered / np.maximum(sold, 1e-9)
    return Grid(wanted, y, price, promoted)


def sum_of(
    blocks: Blocks, first_day: int, columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """(columns,) pieces of all of them together, what one of them costs, and the share that was sold in a promotion."""
    sums = np.zeros((columns, len(FIELDS)))
    for sales in blocks():
        for field in (SOLD, PRICED, REVENUE, PROMOTED):
            sums[:, field] += np.bincount(sales.day - first_day, sales.sums[:, field], minlength=columns)
    price = carried_price(sums[None, :, REVENUE], sums[None, :, PRICED])[0]
    promoted = sums[:, PROMOTED] / np.maximum(sums[:, SOLD], 1e-9)
    return sums[:, SOLD].copy(), price, promoted.astype(np.float32)


def _added(at: NDArray[np.int64], amounts: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    found = np.bincount(at, amounts, minlength=rows * columns)
    return found.astype(np.float64, copy=False).reshape(rows, columns)
