"""The channel `new`: what came to the shop lately, whether or not anybody has bought it yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, MINUTE
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.channels import Kept
from shopkeeper.recommend.history import History
from shopkeeper.recommend.orders import freshness

NEW_DAYS = 60.0
HALF_LIFE_DAYS = 14.0


class New:
    """Freshness since the first event, where an item has no event yet since its record was made.

    What sells already counts more: freshness x (1 + log(1 + order lines)).
    """

    def __init__(self, state: FeatureState, born: Callable[[], NDArray[np.int64]] | None = None) -> None:
        """`born`: us of the shop's clock at which each item's record was made, int64 (n,)."""
        self._state = state
        self._born = born
        self._kept = Kept()

    def scores(self, _history: History, now: int, n_items: int) -> NDArray[np.float32]:
        """The same for everybody within a minute, until the next event."""
        made = None if self._born is None else len(self._born())
        return self._kept.scores(
            (self._state.version, now // MINUTE, n_items, made), lambda: self._scores(now, n_items)
        )

    def order(self) -> NDArray[np.int32]:
        """Of the newest scores, see `best`."""
        return self._kept.order()

    def _scores(self, now: int, n_items: int) -> NDArray[np.float32]:
        result = np.zeros(n_items, dtype=np.float32)
        facts = self._state.part(ItemFacts)
        since = np.full(n_items, _UNKNOWN, dtype=np.int64)
        if self._born is not None:
            born = self._born()[:n_items]
            since[: len(born)] = born
        size = min(facts.size, n_items)
        first = facts.first_seen[:size]
        seen = first <= now
        since[:size][seen] = first[seen]
        recent = np.flatnonzero((since <= now) & (since > now - int(NEW_DAYS * DAY)))
        age = (now - since[recent]) / DAY
        lines = np.zeros(len(recent), dtype=np.float32)
        counted = recent < len(facts.lines)
        lines[counted] = facts.lines[recent[counted]]
        result[recent] = freshness(age, HALF_LIFE_DAYS) * (1 + np.log1p(lines))
        return result

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)


_UNKNOWN = np.iinfo(np.int64).max
