"""Votes: what was taken speaks for other items. Every channel that works by neighbours counts them with these lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Votes(NamedTuple):
    """m votes: for which item (row or place), how strong, and who gave it: a position in the history; all (m,)."""

    others: NDArray[Any]
    shares: NDArray[np.float32]
    voters: NDArray[Any]

    @classmethod
    def of(cls, lists: Sequence[tuple[NDArray[Any], NDArray[np.float32]]], weights: NDArray[np.float32]) -> Votes:
        """One list (items, shares) of each voter, which counts `weights` times."""
        if not lists:
            return NOBODY
        sizes = [len(others) for others, _ in lists]
        return cls(
            np.concatenate([others for others, _ in lists]),
            np.concatenate([shares for _, shares in lists]) * np.repeat(weights, sizes),
            np.repeat(np.arange(len(lists)), sizes),
        )

    def tally(self, n_items: int) -> NDArray[np.float32]:
        """float32 (n_items,): the sum of the votes for each; what lies beyond is passed over."""
        return np.bincount(self.others, weights=self.shares, minlength=n_items)[:n_items].astype(np.float32)

    def loudest(self, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """For each of the (distinct) wanted items who gave it the largest vote above 0, -1: nobody."""
        result = np.full(len(wanted), -1, dtype=np.int32)
        if not len(wanted) or not len(self.others):
            return result
        place = np.full(max(int(wanted.max()), int(self.others.max())) + 1, -1, dtype=np.int32)
        place[wanted] = np.arange(len(wanted), dtype=np.int32)
        target = place[self.others]
        found = np.flatnonzero((target >= 0) & (self.shares > 0))
        # numpy assigns repeated positions in order: the largest vote, written last, stays.
        found = found[np.argsort(self.shares[found], kind="stable")]
        result[target[found]] = self.voters[found]
        return result


NOBODY = Votes(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64))
