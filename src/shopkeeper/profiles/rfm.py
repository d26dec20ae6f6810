"""Recency, frequency, monetary: quintiles over all customers, that is everybody with at least one order.

The four bounds of a measure are its 20, 40, 60 and 80 % quantiles, each an observed value. A score is 1 plus the number
of bounds that a value lies above, so equal values get equal scores and a crowd of ties may leave scores empty; for
recency, where less is better, it is 5 minus that number. The bounds of recency are kept as moments: all customers grow
older alike, so a score does not move with the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.rules.vectors import Numbers, TextColumn

_QUANTILES = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class RfmScale:
    """Bounds (4,) of each measure; `customers` is how many they were taken from. Without customers all are NaN.

    `last_order` in us: newest first, as their days ascend.
    """

    last_order: Numbers
    orders: Numbers
    net_spend: Numbers
    customers: int

    @classmethod
    def of(cls, last_order: Numbers, orders: Numbers, net_spend: Numbers) -> RfmScale:
        """Inputs (n,) of the same users, `last_order` as `moments` gives it; those without an order are left out."""
        bought = (orders > 0) & ~np.isnan(last_order)
        newest = -_bounds(-last_order[bought])
        return cls(newest, _bounds(orders[bought]), _bounds(net_spend[bought]), int(bought.sum()))

    def recency(self, last_order: Numbers) -> Numbers:
        """float64 (n,) 1 to 5; NaN without an order or without a scale."""
        return 6.0 - _score(-last_order, -self.last_order)

    def frequency(self, orders: Numbers) -> Numbers:
        return _score(np.where(orders > 0, orders, np.nan), self.orders)

    def monetary(self, net_spend: Numbers, orders: Numbers) -> Numbers:
        return _score(np.where(orders > 0, net_spend, np.nan), self.net_spend)


def moments(days_since: Numbers, now: int | NDArray[np.int64]) -> Numbers:
    """The time (us, whole) that lies so many days before `now`; NaN stays NaN."""
    return np.rint(now - days_since * DAY)


def digits(recency: Numbers, frequency: Numbers, monetary: Numbers) -> TextColumn:
    """`'543'` for each user; missing where a score is."""
    number = recency * 100 + frequency * 10 + monetary
    found, where = np.unique(number, return_inverse=True)
    column = TextColumn.of([None if value != value else str(int(value)) for value in found.tolist()])
    return TextColumn(column.codes[where], column.words)


def _bounds(values: Numbers) -> Numbers:
    if not len(values):
        return np.full(len(_QUANTILES), np.nan)
    return np.quantile(values, _QUANTILES, method="inverted_cdf")


def _score(values: Numbers, bounds: Numbers) -> Numbers:
    above = (values[:, None] > bounds).sum(axis=1) + 1.0
    return np.where(np.isnan(values) | np.isnan(bounds[0]), np.nan, above)
