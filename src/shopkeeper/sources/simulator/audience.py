"""People who are shown slates and remember them: the environment in which policies act.

audience = Audience(ResponseModel.version("v1"), seed=7)
answer = audience.show(users, items, at)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.sources.simulator.draws import CLICKS, Floats, Ints, generator
from shopkeeper.sources.simulator.responses import ResponseModel


@dataclass(frozen=True)
class Answer:
    """To m slates of k items: `clicked` (m, k), the `chances` it was drawn from, and who `stays` for another (m,)."""

    clicked: NDArray[np.bool_]
    chances: Floats
    stays: NDArray[np.bool_]


class Audience:
    """The same calls in the same order give the same clicks. Times go forward, for each person."""

    def __init__(self, model: ResponseModel, seed: int) -> None:
        self.model = model
        self._random = generator(seed, CLICKS)
        self._places = np.full(len(model.user_ids), -1, dtype=np.int64)
        self._shown = np.empty((0, len(model.item_ids)), dtype=np.float32)
        self._since = np.empty(0, dtype=np.int64)
        self._met = 0

    def tired(self, users: Ints, at: int) -> Floats:
        """How often each item was shown to people (m, items) lately; NaN for never."""
        place = self._places[users]
        shown = np.full((len(users), self._shown.shape[1]), np.nan)
        met = place >= 0
        days = (at - self._since[place[met]]) / DAY
        shown[met] = self._shown[place[met]] * (0.5 ** (days / self.model.numbers.half_life))[:, None]
        return shown

    def chances(self, users: Ints, items: Ints, at: int) -> Floats:
        """The chance of a click (m, k) if these slates were shown now; nothing is shown."""
        return self.model.chances(users, items, at, np.take_along_axis(self.tired(users, at), items, axis=1))

    def show(self, users: Ints, items: Ints, at: int) -> Answer:
        """Shows slates (m, k) to people (m,), each once, at a time (us). Raises Invalid for a person or an item twice.

        A slate shown counts for each item by the chance that its place is seen.
        """
        if len(np.unique(users)) < len(users) or any(len(set(slate)) < len(slate) for slate in items.tolist()):
            raise Invalid("a person twice in one call, or an item twice on a slate; show them one after another")
        before = self.tired(users, at)
        tired = np.take_along_axis(before, items, axis=1)
        chances = self.model.chances(users, items, at, tired)
        clicked = self._random.random(chances.shape) < chances
        stays = self._random.random(len(users)) < self.model.stays(clicked, tired)
        after = np.nan_to_num(tired) + self.model.looks(items.shape[1])
        np.put_along_axis(before, items, after, axis=1)
        self._keep(users, before, at)
        return Answer(clicked, chances, stays)

    def _keep(self, users: Ints, shown: Floats, at: int) -> None:
        new = users[self._places[users] < 0]
        self._places[new] = np.arange(self._met, self._met + len(new))
        self._met += len(new)
        if self._met > len(self._shown):
            more = max(self._met, 2 * len(self._shown)) - len(self._shown)
            self._shown = np.concatenate([self._shown, np.full((more, self._shown.shape[1]), np.nan, np.float32)])
            self._since = np.concatenate([self._since, np.zeros(more, dtype=np.int64)])
        place = self._places[users]
        self._shown[place] = shown
        self._since[place] = at
