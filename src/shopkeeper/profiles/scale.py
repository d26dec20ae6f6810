"""The bounds of the RFM scores, from everybody's purchases; renewed about once a minute.

They are taken over all customers, so they cannot follow every event: a score is measured by the bounds of the last
look.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import MINUTE
from shopkeeper.features.base import grown
from shopkeeper.profiles.rfm import RfmScale
from shopkeeper.rules.vectors import Numbers

AGE = MINUTE


class ScaleKeeper:
    """Three numbers of each user row, and the bounds made of them. A user who does not count has no orders here."""

    def __init__(self) -> None:
        self._last: Numbers = np.empty(0)
        self._orders: Numbers = np.empty(0)
        self._spend: Numbers = np.empty(0)
        self._taken: int | None = None
        self._dirty = False
        self._customers = 0
        self.current = RfmScale.of(self._last, self._orders, self._spend)

    def put(self, rows: NDArray[np.int64], last_order: Numbers, orders: Numbers, net_spend: Numbers) -> None:
        """What is known now of some users, each once, all (k,)."""
        if not len(rows):
            return
        size = int(rows.max()) + 1
        self._last, self._orders = grown(self._last, size, np.nan), grown(self._orders, size)
        self._spend = grown(self._spend, size)
        self._customers += int((orders > 0).sum()) - int((self._orders[rows] > 0).sum())
        self._last[rows], self._orders[rows], self._spend[rows] = last_order, orders, net_spend
        self._dirty = True

    def due(self, wall: int) -> bool:
        """After a minute with news, and whenever a fiftieth of the customers is new."""
        if not self._dirty or self._taken is None:
            return self._dirty
        return abs(wall - self._taken) >= AGE or self._customers > self.current.customers * 1.02

    def with_one(self, row: int, last_order: float, orders: float, net_spend: float, wall: int) -> RfmScale:
        """The bounds of the next look, if one user had these numbers; nothing is kept."""
        forked = copy.copy(self)
        forked._customers += int(orders > 0) - int(row < len(self._orders) and self._orders[row] > 0)
        forked._dirty = True
        if not forked.due(wall):
            return self.current
        forked._last, forked._orders, forked._spend = self._last.copy(), self._orders.copy(), self._spend.copy()
        forked.put(np.array([row]), *(np.array([value]) for value in (last_order, orders, net_spend)))
        forked.renew(wall)
        return forked.current

    def renew(self, wall: int) -> NDArray[np.int64]:
        """New bounds. Gives the rows whose scores are others now."""
        before, self._taken, self._dirty = self.current, wall, False
        self.current = RfmScale.of(self._last, self._orders, self._spend)
        return np.flatnonzero(self._scores(before) != self._scores(self.current))

    def _scores(self, scale: RfmScale) -> Numbers:
        """The three digits as one number (n,); 0 for who has none."""
        score = 100 * scale.recency(np.where(self._orders > 0, self._last, np.nan))
        score += 10 * scale.frequency(self._orders) + scale.monetary(self._spend, self._orders)
        return np.nan_to_num(score)
