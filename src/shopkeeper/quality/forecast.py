"""Measures of forecasts. Lower is better, except coverage, which should equal its nominal share.

Shapes: `actual` and `mean` are (n, h) pieces, NaN where a day must not count (shop closed, no data yet); `quantiles` is
(n, h, q) at `levels` (q,); `scale` is (n,). Sums run over all series, so big sellers weigh more in WAPE and pinball;
MASE and RMSSE give each series the same weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import QUANTILES

Floats = NDArray[Any]
LEVELS = np.array(QUANTILES)


def wape(actual: Floats, mean: Floats) -> float:
    """Sum of absolute errors / sum of actuals. NaN when nothing was sold."""
    return _ratio(np.nansum(np.abs(actual - mean)), np.nansum(actual))


def mae(actual: Floats, mean: Floats) -> float:
    """Mean absolute error, in pieces."""
    return _mean(np.abs(actual - mean))


def wmae(actual: Floats, mean: Floats, weight: Floats) -> float:
    """Mean absolute error in which each day counts `weight`, of a shape that fits: Walmart's measure."""
    counted = np.where(np.isfinite(actual - mean), weight, 0.0)
    return _ratio(np.nansum(np.abs(actual - mean) * weight), counted.sum())


def mse(actual: Floats, mean: Floats) -> float:
    """Mean squared error."""
    return _mean((actual - mean) ** 2)


def rmse(actual: Floats, mean: Floats) -> float:
    """Root of the mean squared error, in pieces."""
    return float(np.sqrt(mse(actual, mean)))


def mape(actual: Floats, mean: Floats) -> float:
    """Mean of |y - f| / y over the days that sold; what was forecast for the others does not show. WAPE counts all."""
    sold = actual > 0
    return _mean(np.abs(actual - mean)[sold] / actual[sold])


def r2(actual: Floats, mean: Floats) -> float:
    """1 - squared error / squared distance to the mean of all counted days: 0 is as good as one number for all.

    NaN when all days are alike.
    """
    counted = np.isfinite(actual)
    if not counted.any():
        return np.nan
    apart = float(((actual[counted] - actual[counted].mean()) ** 2).sum())
    return 1.0 - float(np.nansum((actual - mean) ** 2)) / apart if apart > 0 else np.nan


def wape_of_sums(actual: Floats, mean: Floats) -> float:
    """WAPE of each series' sum over the horizon: what an order that covers the horizon would be wrong by."""
    counted = np.isfinite(actual)
    sold, expected = np.nansum(actual, axis=1), np.where(counted, mean, 0.0).sum(axis=1)
    return _ratio(np.abs(sold - expected).sum(), sold.sum())


def bias(actual: Floats, mean: Floats) -> float:
    """(sum of forecasts - sum of actuals) / sum of actuals: above 0 is too much."""
    return _ratio(np.nansum(mean - actual), np.nansum(actual))


def smape(actual: Floats, mean: Floats) -> float:
    """Mean of 2|y - f| / (|y| + |f|) in 0..2; a day with both 0 counts 0."""
    total = np.abs(actual) + np.abs(mean)
    shares = np.where(total > 0, 2 * np.abs(actual - mean) / np.where(total > 0, total, 1.0), 0.0)
    return float(np.nanmean(np.where(np.isfinite(actual), shares, np.nan))) if np.isfinite(actual).any() else np.nan


def naive_scale(history: Floats, season: int = 7) -> tuple[Floats, Floats]:
    """Mean absolute and mean squared difference to `season` steps before, per series of (n, d). NaN where unknown."""
    if history.shape[1] <= season:
        nothing = np.full(len(history), np.nan)
        return nothing, nothing
    change = history[:, season:] - history[:, :-season]
    counted = np.maximum(np.isfinite(change).sum(axis=1), 1)
    known = np.isfinite(change).any(axis=1)
    absolute = np.where(known, np.nansum(np.abs(change), axis=1) / counted, np.nan)
    squared = np.where(known, np.nansum(change**2, axis=1) / counted, np.nan)
    return absolute, squared


def mase(actual: Floats, mean: Floats, scale: Floats) -> float:
    """Mean over series of (mean absolute error / `scale`, the first of `naive_scale`); others are left out."""
    return _mean_of_ratios(_row_mean(np.abs(actual - mean)), scale)


def rmsse(actual: Floats, mean: Floats, squared_scale: Floats) -> float:
    """Mean over series of sqrt(mean squared error / `squared_scale`, the second of `naive_scale`)."""
    errors = _row_mean((actual - mean) ** 2)
    known = np.isfinite(errors) & np.isfinite(squared_scale) & (squared_scale > 0)
    return float(np.sqrt(errors[known] / squared_scale[known]).mean()) if known.any() else np.nan


def pinball(actual: Floats, quantiles: Floats, levels: Floats = LEVELS) -> float:
    """Weighted quantile loss: 2 x sum of pinball losses / sum of actuals, averaged over levels.

    For the median alone it is the WAPE of the median, so its size can be read like a WAPE.
    """
    loss = 0.0
    for place, level in enumerate(levels):
        error = actual - quantiles[:, :, place]
        loss += float(np.nansum(np.maximum(level * error, (level - 1) * error)))
    return _ratio(2 * loss / len(levels), np.nansum(actual))


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of counted days with low <= actual <= high."""
    counted = np.isfinite(actual)
    inside = (actual >= low) & (actual <= high)
    return _ratio(float(inside[counted].sum()), float(counted.sum()))


def interval_coverage(actual: Floats, quantiles: Floats, share: float, levels: Floats = LEVELS) -> float:
    """Coverage of the central interval with that nominal share (.5, .8, .9 or .95 of the nine levels)."""
    low, high = (1 - share) / 2, (1 + share) / 2
    columns = [int(np.argmin(np.abs(levels - level))) for level in (low, high)]
    return coverage(actual, quantiles[:, :, columns[0]], quantiles[:, :, columns[1]])


def _row_mean(values: Floats) -> Floats:
    counted = np.isfinite(values).sum(axis=1)
    return np.where(counted > 0, np.nansum(values, axis=1) / np.maximum(counted, 1), np.nan)


def _mean(values: Floats) -> float:
    counted = np.isfinite(values)
    return float(values[counted].mean()) if counted.any() else np.nan


def _mean_of_ratios(errors: Floats, scale: Floats) -> float:
    known = np.isfinite(errors) & np.isfinite(scale) & (scale > 0)
    return float((errors[known] / scale[known]).mean()) if known.any() else np.nan


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole > 0 else np.nan
