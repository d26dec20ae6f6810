"""The channels of a shop asked as of a past moment: each alone, fused by a scenario, and fused without one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.suggest_recall import ModelsInHand
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.asking import Channels, Question, Told
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.candidates import Quota, fuse
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.history import History, history_of
from shopkeeper.recommend.recall.model import best
from shopkeeper.recommend.shoplog import ShopLog, read_shop

DEPTH = 200
ADDED = Quota("", 80, 0.5)
"""What a channel gets that a scenario does not name, when it is added on trial."""
Scores = Mapping[str, NDArray[np.float32]]
Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Answer:
    """What the channels said to one user, and what that user has bought before."""

    scores: Scores
    bought: Rows
    n_items: int

    def alone(self, name: str, *, new: bool) -> Rows:
        """The best DEPTH of a channel; `new`: of what was never bought before."""
        if name not in self.scores:
            return np.empty(0, dtype=np.int32)
        return best(self.scores[name] * self._mask(new), DEPTH)

    def fused(self, quotas: Sequence[Quota], *, new: bool) -> Rows:
        return fuse(self.scores, quotas, self._mask(new), DEPTH).items

    def _mask(self, new: bool) -> NDArray[np.bool_]:
        mask = np.ones(self.n_items, dtype=np.bool_)
        if new:
            mask[self.bought] = False
        return mask


class Past:
    """A shop's log and catalogue, moved on from moment to moment. What is said of items is that of today."""

    def __init__(self, shop: Shop, source: TrainingContext) -> None:
        self.log: ShopLog = read_shop(source, silent)
        self.state = FeatureState(ZoneInfo(source.zone), self.log.types)
        self._told = Told(ContentIndex(shop.catalog))
        self._done = 0

    def until(self, moment: int) -> None:
        """The state holds everything before the moment."""
        end = int(np.searchsorted(self.log.events.time, moment))
        self.state.apply(self.log.events.take(slice(self._done, end)))
        self._done = end

    def channels(self, models: dict[str, Any]) -> Channels:
        return Channels(self.state, Binder(ModelsInHand(models), self.log.item_ids), None, self._told)

    def ask(self, channels: Channels, names: Sequence[str], user: int, now: int) -> Answer:
        history: History = history_of(self.state, user, now)
        n_items, scores = len(self.log.item_ids), {}
        for name in names:
            try:
                asked = channels.find(name, Question(user, now))
            except Unavailable as error:
                raise SystemExit(f"channel {name}: {error.message}") from error
            if asked is not None:
                scores[name] = asked.channel.scores(history, now, n_items)
        return Answer(scores, history.items[history.bought], n_items)


def without(quotas: Sequence[Quota], name: str) -> tuple[Quota, ...]:
    return tuple(each for each in quotas if each.channel != name)


def beside(quotas: Sequence[Quota], name: str) -> tuple[Quota, ...]:
    return (*quotas, Quota(name, ADDED.quota, ADDED.weight))


def stacked(lists: Sequence[Rows]) -> Rows:
    """(n, DEPTH), -1 where a list ended."""
    result = np.full((len(lists), DEPTH), -1, dtype=np.int32)
    for row, each in enumerate(lists):
        result[row, : len(each)] = each
    return result
