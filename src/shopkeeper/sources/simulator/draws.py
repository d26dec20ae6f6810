"""Chance that can be asked again: a draw of a world hangs on its seed and on what is drawn, not on earlier ones."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TASTES: Final = 1
PEOPLE: Final = 2
PRODUCTS: Final = 3
APPS: Final = 4
DAYS: Final = 5
OFFERS: Final = 6
CLICKS: Final = 7
_IN_CACHE: Final = 1 << 15
"""Numbers at a time, so that they stay near the processor."""


def generator(seed: int, *what: int) -> np.random.Generator:
    """The stream of numbers for one thing of a world: `generator(seed, DAYS, 17)`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *what])))


def choose(random: np.random.Generator, scores: Floats, counts: Ints) -> Ints:
    """From each row of `scores` (rows, things) `counts` (rows,) things, each with probability softmax(row).

    Returns (sum of counts,) things, row after row; the same thing may come twice.
    """
    ends = np.cumsum(counts)
    draws = random.random(int(ends[-1]) if len(ends) else 0)
    chosen = np.empty(len(draws), dtype=np.int64)
    step = max(1, _IN_CACHE // scores.shape[1])
    for row in range(0, len(scores), step):
        rows = slice(row, row + step)
        mine = slice(ends[row] - counts[row], ends[rows][-1])
        chosen[mine] = _chosen(scores[rows], counts[rows], draws[mine])
    return chosen


def _chosen(scores: Floats, counts: Ints, draws: Floats) -> Ints:
    """The weights of all rows end to end on one line; a draw is a point in its row's part of it."""
    rows, things = scores.shape
    weights = scores - scores.max(axis=1, keepdims=True)
    line = np.cumsum(np.exp(weights, out=weights).ravel())
    row = np.repeat(np.arange(rows), counts)
    end = line[things - 1 :: things]
    begin = np.concatenate([[0.0], end[:-1]])
    at = np.searchsorted(line, begin[row] + draws * (end - begin)[row], side="right") - row * things
    found: Ints = np.clip(at, 0, things - 1)
    return found


def sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x))
