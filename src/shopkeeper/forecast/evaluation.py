"""Measuring a forecast model at several cutoffs, seasonal naive beside it on the same rows.

Every model answers from `until(cutoff)`. Counted are the days of series that had sold by then, without weekdays on
which the shop is known to be closed; a holiday that nobody announced counts. Absolute errors (`wape`, `mase`, `smape`)
are the median's, which is what minimises them; squared errors, `bias` and `wape_sums` are the mean's. Seasonal naive
has one point for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaiveModel
from shopkeeper.forecast.intervals import Floats, padded
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.quality import forecast as quality

_MEDIAN = len(quality.LEVELS) // 2


@dataclass(frozen=True)
class Holdout:
    """`series` to the end of the untouched days; each cutoff is a number of columns known. `naive` is the yardstick."""

    series: SeriesSet
    cutoffs: list[int]
    horizon: int
    naive: SeasonalNaiveModel


def evaluate(model: ForecastModel, holdout: Holdout) -> Metrics:
    """Products' measures; `naive_...` the yardstick's, `total_...` those of the shop's total. Pooled over cutoffs."""
    rows = _Rows()
    for cutoff in holdout.cutoffs:
        known = holdout.series.until(cutoff)
        rows.add(known, holdout, model.forecast(known, holdout.horizon), holdout.naive.forecast(known, holdout.horizon))
    if not rows.actual:
        raise Invalid("no cutoff to measure at: the history is shorter than the horizon", code="no_data")
    return rows.metrics()


class _Rows:
    """What the models said and what came, joined over cutoffs."""

    def __init__(self) -> None:
        self.actual: list[Floats] = []
        self._said: list[tuple[Outlook, Outlook]] = []
        self._scales: list[tuple[Floats, Floats]] = []
        self._aggregate: list[NDArray[np.bool_]] = []

    def add(self, known: SeriesSet, holdout: Holdout, said: Outlook, naive: Outlook) -> None:
        begun = known.start < known.days
        future = holdout.series.y[begun, known.days : known.days + holdout.horizon].astype(np.float64)
        closed = known.future_closed(holdout.horizon)
        actual = np.where(closed[None, :], np.nan, padded(future, holdout.horizon))
        self.actual.append(actual)
        self._said.append((_some(said, begun), _some(naive, begun)))
        self._scales.append(quality.naive_scale(known.observed()[begun].astype(np.float64)))
        self._aggregate.append(known.aggregate[begun])

    def metrics(self) -> Metrics:
        aggregate = np.concatenate(self._aggregate)
        answer: Metrics = {}
        for which, rows in (("", ~aggregate), ("total_", aggregate)):
            if not rows.any():
                continue
            for who, place in ((f"{which}", 0), (f"{which}naive_" if which else "naive_", 1)):
                answer |= {who + name: value for name, value in self._measure(rows, place).items()}
        return {name: value for name, value in answer.items() if np.isfinite(value)}

    def _measure(self, rows: NDArray[np.bool_], place: int) -> Metrics:
        actual = np.concatenate(self.actual)[rows]
        mean = np.concatenate([said[place].mean for said in self._said])[rows]
        quantiles = np.concatenate([said[place].quantiles for said in self._said])[rows]
        absolute, squared = (np.concatenate([scale[k] for scale in self._scales])[rows] for k in (0, 1))
        point = mean if place else quantiles[:, :, _MEDIAN]
        return {
            "wape": quality.wape(actual, point),
            "wape_sums": quality.wape_of_sums(actual, mean),
            "mase": quality.mase(actual, point, absolute),
            "rmsse": quality.rmsse(actual, mean, squared),
            "smape": quality.smape(actual, point),
            "bias": quality.bias(actual, mean),
            "pinball": quality.pinball(actual, quantiles),
            "coverage_80": quality.interval_coverage(actual, quantiles, 0.8),
            "coverage_95": quality.interval_coverage(actual, quantiles, 0.95),
        }


def _some(outlook: Outlook, rows: NDArray[np.bool_]) -> Outlook:
    return Outlook(outlook.mean[rows], outlook.quantiles[rows])
