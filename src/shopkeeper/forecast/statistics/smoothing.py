"""Exponential smoothing of many series at once: the recursion of ETS, given its parameters.

The point forecasts of an ETS model do not depend on whether its error is additive or multiplicative, so trend (none,
additive, damped) and season (none, additive, multiplicative) are all that is kept. Seasons are kept by weekday. Days on
which the shop was closed, and those of a product that was not available, are stepped over: neither level nor season
learns from them. By week there is no season.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.series import SeriesSet

Floats = NDArray[np.float64]
_LEAST = 1e-6


@dataclass(frozen=True)
class Smoothing:
    """Parameters and first state of n series: all (n,), `season` (n, 7) from Monday.

    `beta` 0 and `trend` 0: no trend. `gamma` 0 and `season` 0 (or 1 where `multiplies`): no season.
    """

    alpha: Floats
    beta: Floats
    gamma: Floats
    damping: Floats
    level: Floats
    trend: Floats
    season: Floats
    multiplies: NDArray[np.bool_]

    @classmethod
    def plain(cls, alpha: float, level: Floats) -> Smoothing:
        """Simple exponential smoothing of n series that begin at `level` (n,)."""
        n = len(level)
        nothing = np.zeros(n)
        return cls(
            alpha=np.full(n, alpha),
            beta=nothing,
            gamma=nothing,
            damping=np.ones(n),
            level=level,
            trend=nothing,
            season=np.zeros((n, 7)),
            multiplies=np.zeros(n, dtype=np.bool_),
        )

    def put(self, rows: NDArray[np.integer], other: Smoothing, at: NDArray[np.integer]) -> Smoothing:
        """With series `rows` replaced by those that `other` has `at`."""
        columns = {f.name: np.array(getattr(self, f.name)) for f in fields(self)}
        for name, column in columns.items():
            column[rows] = getattr(other, name)[at]
        return Smoothing(**columns)

    def forecast(self, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        """Runs through the series from their first sale; mean (n, horizon) and the one-step fits (n, d).

        A fit is NaN before the first sale and on closed or unavailable days.
        """
        level, trend, season = self.level.copy(), self.trend.copy(), self.season.copy()
        weekday, y = series.weekday, series.y.astype(np.float64)
        available = np.ones(y.shape, dtype=np.bool_) if series.available is None else series.available
        fits = np.full(y.shape, np.nan)
        for day in range(int(series.start.min(initial=series.days)), series.days):
            if series.closed[day]:
                continue
            running = (series.start <= day) & available[:, day]
            before, now = level + self.damping * trend, season[:, weekday[day]]
            fit = np.where(self.multiplies, before * now, before + now)
            error = np.where(running, y[:, day] - fit, 0.0)
            by_season = np.where(self.multiplies, error / _away_from_zero(now), error)
            by_level = np.where(self.multiplies, error / _away_from_zero(before), error)
            fits[running, day] = fit[running]
            level = np.where(running, before + self.alpha * by_season, level)
            trend = np.where(running, self.damping * trend + self.beta * by_season, trend)
            season[:, weekday[day]] = np.where(running, now + self.gamma * by_level, now)
        return self._ahead(series, horizon, level, trend, season), fits

    def _ahead(self, series: SeriesSet, horizon: int, level: Floats, trend: Floats, season: Floats) -> Floats:
        """The trend moves on open days only."""
        mean = np.zeros((len(level), horizon))
        closed, weekday = series.future_closed(horizon), weekdays(series.last_day + 1, horizon)
        for step in range(horizon):
            if closed[step]:
                continue
            trend = self.damping * trend
            level = level + trend
            now = season[:, weekday[step]]
            mean[:, step] = np.where(self.multiplies, level * now, level + now)
        return mean


def _away_from_zero(value: Floats) -> Floats:
    return np.where(np.abs(value) < _LEAST, _LEAST, value)
