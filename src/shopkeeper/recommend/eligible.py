"""Which items may appear in a slate at all: a mask over item rows, made before candidates are looked for, so that
what may not appear takes nobody's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import RecFilters
from shopkeeper.recommend.history import History
from shopkeeper.recommend.scenarios import Scenario


class Shelf(Protocol):
    """The catalogue as columns over item rows: `stores.catalog.Catalog`. `version` grows with every change."""

    @property
    def version(self) -> int: ...

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def category(self) -> Sequence[str | None]: ...

    @property
    def kind(self) -> Sequence[str]: ...

    @property
    def price(self) -> NDArray[np.float32]: ...

    @property
    def active(self) -> NDArray[np.bool_]: ...

    def sellable(self) -> NDArray[np.bool_]: ...

    def __len__(self) -> int: ...


class Rows(Protocol):
    """Ids to rows: a vocabulary."""

    def row(self, id: str, /) -> int | None: ...


def narrow(mask: NDArray[np.bool_], shelf: Shelf, filters: RecFilters, items: Rows) -> None:
    """Takes out of a mask (n_items,) what is not of the wanted kinds and categories, not within the price bounds, or
    excluded. An item without a price passes no price bound. Raises Invalid when price_min is above price_max.
    """
    if filters.kinds is not None:
        mask &= _among(shelf.kind, filters.kinds, len(mask))
    if filters.categories is not None:
        mask &= _among(shelf.category, filters.categories, len(mask))
    _bound_price(mask, shelf.price[: len(mask)], filters)
    drop(mask, [row for id in filters.exclude_items if (row := items.row(id)) is not None])


def in_stock(mask: NDArray[np.bool_], on_hand: NDArray[np.float32]) -> None:
    """Takes out what nothing is left of; NaN: nobody has counted, the item stays."""
    size = min(len(mask), len(on_hand))
    mask[:size] &= ~(on_hand[:size] <= 0)


def within_scenario(mask: NDArray[np.bool_], scenario: Scenario, history: History, unwanted: NDArray[np.int32]) -> None:
    """Takes out what the user refused, and what was bought where the scenario shows no repeats (or not that soon)."""
    if "unwanted" in scenario.named:
        drop(mask, unwanted)
    if not scenario.repeats:
        drop(mask, history.items[history.bought])
    elif scenario.rest_days > 0:
        # Of a clock that was set back what was bought lies ahead: it rests no longer for that.
        drop(mask, history.items[history.bought & (np.abs(history.age_days) < scenario.rest_days)])


def drop(mask: NDArray[np.bool_], rows: Sequence[int] | NDArray[np.int32]) -> None:
    """Sets the rows to False; rows outside of the mask are passed over."""
    places = np.asarray(rows, dtype=np.int64)
    mask[places[(places >= 0) & (places < len(mask))]] = False


def _bound_price(mask: NDArray[np.bool_], price: NDArray[np.float32], filters: RecFilters) -> None:
    low, high = filters.price_min, filters.price_max
    if low is not None and high is not None and low > high:
        raise Invalid(
            f"filters.price_min {low:g} is above price_max {high:g}", code="bad_filter", field="filters.price_min"
        )
    if low is not None:
        mask &= price >= np.float32(low)
    if high is not None:
        mask &= price <= np.float32(high)


def _among(values: Sequence[str | None], wanted: Sequence[str], size: int) -> NDArray[np.bool_]:
    chosen = frozenset(wanted)
    return np.fromiter((value in chosen for value in values[:size]), dtype=np.bool_, count=size)
