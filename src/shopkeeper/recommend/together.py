"""The channel `together`: what others ordered within a day of what the user took lately, counted live, without a model.

An event counts at the next question: a neighbour list is kept only as long as none of its counts has changed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.history import History
from shopkeeper.recommend.recall.votes import Votes

SEEDS = 12
NEIGHBOURS = 400
SHRINK = 10.0
LEAST = 2
HALF_LIFE_DAYS = 30.0
_KEPT_LISTS = 8192


class _Row(NamedTuple):
    """`others` int32 (m,) and how often each was ordered together with the item, float32 (m,)."""

    changed: int
    others: NDArray[np.int32]
    counts: NDArray[np.float32]


class Together:
    """Sum over the newest seeds of weight x pairs / sqrt(lines of the one x of the other), small counts doubted.

    A list holds the 400 items most often ordered together with its item, at least twice: 3 KiB, of 8,192 items.
    """

    def __init__(self, state: FeatureState) -> None:
        self._state = state
        self._rows: dict[int, _Row] = {}

    def scores(self, history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        return self._votes(history).tally(n_items)

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return self._votes(history).loudest(wanted)

    def _votes(self, history: History) -> Votes:
        lines = self._state.part(ItemFacts).lines
        seeds = history.items[:SEEDS]
        rows = [self._row(seed) for seed in seeds.tolist()]
        own = np.append(lines, 0)[np.minimum(seeds, len(lines))]  # 0: no event has named it
        found = Votes.of([(row.others, row.counts) for row in rows], _scaled(history, own))
        found.shares[:] /= np.sqrt(lines[found.others] + np.float32(SHRINK))
        return found

    def _row(self, item: int) -> _Row:
        pairs, size = self._state.part(CoPurchases), self._state.n_items
        kept = self._rows.get(item)
        if kept is not None and kept.changed == pairs.changed(item):
            return kept
        counts = pairs.row(item, size)
        others = np.flatnonzero(counts >= LEAST)
        if len(others) > NEIGHBOURS:
            others = others[np.argsort(counts[others].max() - counts[others], kind="stable")[:NEIGHBOURS]]
        row = _Row(pairs.changed(item), others.astype(np.int32), counts[others].astype(np.float32))
        self._rows.pop(item, None)
        self._rows[item] = row
        if len(self._rows) > _KEPT_LISTS:
            del self._rows[next(iter(self._rows))]
        return row


def _scaled(history: History, lines: NDArray[np.int32]) -> NDArray[np.float32]:
    weights = history.weights(HALF_LIFE_DAYS)[:SEEDS]
    return np.asarray(weights / np.sqrt(lines + SHRINK), dtype=np.float32)
