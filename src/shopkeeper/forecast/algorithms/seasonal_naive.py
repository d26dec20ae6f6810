"""Seasonal naive: next Monday sells what last Monday sold; by week, what the same week sold last year.

The yardstick that every other algorithm must beat.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, Floats, calibrate
from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.outlook import Outlook, level
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.seasons import past_cutoffs

_WEEKS_BACK = 4
_RECENT_WEEKS = 8


class SeasonalNaiveModel:
    feature_names: tuple[str, ...] = ("same_weekday_last_week",)

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, *points(series, horizon))

    def save(self, folder: Path) -> None:
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> SeasonalNaiveModel:
        return cls(Calibration.load(folder))


class SeasonalNaive:
    name: ClassVar[str] = "seasonal_naive"
    family: ClassVar[str] = "forecast"
    description: ClassVar[str] = "The same weekday of last week; intervals from its own past errors"
    tags: ClassVar[tuple[str, ...]] = ("baseline", "fast")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[SeasonalNaiveModel]] = SeasonalNaiveModel

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="days ahead that intervals are measured on")] = (
            28
        )
        windows: Annotated[int, msgspec.Meta(ge=1, le=100, description="past weeks that intervals are measured on")] = (
            12
        )

    def __init__(self, params: SeasonalNaive.Params, seed: int) -> None:
        self._params = params
        self.seed = seed  # nothing here is drawn at random

    def fit(self, data: SeriesSet, report: Report) -> SeasonalNaiveModel:
        past = past_cutoffs(data, self._params.horizon, self._params.windows, fewest=28)
        model = SeasonalNaiveModel(calibrate(points, data, past, self._params.horizon))
        report(1, 1, message="seasonal naive: measured its past errors")
        return model


def points(series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
    """Mean and scale, both (n, h). A weekday that was closed last week takes the week before, up to four back."""
    if series.step.days > 1:
        return _last_year(series, horizon)
    by_weekday = np.full((len(series), 7), np.nan)
    weekday, y = series.weekday, series.filled()
    for back in range(1, min(_WEEKS_BACK * 7, series.days) + 1):
        if series.closed[-back]:
            continue
        day = int(weekday[-back])
        by_weekday[:, day] = np.where(np.isnan(by_weekday[:, day]), y[:, -back], by_weekday[:, day])
    usual = level(series)
    never = ~series.y.any(axis=1)
    by_weekday = np.where(np.isnan(by_weekday), np.where(never, 0.0, usual)[:, None], by_weekday)
    mean = by_weekday[:, weekdays(series.last_day + 1, horizon)]
    return mean, np.repeat(usual[:, None], horizon, axis=1)


def _last_year(series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
    """By week: what the same week sold a year ago, or the usual where that was not seen."""
    usual = level(series, _RECENT_WEEKS)
    never = ~series.y.any(axis=1)
    season = series.step.season
    column = series.days - season + np.arange(horizon) % season
    observed = series.observed().astype(np.float64)
    mean = np.full((len(series), horizon), np.nan)
    mean[:, column >= 0] = observed[:, column[column >= 0]]
    mean = np.where(np.isnan(mean), np.where(never, 0.0, usual)[:, None], mean)
    return mean, np.repeat(usual[:, None], horizon, axis=1)
