"""Days on which an item could not be bought: what it sold then says nothing about demand.

They come from day facts: `out_of_stock` marks single days; `in_stock` marks changes, 0 on the day on which an item ran
out and 1 on the day on which it was there again. `StockOuts` writes the changes down as stock levels tell them; levels
that nobody counted (simulated ones) tell nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.stores.day_facts import ALL, IN_STOCK, OUT_OF_STOCK, DayFact, DayFactStore
from shopkeeper.stores.stock import Counted

_LOG = logging.getLogger(__name__)
Column: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]


class Facts(Protocol):
    """Numbers of days; what `stores.day_facts.DayFactStore` offers."""

    def column(self, fact: str, store_row: int = ALL, item_row: int = ALL) -> Column: ...

    def names(self) -> list[str]: ...

    def items(self, fact: str) -> Mapping[tuple[int, int], Column]: ...


def availability(
    facts: Facts, store_row: int | None, item_rows: NDArray[np.integer], y: NDArray[np.float32], first_day: int
) -> NDArray[np.bool_] | None:
    """(n, d) False where the items (n,) could not be bought in that store (None: anywhere); None: they always could.

    From the day on which an item ran out to that on which it came back it counts as available where it sold anything.
    """
    place = ALL if store_row is None else store_row
    mask: NDArray[np.bool_] | None = None
    for fact, covered in ((OUT_OF_STOCK, _days), (IN_STOCK, _between)):
        for row, column in _of_items(facts, fact, place, item_rows):
            gone = covered(column, first_day, y[row])
            if gone.any():
                mask = np.ones(y.shape, dtype=np.bool_) if mask is None else mask
                mask[row] &= ~gone
    return mask


def _of_items(facts: Facts, fact: str, place: int, item_rows: NDArray[np.integer]) -> list[tuple[int, Column]]:
    told = facts.items(fact)
    if len(item_rows) <= 16:
        found = ((row, told.get((place, int(item)))) for row, item in enumerate(item_rows))
        return [(row, column) for row, column in found if column is not None]
    where = {int(item): row for row, item in enumerate(item_rows)}
    return [(where[item], column) for (store, item), column in told.items() if store == place and item in where]


def _days(column: Column, first_day: int, y: NDArray[np.float32]) -> NDArray[np.bool_]:
    day, value = column
    gone = np.zeros(len(y), dtype=np.bool_)
    at = day[value > 0] - first_day
    gone[at[(at >= 0) & (at < len(y))]] = True
    return gone


def _between(column: Column, first_day: int, y: NDArray[np.float32]) -> NDArray[np.bool_]:
    gone = np.zeros(len(y), dtype=np.bool_)
    since: int | None = None
    for day, value in zip(column[0].tolist(), column[1].tolist(), strict=True):
        if value > 0 and since is not None:
            gone |= _span(since, day - first_day, y)
            since = None
        elif not value > 0 and since is None:
            since = day - first_day
    return gone if since is None else gone | _span(since, len(y), y)


def _span(begin: int, end: int, y: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Days from one column to another on which nothing was sold."""
    column = np.arange(len(y))
    return np.asarray((begin <= column) & (column <= end) & (y == 0))


class StockOuts:
    """Hears of stock levels and keeps the days on which items ran out and came back.

    `counted(item rows)` says what is on hand in all stores together, of items that somebody counted; `day(us)` the
    shop's local day of a moment.
    """

    def __init__(
        self, facts: DayFactStore, counted: Callable[[list[int]], Sequence[Counted]], day: Callable[[int], int]
    ) -> None:
        self._facts = facts
        self._counted = counted
        self._day = day
        told = facts.items(IN_STOCK)
        self._out = {item for (store, item), (_, value) in told.items() if store == ALL and not value[-1] > 0}

    def heard(self, items: list[int]) -> None:
        """On the writer's thread, after levels were put. What cannot be kept is told in the log: the next level of the
        item says it again."""
        changes = [one for one in self._counted(items) if (one.on_hand <= 0) != (one.item_row in self._out)]
        if not changes:
            return
        out = {one.item_row for one in changes if one.on_hand <= 0}
        before = set(self._out)
        self._out = (self._out | out) - {one.item_row for one in changes if one.on_hand > 0}
        rows = [DayFact(ALL, one.item_row, self._day(one.as_of), IN_STOCK, float(one.on_hand > 0)) for one in changes]
        try:
            self._facts.put_many(rows)
        except ShopkeeperError:
            self._out = before
            _LOG.exception("the days on which %d items ran out or came back could not be kept", len(rows))
