"""The channels `similar` and `basket`: several channels asked about a few items, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.channels import Channel
from shopkeeper.recommend.history import History


@dataclass(frozen=True)
class Blend:
    """Sum of weight x score over the highest score of each part. The items are the first `most` of the history, or
    `items` where there are some: an open basket, say."""

    parts: Sequence[tuple[Channel, float]]
    most: int
    items: History | None = None

    def scores(self, history: History, now: int, n_items: int) -> NDArray[np.float32]:
        about = self._about(history)
        result = np.zeros(n_items, dtype=np.float32)
        for channel, weight in self.parts:
            found = np.maximum(channel.scores(about, now, n_items), 0)  # its own array: a channel may keep what it gave
            found[about.items[about.items < n_items]] = 0  # what it is about is no answer
            if (top := float(found.max(initial=0))) > 0:
                result += found * np.float32(weight / top)
        return result

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """The voice of the first part that names one; -1 where it is not in the history."""
        about = self._about(history)
        result = np.full(len(wanted), -1, dtype=np.int32)
        for channel, _ in self.parts:
            open_ = np.flatnonzero(result < 0)
            if len(open_):
                result[open_] = channel.because(about, wanted[open_])
        if self.items is None or not len(history.items):
            return result if self.items is None else np.full(len(wanted), -1, dtype=np.int32)
        match = about.items[np.maximum(result, 0), None] == history.items[None, :]
        return np.where((result >= 0) & match.any(axis=1), match.argmax(axis=1), -1).astype(np.int32)

    def _about(self, history: History) -> History:
        of = history if self.items is None else self.items
        return History(of.items[: self.most], of.age_days[: self.most], of.lines[: self.most], given=True)
