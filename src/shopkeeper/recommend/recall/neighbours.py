"""Recall by neighbours: each item names a few others with a weight; what a user took votes for its neighbours.

Item-kNN and EASE train such a table in different ways and serve it by the same few lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.compiled import Compiled
from shopkeeper.recommend.recall.votes import Votes

_ARRAYS = "neighbours.npz"
_FACTS = "neighbours.json"


@dataclass(frozen=True)
class Neighbours:
    """`start` int64 (n + 1,), `other` int32 and `weight` float32 (n_pairs,): the neighbours of item i lie at
    start[i]:start[i + 1]. The artifact is n_pairs x 8 bytes."""

    item_ids: tuple[str, ...]
    start: NDArray[np.int64]
    other: NDArray[np.int32]
    weight: NDArray[np.float32]
    half_life_days: float | None = None
    feature_names: tuple[str, ...] = ()

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,): the sum of weight x neighbour weight over the taken items."""
        if TALLY.form is not None:
            found: NDArray[np.float32] = TALLY.form(
                self.start, self.other, self.weight, items, weights, len(self.item_ids)
            )
            return found
        other, weight = self._table
        votes = weight[items] * weights[:, None]
        return np.bincount(other[items].ravel(), votes.ravel(), len(self.item_ids)).astype(np.float32)

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """For each of the (distinct) wanted items the position of the taken one with the largest vote, -1: none."""
        return self._votes(items, weights).loudest(wanted)

    def save(self, folder: Path) -> None:
        np.savez(folder / _ARRAYS, start=self.start, other=self.other, weight=self.weight)
        facts = {"item_ids": list(self.item_ids), "half_life_days": self.half_life_days}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Neighbours:
        """Raises Invalid when the files do not fit together."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            loaded = cls(
                item_ids=tuple(facts["item_ids"]),
                start=arrays["start"],
                other=arrays["other"],
                weight=arrays["weight"],
                half_life_days=facts["half_life_days"],
            )
        loaded._check()
        _ = loaded._table  # before the first question comes
        return loaded

    @classmethod
    def from_table(
        cls, table: NDArray[np.float32], item_ids: tuple[str, ...], k: int, half_life_days: float | None
    ) -> Neighbours:
        """Keeps the k largest weights (by size, sign kept) of each row of a dense (n, n) table; its diagonal is 0."""
        n = len(table)
        k = max(1, min(k, n))
        kept = [_largest(row, k) for row in table]
        start = np.concatenate([[0], np.cumsum([len(row) for row in kept])]).astype(np.int64)
        other = np.concatenate(kept) if kept else np.empty(0, dtype=np.int32)
        row = np.repeat(np.arange(n), np.diff(start))
        return cls(item_ids, start, other.astype(np.int32), table[row, other].astype(np.float32), half_life_days)

    @cached_property
    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The neighbours of item i and their weights as row i, (n, k); weight 0 where an item has fewer than k.

        Of the types that a count is made of: 16 bytes a neighbour, a question in a third of the time.
        """
        count = np.diff(self.start)
        n, k = len(count), int(count.max(initial=0))
        other, weight = np.zeros((n, k), dtype=np.int64), np.zeros((n, k), dtype=np.float64)
        row = np.repeat(np.arange(n), count)
        column = np.arange(len(row)) - np.repeat(self.start[:-1], count)
        other[row, column], weight[row, column] = self.other, self.weight
        return other, weight

    def _votes(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> Votes:
        begin = self.start[items]
        count = self.start[items + 1] - begin
        voter = np.repeat(np.arange(len(items)), count)
        where = np.arange(len(voter)) + np.repeat(begin - np.cumsum(count) + count, count)
        return Votes(self.other[where], self.weight[where] * weights[voter], voter)

    def _check(self) -> None:
        n, pairs = len(self.item_ids), len(self.other)
        fits = len(self.start) == n + 1 and len(self.weight) == pairs and int(self.start[-1]) == pairs
        inside = not pairs or (int(self.other.min()) >= 0 and int(self.other.max()) < n)
        if not fits or not inside or bool((np.diff(self.start) < 0).any()):
            raise Invalid("the neighbour table does not fit its item ids; train the model again", code="bad_artifact")


def _tally(start, other, weight, items, weights, n):  # type: ignore[no-untyped-def]
    """`Neighbours.scores` without the votes laid out in between; the same sums in the same order."""
    total = np.zeros(n, dtype=np.float64)
    for voter in range(len(items)):
        own = np.float64(weights[voter])
        for at in range(start[items[voter]], start[items[voter] + 1]):
            total[other[at]] += weight[at] * own
    return total.astype(np.float32)


TALLY = Compiled(_tally, "float32[::1](int64[::1],int32[::1],float32[::1],int32[::1],float32[::1],int64)")


def _largest(row: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k largest values by size, 0 left out, ties by position."""
    size = np.abs(row)
    if k < len(row):
        border = np.partition(size, len(row) - k)[len(row) - k]
        found = np.flatnonzero((size >= border) & (size > 0))
        return np.sort(found[np.argsort(-size[found], kind="stable")[:k]])
    return np.flatnonzero(size > 0)
