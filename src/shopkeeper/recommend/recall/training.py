"""What a recall trainer gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.orders import Orders


@dataclass(frozen=True)
class RecallData:
    """All order lines before `now` (us), and only those.

    `users` and `items`: what is said of a row (of user, of item) beside, by name; rows that nothing is said of are
    absent. `last_only`: of a user's lines only the newest is to be foretold, the others are what was known by then.
    `by_traits_only`: an item is what is said of it, its id means nothing.
    """

    orders: Orders
    now: int
    users: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    items: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    last_only: bool = False
    by_traits_only: bool = False

    def most_bought(self, n: int, half_life_days: float | None) -> NDArray[np.int64]:
        """Sorted rows of the n items with the most (freshness-weighted) buyers; those without any are left out."""
        weight = np.asarray(self.orders.matrix(self.now, half_life_days).sum(axis=0)).ravel()
        bought = np.flatnonzero(weight > 0)
        return np.sort(bought[np.argsort(-weight[bought], kind="stable")[:n]])
