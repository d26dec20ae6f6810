"""Q-learning with a table: one value for each state and action."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.qlearning.agent import Agent, Values, replay_of
from shopkeeper.recommend.qlearning.config import MOST_KEYS, AgentConfig
from shopkeeper.recommend.qlearning.steps import Floats, Transition


class TabularAgent(Agent):
    """Watkins (1989). A state gets a row when it is first met. With `replays` it learns kept steps again, as Dyna-Q
    does with a model that is the memory itself (Sutton 1990; Lin 1992)."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__(config)
        self._rows: dict[bytes, int] = {}
        self._q = np.full((16, config.action_size), config.initial_value)
        self._most = min(config.rows, MOST_KEYS // config.width)
        self._kept = replay_of(config, 1) if config.again else None

    def keys(self, states: Floats) -> NDArray[np.int32]:
        """(m, width): an index as it is, of a vector the bin of each number."""
        if self.config.states == "index":
            return states.astype(np.int32)
        span = self.config.high - self.config.low
        bins = np.floor((states - self.config.low) / span * self.config.bins)
        return np.clip(bins, 0, self.config.bins - 1).astype(np.int32)

    @property
    def table(self) -> tuple[NDArray[np.int32], Floats]:
        """The keys of all states met so far (n, width), in that order, and their values (n, actions)."""
        n = len(self._rows)
        keys = np.frombuffer(b"".join(self._rows), dtype=np.int32).reshape(n, self.config.width)
        return keys, self._q[:n]

    def values(self, states: Floats) -> Floats:
        rows = np.array([self._rows.get(key.tobytes(), -1) for key in self.keys(states)])
        return np.where(rows[:, None] >= 0, self._q[np.maximum(rows, 0)], self.config.initial_value)

    def frozen(self) -> Values:
        other = copy.copy(self)
        other._rows, other._q = dict(self._rows), self._q.copy()
        return other.values

    def _learn(self, step: Transition) -> float:
        row, after = (self._row(key.tobytes()) for key in self.keys(np.stack([step.state, step.after])))
        best = self.config.initial_value if after < 0 else float(self._q[after].max())
        target = step.reward + (0.0 if step.done else self.config.gamma * best)
        surprise = target - (self.config.initial_value if row < 0 else float(self._q[row, step.action]))
        if row >= 0:
            self._q[row, step.action] += self.config.rate * surprise
        if self._kept is not None and row >= 0 and after >= 0:
            self._kept.add(np.array([row]), step.action, step.reward, np.array([after]), step.done)
            self._again()
        return surprise

    def _again(self) -> None:
        """Of a cell that is drawn twice the last counts."""
        assert self._kept is not None
        drawn = self._kept.draw(self.random, self.config.again)
        rows, afters = drawn.states[:, 0].astype(np.int64), drawn.afters[:, 0].astype(np.int64)
        best = np.where(drawn.done, 0.0, self._q[afters].max(axis=1))
        surprises = drawn.rewards + self.config.gamma * best - self._q[rows, drawn.actions]
        self._q[rows, drawn.actions] += self.config.rate * drawn.weights * surprises
        self._kept.learned(drawn.places, surprises)

    def _row(self, key: bytes) -> int:
        """-1: the table is full, and this state is new."""
        row = self._rows.get(key)
        if row is not None:
            return row
        row = len(self._rows)
        if row >= self._most:
            return -1
        self._rows[key] = row
        if row >= len(self._q):
            more = np.full((len(self._q), self.config.action_size), self.config.initial_value)
            self._q = np.concatenate([self._q, more])
        return row

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        keys, q = self.table
        kept = {} if self._kept is None else {f"kept_{name}": one for name, one in self._kept.arrays().items()}
        return {"keys": keys, "q": q, **kept}

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        keys: Any = np.ascontiguousarray(arrays["keys"], dtype=np.int32)
        self._rows = {key.tobytes(): row for row, key in enumerate(keys)}
        self._q = np.array(arrays["q"], dtype=np.float64)
        if not len(self._q):
            self._q = np.full((16, self.config.action_size), self.config.initial_value)
        if self._kept is not None:
            self._kept.restore(part_of(arrays, "kept_"))


def part_of(arrays: dict[str, NDArray[np.generic]], prefix: str) -> dict[str, NDArray[np.generic]]:
    """Those whose name begins so, without that beginning."""
    return {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}
