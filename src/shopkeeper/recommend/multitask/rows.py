"""Rows that models of several tasks learn from and are measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.dealing import stratified
from shopkeeper.recommend.multitask.tasks import Task
from shopkeeper.recommend.ranking.rows import RankRows

STOPPING = 0.15
_FEWEST = 20


@dataclass(frozen=True)
class TaskRows:
    """n rows with t labels: `labels` float32 (n, t) in the order of `tasks`, NaN where a task is not known.

    `rows` holds the features, the weights and the order; its own label is that of the first task.
    """

    tasks: tuple[Task, ...]
    rows: RankRows
    labels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def stopping(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(places to learn from, places to stop by): the last 15 % by time, whole lists; else drawn by label."""
        n = len(self)
        every = np.arange(n)
        if n < _FEWEST:
            return every, every
        if not self.rows.by_time:
            later = stratified(strata(self.tasks, self.labels), STOPPING, np.random.default_rng(seed).random(n))
            return np.flatnonzero(~later), np.flatnonzero(later)
        cut = int(n * (1 - STOPPING))
        if self.rows.lists is not None:
            cut = int(np.searchsorted(self.rows.lists.number, self.rows.lists.number[cut]))
        return every[:cut], every[cut:]


def strata(tasks: tuple[Task, ...], labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) a number for each combination of labels: yes, no or not known; of an amount, whether there is one."""
    code = np.zeros(len(labels), dtype=np.int64)
    for at in range(len(tasks)):
        values = labels[:, at]
        code = code * 3 + np.where(np.isfinite(values), (values > 0).astype(np.int64), 2)
    _, number = np.unique(code, return_inverse=True)
    return number.astype(np.float32)
