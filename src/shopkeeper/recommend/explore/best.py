"""Chances of policies that take the best: ties are shared evenly."""

from __future__ import annotations

import numpy as np

from shopkeeper.recommend.explore.policy import Numbers

_CLOSE = 1e-12


def even_among_best(values: Numbers) -> Numbers:
    """`values` (k,), infinite ones allowed. (k,): one share for each that is largest, to within rounding."""
    if not len(values):
        return np.empty(0)
    top = values.max()
    best = values >= (top if np.isinf(top) else top - _CLOSE * max(abs(top), 1.0))
    return np.asarray(best / np.count_nonzero(best))
