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


def generator(seed: int, *what: int) -> np.random.Generator:
    """The stream of numbers for one thing of a world: `generator(seed, DAYS, 17)`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *what])))


def choose(random: np.random.Generator, scores: Floats, counts: Ints) -> Ints:
    """From each row of `scores` (rows, things) `counts` (rows,) things, each with probability softmax(row).

    Returns (sum of counts,) things, row after row; the same thing may come twice.
    """
    rows, things = scores.shape
    sums = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
    sums /= sums[:, -1:]
    row = np.repeat(np.arange(rows), counts)
    found = np.searchsorted((sums + np.arange(rows)[:, None]).ravel(), row + random.random(len(row)), side="right")
    chosen: Ints = np.minimum(found - row * things, things - 1)
    return chosen


def sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x))
