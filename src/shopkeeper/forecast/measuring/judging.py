"""How far off one forecast was, once the days have come."""

from __future__ import annotations

import numpy as np

from shopkeeper.forecast.outlook import Floats, Outlook
from shopkeeper.quality import forecast as quality

_MEDIAN = len(quality.LEVELS) // 2


def measured(said: Outlook, came: Floats) -> dict[str, float]:
    """`came` (d,) pieces of the first days of `said`, of which d or fewer may be. Without what cannot be measured, such
    as a share of nothing."""
    days = min(len(came), said.mean.shape[1])
    actual = np.asarray(came, dtype=np.float64)[None, :days]
    mean, quantiles = said.mean[:1, :days], said.quantiles[:1, :days]
    median = quantiles[:, :, _MEDIAN]
    found = {
        "days": float(days),
        "wape": quality.wape(actual, median),
        "smape": quality.smape(actual, median),
        "bias": quality.bias(actual, mean),
        "rmse": float(np.sqrt(np.mean((actual - mean) ** 2))) if days else np.nan,
        "pinball": quality.pinball(actual, quantiles),
        "coverage_80": quality.interval_coverage(actual, quantiles, 0.8),
        "coverage_95": quality.interval_coverage(actual, quantiles, 0.95),
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}
