"""What a user has taken and looked at: the question that recall answers. One code for training and serving."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.history import UserHistories
from shopkeeper.features.kinds import Role
from shopkeeper.features.purchases import Purchases
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.orders import freshness

MOST_ITEMS = 300
INTEREST_DAYS = 30
INTEREST_WEIGHT = 0.5
_UNWANTED = ("dislike", "dismiss", "report")


@dataclass(frozen=True)
class History:
    """Distinct items, all (m,): the freshest first. `lines` counts order lines, 0: only looked at. `given`: a page or a
    basket, whose number of items tells nothing of how well a user is known."""

    items: NDArray[np.int32]
    age_days: NDArray[np.float64]
    lines: NDArray[np.int32]
    given: bool = False

    def __len__(self) -> int:
        return len(self.items)

    @property
    def bought(self) -> NDArray[np.bool_]:
        return self.lines > 0

    def weights(self, half_life_days: float | None) -> NDArray[np.float32]:
        """Freshness, halved for what was only looked at."""
        found = self._weights.get(half_life_days)
        if found is None:
            kind = np.where(self.lines > 0, 1.0, INTEREST_WEIGHT).astype(np.float32)
            found = self._weights[half_life_days] = freshness(self.age_days, half_life_days) * kind
        return found

    @cached_property
    def _weights(self) -> dict[float | None, NDArray[np.float32]]:
        return {}


def history_of(state: FeatureState, user: int, now: int) -> History:
    """The user's purchases and recent interest as of `now`; empty for a user that nobody knows (-1).

    `state` must hold only what lies before the question: training replays the log, serving follows it.
    """
    basket = state.part(Purchases).of(user)
    looked, seen = _interest(state, user, now)
    fresh = ~basket.find(looked)[1]
    looked, seen = looked[fresh], seen[fresh]
    items = np.concatenate([basket.items, looked])
    last = np.concatenate([basket.last, seen])
    lines = np.concatenate([basket.times, np.zeros(len(looked), dtype=np.int32)])
    order = np.argsort(-last, kind="stable")[:MOST_ITEMS]
    return History(items[order], (now - last[order]) / DAY, lines[order])


def given_items(items: NDArray[np.int32]) -> History:
    """A basket or a page: items that matter now, whoever asks."""
    return History(items, np.zeros(len(items)), np.ones(len(items), dtype=np.int32), given=True)


def unwanted(state: FeatureState, user: int, now: int) -> NDArray[np.int32]:
    """Items that the user disliked, dismissed or reported, within what the history still holds."""
    if state.part(UserHistories).get(user) is None:
        return _NOTHING
    past = state.past(user, now)
    rows = [row for name in _UNWANTED if (row := state.kinds.row(name)) is not None]
    if not rows or not len(past.times):
        return _NOTHING
    items: NDArray[np.int32] = past.rows["item"][np.isin(past.rows["type"], rows)]
    return np.unique(items[items >= 0])


def _interest(state: FeatureState, user: int, now: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(distinct items looked at in the last 30 days, when last)."""
    if state.part(UserHistories).get(user) is None:
        return _NOTHING, _NO_TIMES
    past = state.past(user, now)
    start = past.start(INTEREST_DAYS * DAY)
    wanted = np.flatnonzero((past.roles[start:] == Role.INTEREST) & (past.rows["item"][start:] >= 0)) + start
    if not len(wanted):
        return _NOTHING, _NO_TIMES
    items, newest = np.unique(past.rows["item"][wanted][::-1], return_index=True)
    return items, past.times[wanted][::-1][newest]


_NOTHING = np.empty(0, dtype=np.int32)
_NO_TIMES = np.empty(0, dtype=np.int64)
