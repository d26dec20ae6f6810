"""Do quantiles mean what they say? For counts one share is not enough.

On many days nothing is sold, and 0 lies in every interval that begins at 0: "80 %" then covers 92 % of the days, and
cannot cover fewer. So a level tau is held to two shares, of the days that lay below its quantile and of those that lay
at most on it. It is honest when tau lies between them: share below <= tau <= share at most.

Shapes as in `quality.forecast`: `actual` (n, h), NaN where a day must not count; `quantiles` (n, h, q) at `levels`.
"""

from __future__ import annotations

import numpy as np

from shopkeeper.quality.forecast import LEVELS, Floats


def below(actual: Floats, quantiles: Floats) -> Floats:
    """(q,) share of the counted days with actual < quantile; NaN where none counts."""
    return np.array([_share(actual, actual < quantiles[:, :, place]) for place in range(quantiles.shape[2])])


def at_most(actual: Floats, quantiles: Floats) -> Floats:
    """(q,) share of the counted days with actual <= quantile; NaN where none counts."""
    return np.array([_share(actual, actual <= quantiles[:, :, place]) for place in range(quantiles.shape[2])])


def gap(actual: Floats, quantiles: Floats, levels: Floats = LEVELS) -> Floats:
    """(q,) how far each level lies outside of its two shares; 0 where it is honest."""
    return outside(below(actual, quantiles), at_most(actual, quantiles), levels)


def outside(below: Floats, at_most: Floats, levels: Floats = LEVELS) -> Floats:
    """(q,) distance of each level to the range between its two shares."""
    apart: Floats = np.maximum(np.maximum(below - levels, levels - at_most), 0.0)
    return apart


def _share(actual: Floats, lies: Floats) -> float:
    counted = np.isfinite(actual)
    return float(lies[counted].mean()) if counted.any() else np.nan
