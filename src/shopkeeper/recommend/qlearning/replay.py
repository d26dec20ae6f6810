"""Steps that are kept to be learned again: the newest `size`, drawn evenly or by how surprising they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.qlearning.steps import Floats, Ints
from shopkeeper.recommend.qlearning.sumtree import SumTree

BETA_DRAWS: Final = 20_000
"""After so many draws the weights make up for the priorities in full."""
_LEAST: Final = 1e-2
"""Added to a surprise, so that what went as expected comes again, too."""


@dataclass(frozen=True)
class Batch:
    """n drawn steps; `weights` (n,) are 1 where all were as likely."""

    places: Ints
    states: Floats
    actions: Ints
    rewards: Floats
    afters: Floats
    done: NDArray[np.bool_]
    weights: Floats


class Replay:
    """A ring of `size` steps with states of `width` numbers."""

    def __init__(self, size: int, width: int) -> None:
        self.size = size
        self._states = np.zeros((size, width))
        self._afters = np.zeros((size, width))
        self._actions = np.zeros(size, dtype=np.int64)
        self._rewards = np.zeros(size)
        self._done = np.zeros(size, dtype=np.bool_)
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, state: Floats, action: int, reward: float, after: Floats, done: bool) -> None:
        place = self.added % self.size
        self._states[place], self._afters[place] = state, after
        self._actions[place], self._rewards[place], self._done[place] = action, reward, done
        self.added += 1

    def draw(self, random: np.random.Generator, n: int) -> Batch:
        """n steps, the same one perhaps twice."""
        places = random.integers(0, len(self), n)
        return self._batch(places, np.ones(n))

    def learned(self, places: Ints, surprises: Floats) -> None:
        """By how much the drawn steps were other than expected."""

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What has to be kept to go on from here."""
        n = len(self)
        return {
            "states": self._states[:n],
            "afters": self._afters[:n],
            "actions": self._actions[:n],
            "rewards": self._rewards[:n],
            "done": self._done[:n],
            "added": np.array([self.added], dtype=np.int64),
        }

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        n = len(arrays["actions"])
        self._states[:n], self._afters[:n] = arrays["states"], arrays["afters"]
        self._actions[:n], self._rewards[:n], self._done[:n] = arrays["actions"], arrays["rewards"], arrays["done"]
        self.added = int(arrays["added"][0])

    def _batch(self, places: Ints, weights: Floats) -> Batch:
        return Batch(
            places,
            self._states[places],
            self._actions[places],
            self._rewards[places],
            self._afters[places],
            self._done[places],
            weights,
        )


class PrioritisedReplay(Replay):
    """Schaul et al., "Prioritized Experience Replay" (2016), proportional: a step is drawn with p = surprise^alpha, and
    counts by (n p)^-beta over the greatest such weight; beta goes from its beginning to 1. New steps come first."""

    def __init__(self, size: int, width: int, alpha: float, beta: float) -> None:
        super().__init__(size, width)
        self._alpha, self._beta = alpha, beta
        self._tree = SumTree(size)
        self._greatest = 1.0
        self._draws = 0

    def add(self, state: Floats, action: int, reward: float, after: Floats, done: bool) -> None:
        place = self.added % self.size
        super().add(state, action, reward, after, done)
        self._tree.put(np.array([place]), np.array([self._greatest**self._alpha]))

    def draw(self, random: np.random.Generator, n: int) -> Batch:
        """One of each of n equal parts of the sum."""
        total = self._tree.total
        places = self._tree.find((np.arange(n) + random.random(n)) * (total / n))
        places = np.minimum(places, len(self) - 1)
        beta = self._beta + (1.0 - self._beta) * min(1.0, self._draws / BETA_DRAWS)
        self._draws += 1
        weights = (len(self) * self._tree.weights(places) / total) ** -beta
        return self._batch(places, weights / weights.max())

    def learned(self, places: Ints, surprises: Floats) -> None:
        priorities = np.abs(surprises) + _LEAST
        self._greatest = max(self._greatest, float(priorities.max()))
        self._tree.put(places, priorities**self._alpha)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        kept = super().arrays()
        kept["weights"] = self._tree.weights(np.arange(len(self)))
        kept["drawing"] = np.array([self._greatest, self._draws])
        return kept

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        super().restore(arrays)
        n = len(self)
        if n:
            self._tree.put(np.arange(n), np.asarray(arrays["weights"], dtype=np.float64))
        greatest, draws = np.asarray(arrays["drawing"], dtype=np.float64)
        self._greatest, self._draws = float(greatest), int(draws)
