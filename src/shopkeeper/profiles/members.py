"""Who is in one segment, in memory: arrays by user row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.base import grown
from shopkeeper.profiles.watch import Watched
from shopkeeper.stores.spans import Change

Rows: TypeAlias = NDArray[np.int64]
News: TypeAlias = tuple[Change, bool]
"""A change, and whether webhooks hear of it."""


@dataclass
class Members:
    """All arrays are at least as long as users are known.

    `since` us: when `inside` last changed; 0: not since the shop was opened. `unseen`: not looked at since the segment
    was made or changed; whoever is found inside then is not told of. `quiet`: the last change was not told of.
    """

    watched: Watched
    inside: NDArray[np.bool_]
    since: Rows
    unseen: NDArray[np.bool_]
    quiet: NDArray[np.bool_]

    @classmethod
    def none(cls, watched: Watched, n: int) -> Members:
        inside, unseen, quiet = (np.zeros(n, dtype=np.bool_) for _ in range(3))
        return cls(watched, inside, np.zeros(n, dtype=np.int64), unseen, quiet)

    def grow(self, n: int) -> None:
        self.inside, self.since = grown(self.inside, n), grown(self.since, n)
        self.unseen, self.quiet = grown(self.unseen, n), grown(self.quiet, n)

    def change(self, name: str, rows: Rows, holds: NDArray[np.bool_], now: int | Rows) -> list[News]:
        """Takes up the answers for some users (k,), each once. Gives what changed."""
        quiet = self.unseen[rows]
        self.unseen[rows] = False
        changed = np.flatnonzero(holds != self.inside[rows])
        if not len(changed):
            return []
        where, entered, quiet = rows[changed], holds[changed], quiet[changed]
        # Whatever the clock says: nobody leaves before having entered, nor the other way round.
        times = np.maximum(np.broadcast_to(np.asarray(now), len(rows))[changed], self.since[where])
        self.inside[where], self.since[where], self.quiet[where] = entered, times, quiet
        columns = (where.tolist(), entered.tolist(), times.tolist(), (~quiet).tolist())
        return [(Change(name, row, enters, at), news) for row, enters, at, news in zip(*columns, strict=True)]

    def forget(self, row: int) -> None:
        if row < len(self.inside):
            self.inside[row] = self.unseen[row] = self.quiet[row] = False
            self.since[row] = 0
