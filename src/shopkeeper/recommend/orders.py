"""Order lines of known users as columns: what recall models are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Orders:
    """n order lines in order of time, all (n,): rows of user and item, moment in microseconds.

    `item_ids[i]` is the id of item i; an artifact keeps them, so that it can serve where rows differ.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    item_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    @classmethod
    def from_events(cls, events: EventBatch, order_type: int, item_ids: tuple[str, ...]) -> Orders:
        """The events of type row `order_type` with a user and an item."""
        wanted = (events.type == order_type) & (events.user >= 0) & (events.item >= 0)
        where = np.flatnonzero(wanted)
        where = where[np.argsort(events.time[where], kind="stable")]
        return cls(events.user[where], events.item[where], events.time[where], item_ids)

    def between(self, start: int | None, end: int | None) -> Orders:
        """Lines with start <= time < end; None: no bound."""
        a = 0 if start is None else int(np.searchsorted(self.time, start))
        b = len(self) if end is None else int(np.searchsorted(self.time, end))
        return Orders(self.user[a:b], self.item[a:b], self.time[a:b], self.item_ids)

    def pairs(self) -> Orders:
        """One line for each (user, item): the last one."""
        key = self.user.astype(np.int64) * max(self.n_items, 1) + self.item
        _, newest = np.unique(key[::-1], return_index=True)
        where = np.sort(len(self) - 1 - newest)
        return Orders(self.user[where], self.item[where], self.time[where], self.item_ids)

    def matrix(self, now: int, half_life_days: float | None) -> csr_matrix[Any]:
        """(users, n_items) float32: how fresh the last purchase of a pair is at `now`, 0.5 ** (age / half life).

        None: 1 for every pair. Rows are the users that occur, in order of their row.
        """
        from scipy.sparse import csr_matrix

        pairs = self.pairs()
        users, row = np.unique(pairs.user, return_inverse=True)
        weight = freshness((now - pairs.time) / DAY, half_life_days)
        return csr_matrix((weight, (row, pairs.item)), shape=(len(users), self.n_items), dtype=np.float32)


def freshness(age_days: NDArray[np.float64], half_life_days: float | None) -> NDArray[np.float32]:
    """0.5 ** (age / half life), 1 for what lies ahead; None: 1 for all."""
    if half_life_days is None:
        return np.ones(len(age_days), dtype=np.float32)
    return np.exp2(-np.maximum(age_days, 0.0) / half_life_days).astype(np.float32)
