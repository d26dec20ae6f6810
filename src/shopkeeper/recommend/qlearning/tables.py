"""Small worlds that are known whole: transitions by state and action, and what the best policy is worth in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.recommend.qlearning.environment import Outcome
from shopkeeper.recommend.qlearning.steps import Floats, Ints, State


@dataclass(frozen=True)
class Tables:
    """By state, action and what may happen: `chances` (s, a, k) that sum to 1, `afters`, `rewards`, `ends`. `starts`
    (s,): where episodes begin, with which chance; `steps`: after how many they are cut."""

    chances: Floats
    afters: Ints
    rewards: Floats
    ends: NDArray[np.bool_]
    starts: Floats
    steps: int

    def __post_init__(self) -> None:
        if not np.allclose(self.chances.sum(axis=2), 1.0) or not np.isclose(self.starts.sum(), 1.0):
            raise Invalid("chances of what happens after each action, and of where episodes begin, must sum to 1")

    def optimum(self, gamma: float) -> tuple[Floats, Ints]:
        """Value iteration: what each state is worth (s,) under the best policy, and that policy (s,)."""
        values: Floats = np.zeros(len(self.chances))
        while True:
            q = self.q(values, gamma)
            better = q.max(axis=1)
            if np.abs(better - values).max() < 1e-10:
                return better, q.argmax(axis=1)
            values = better

    def q(self, values: Floats, gamma: float) -> Floats:
        """(s, a): what actions are worth where states are worth `values` (s,)."""
        after = np.where(self.ends, 0.0, values[self.afters])
        found: Floats = (self.chances * (self.rewards + gamma * after)).sum(axis=2)
        return found

    def earned(self, policy: Ints) -> float:
        """The expected reward, undiscounted, of an episode of at most `steps` by a policy (s,): exact, nothing is
        drawn."""
        rows = np.arange(len(self.chances))
        chances, afters = self.chances[rows, policy], self.afters[rows, policy]
        rewards, ends = self.rewards[rows, policy], self.ends[rows, policy]
        there = self.starts
        total = 0.0
        for _ in range(self.steps):
            flow = there[:, None] * chances
            total += float((flow * rewards).sum())
            left = np.where(ends, 0.0, flow)
            there = np.zeros(len(there))
            np.add.at(there, afters, left)
        return total


class TableWorld:
    """An environment over such tables; a state is its index."""

    states = "index"

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.state_size, self.actions = tables.chances.shape[:2]
        self._lines = tables.chances.cumsum(axis=2)
        self._begin = tables.starts.cumsum()
        self._random = np.random.default_rng(0)
        self._at, self._left = -1, 0

    def reset(self, seed: int) -> State:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._at = min(int(np.searchsorted(self._begin, self._random.random(), side="right")), self.state_size - 1)
        self._left = self._tables.steps
        return np.array([float(self._at)])

    def step(self, action: int) -> Outcome:
        if self._left <= 0:
            raise Conflict("this episode has ended; begin another", code="episode_over")
        line = self._lines[self._at, action]
        what = min(int(np.searchsorted(line, self._random.random(), side="right")), len(line) - 1)
        place = (self._at, action, what)
        done = bool(self._tables.ends[place])
        reward = float(self._tables.rewards[place])
        self._at = int(self._tables.afters[place])
        self._left = 0 if done else self._left - 1
        return Outcome(np.array([float(self._at)]), reward, done, cut=not done and self._left == 0)
