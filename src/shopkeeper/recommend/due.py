"""The channel `due`: what the user buys at intervals and is about to need again, by the user's own intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.history import History

SAME_VISIT = 12 * HOUR
"""Lines so near to one another are one purchase."""
LEAST_DAYS = 1.0
EARLY, LATE = 0.5, 1.0
"""Spread of log(age / interval) before and after the interval is over: what is due already stays due for longer."""


class Intervals(NamedTuple):
    """Items bought at least twice: `items` int32 (m,) sorted, `times` purchases (m,), `days` float32 (m,) between two
    on average, `age` float32 (m,) days since the last."""

    items: NDArray[np.int32]
    times: NDArray[np.int64]
    days: NDArray[np.float32]
    age: NDArray[np.float32]


NOTHING = Intervals(
    np.empty(0, dtype=np.int32),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.float32),
    np.empty(0, dtype=np.float32),
)


class Due:
    """For one user. Highest when as much time has passed as usually passes, the oftener bought the higher."""

    def __init__(self, state: FeatureState, user: int) -> None:
        self._state = state
        self._user = user
        self.known = NOTHING
        """What the newest answer was made of."""

    def scores(self, _history: History, now: int, n_items: int) -> NDArray[np.float32]:
        result = np.zeros(n_items, dtype=np.float32)
        found = self.known = self.intervals(now)
        if not len(found.items):
            return result
        off = np.log(np.maximum(found.age, 0.1) / found.days)
        strength = np.exp(-0.5 * (off / np.where(off < 0, EARLY, LATE)) ** 2) * np.log1p(found.times)
        inside = found.items < n_items
        result[found.items[inside]] = strength[inside]
        return result

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """An item speaks for itself here."""
        return np.full(len(wanted), -1, dtype=np.int32)

    def intervals(self, now: int) -> Intervals:
        """As of `now`, from the purchases that the user's history still holds."""
        times, rows = self._state.past(self._user, now).orders
        known = rows["item"] >= 0
        items, times = rows["item"][known], times[known]
        order = np.argsort(items, kind="stable")
        items, times = items[order], times[order]
        again = np.zeros(len(items), dtype=np.bool_)
        again[1:] = items[1:] == items[:-1]
        begins = ~again
        begins[1:] |= times[1:] - times[:-1] >= SAME_VISIT
        items, times, again = items[begins], times[begins], again[begins]
        first = np.flatnonzero(~again)
        last = np.append(first[1:], len(items)) - 1
        bought = last - first + 1
        often = bought > 1
        first, last, bought = first[often], last[often], bought[often]
        days = (times[last] - times[first]) / DAY / np.maximum(bought - 1, 1)
        age = (now - times[last]) / DAY
        return Intervals(items[first], bought, np.maximum(days, LEAST_DAYS).astype(np.float32), age.astype(np.float32))
