"""When a series begins: with its first sale, or with the first after a break of more than a year."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_BREAK = 365
"""Days without a sale; what sells again after more of them is as good as a new product."""


def beginnings(sells: NDArray[np.bool_], step_days: int = 1) -> NDArray[np.int32]:
    """(n, d) whether something was sold -> (n,) first column of the present life; d without a sale."""
    n, d = sells.shape
    if not d:
        return np.zeros(n, dtype=np.int32)
    start: NDArray[np.int32] = np.where(sells.any(axis=1), sells.argmax(axis=1), d).astype(np.int32)
    longest = LONGEST_BREAK // step_days
    if d <= longest:
        return start
    half = (longest + 1) // 2  # every break that is too long holds one of these whole
    sold = np.logical_or.reduceat(sells, np.arange(0, d, half), axis=1)
    before = np.logical_or.accumulate(sold, axis=1)
    after = np.logical_or.accumulate(sold[:, ::-1], axis=1)[:, ::-1]
    for row in np.flatnonzero((before & after & ~sold).any(axis=1)):
        column = np.flatnonzero(sells[row])
        breaks = np.flatnonzero(np.diff(column) - 1 > longest)
        if len(breaks):
            start[row] = column[breaks[-1] + 1]
    return start
