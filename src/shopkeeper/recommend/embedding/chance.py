"""Chance that belongs to a place, not to whose turn it is: the same numbers whoever draws them, and how many do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Seeds = NDArray[np.uint64]
_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

FACTOR, OFFSET = np.uint64(6364136223846793005), np.uint64(1442695040888963407)
"""state = state * FACTOR + OFFSET; its upper 32 bits are the number drawn (Knuth's MMIX)."""
UPPER = np.uint64(32)
UNIT = np.float64(2.0**-32)


def seeds_of(seed: int, lap: int, first: int, n: int) -> Seeds:
    """(n,) beginnings of the chances of the places from `first` on, in a lap of a training (splitmix64)."""
    with np.errstate(over="ignore"):
        base = _mixed(np.array([seed], dtype=np.uint64) * _STEP + np.uint64(lap))[0]
        return _mixed(base + np.arange(first + 1, first + n + 1, dtype=np.uint64) * _STEP)


def _mixed(z: Seeds) -> Seeds:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
