"""Rows that say when to stop growing: apart from those that are learned from, and never the held-out ones."""

from __future__ import annotations

import numpy as np

from shopkeeper.learning.dealing import stratified
from shopkeeper.recommend.ranking.rows import RankRows

VALIDATION = 0.15
_FEWEST = 20


def stopping_split(data: RankRows, seed: int) -> tuple[RankRows, RankRows]:
    """(rows to learn from, rows to stop by): the last 15 % by time, whole lists; random by class without a time."""
    n = len(data)
    if n < _FEWEST:
        return data.take(slice(None)), data.take(slice(None))
    if not data.by_time:
        later = stratified(data.label, VALIDATION, np.random.default_rng(seed).random(n))
        return data.take(~later), data.take(later)
    cut = int(n * (1 - VALIDATION))
    if data.lists is not None:
        cut = int(np.searchsorted(data.lists.number, data.lists.number[cut]))
    return data.take(slice(0, cut)), data.take(slice(cut, n))
