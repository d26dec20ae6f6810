"""What a recall trainer gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.orders import Orders


@dataclass(frozen=True)
class RecallData:
    """All order lines before `now` (us), and only those."""

    orders: Orders
    now: int

    def most_bought(self, n: int, half_life_days: float | None) -> NDArray[np.int64]:
        """Sorted rows of the n items with the most (freshness-weighted) buyers; those without any are left out."""
        weight = np.asarray(self.orders.matrix(self.now, half_life_days).sum(axis=0)).ravel()
        bought = np.flatnonzero(weight > 0)
        return np.sort(bought[np.argsort(-weight[bought], kind="stable")[:n]])
