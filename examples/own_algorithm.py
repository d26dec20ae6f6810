"""A forecast of one's own: what the same weekday sold in the last weeks, on average."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, Floats, calibrate, cutoffs
from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.outlook import Outlook, level
from shopkeeper.forecast.series import SeriesSet


def points(series: SeriesSet, horizon: int, weeks: int) -> tuple[Floats, Floats]:
    """Mean and scale, both (n, horizon). A weekday that was seen seldom is drawn to the product's usual day."""
    recent, weekday = series.observed()[:, -7 * weeks :], series.weekday[-7 * weeks :]
    usual = np.where(series.y.any(axis=1), level(series), 0.0)
    mean = np.empty((len(series), 7))
    for day in range(7):
        seen = recent[:, weekday == day]
        mean[:, day] = (np.nansum(seen, axis=1) + usual) / (np.isfinite(seen).sum(axis=1) + 1)
    scale = np.repeat(level(series)[:, None], horizon, axis=1)
    return mean[:, weekdays(series.last_day + 1, horizon)], scale


class WeekdayAverageModel:
    """What serves: it answers from the end of the series that it is handed."""

    feature_names: tuple[str, ...] = ("same_weekday_average",)

    def __init__(self, weeks: int, calibration: Calibration) -> None:
        self.weeks = weeks
        self.calibration = calibration

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self.calibration.outlook(series, *points(series, horizon, self.weeks))

    def save(self, folder: Path) -> None:
        self.calibration.save(folder)
        (folder / "weeks.json").write_text(json.dumps(self.weeks))

    @classmethod
    def load(cls, folder: Path) -> WeekdayAverageModel:
        return cls(json.loads((folder / "weeks.json").read_text()), Calibration.load(folder))


class WeekdayAverage:
    """What trains: it measures how far off such forecasts were on past weeks. That gives the quantiles."""

    name: ClassVar[str] = "weekday_average"
    family: ClassVar[str] = "forecast"
    description: ClassVar[str] = "Average of the same weekday over the last weeks; intervals from its own past errors"
    tags: ClassVar[tuple[str, ...]] = ("baseline", "fast")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[WeekdayAverageModel]] = WeekdayAverageModel

    class Params(BaseParams):
        weeks: Annotated[int, msgspec.Meta(ge=1, le=104, description="Weeks that are averaged")] = 8

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed  # nothing here is drawn at random

    def fit(self, data: SeriesSet, report: Report) -> WeekdayAverageModel:
        report(0, 1, message="measuring past errors")
        past = cutoffs(data.days, 28, windows=12, step=7)
        return WeekdayAverageModel(
            self.params.weeks, calibrate(partial(points, weeks=self.params.weeks), data, past, 28)
        )
