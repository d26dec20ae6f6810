"""Measuring a forecast model at several cutoffs, seasonal naive beside it on the same rows.

Every model answers from `until(cutoff)`. Counted are the steps of series that had sold by then, without weekdays on
which the shop is known to be closed and without those on which a series was not available; a holiday that nobody
announced counts. Absolute errors (`wape`, `mae`, `mape`, `wmae`, `mase`, `smape`) are the median's, which is what
minimises them; squared errors, `bias`, `r2` and `wape_sums` are the mean's. Seasonal naive has one point for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaiveModel
from shopkeeper.forecast.covariates import HOLIDAY
from shopkeeper.forecast.intervals import Floats, padded
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.quality import calibration
from shopkeeper.quality import forecast as quality

STEPS = (1, 7, 14, 28, 90, 365)
"""The last step of each part of the horizon that is measured by itself: step 1, steps 2 to 7, and so on."""

_MEDIAN = len(quality.LEVELS) // 2
_SHARES = (0.5, 0.8, 0.9, 0.95)
_HOLIDAY_WEIGHT = 5.0  # in WMAE, as in the contest that made it known


@dataclass(frozen=True)
class Holdout:
    """`series` to the end of the untouched days; each cutoff is a number of columns known. `naive` is the yardstick."""

    series: SeriesSet
    cutoffs: list[int]
    horizon: int
    naive: SeasonalNaiveModel


def evaluate(model: ForecastModel, holdout: Holdout) -> Metrics:
    """Products' measures; `naive_...` the yardstick's, `total_...` those of the shop's total. Pooled over cutoffs.

    Raises Invalid without a cutoff, and (`not_finite`) for a model that answers with anything but numbers.
    """
    pool = Pool()
    for cutoff in holdout.cutoffs:
        known = holdout.series.until(cutoff)
        pool.add(known, holdout, model.forecast(known, holdout.horizon), holdout.naive.forecast(known, holdout.horizon))
    return pool.metrics()


@dataclass(frozen=True)
class Rows:
    """Of m series at their cutoffs: what came (m, h), NaN where a step must not count; what was said; the mean absolute
    and squared change of a season before (m,); what a step weighs in WMAE (m, h), None where there is no holiday.
    """

    actual: Floats
    mean: Floats
    quantiles: NDArray[np.floating]
    absolute: Floats
    squared: Floats
    weight: Floats | None

    def steps(self, first: int, last: int) -> Rows:
        """Only these steps of the horizon, counted from 1."""
        part = slice(first - 1, last)
        weight = None if self.weight is None else self.weight[:, part]
        cut = self.actual[:, part], self.mean[:, part], self.quantiles[:, part]
        return Rows(*cut, self.absolute, self.squared, weight)

    @property
    def median(self) -> NDArray[np.floating]:
        return self.quantiles[:, :, _MEDIAN]

    def measures(self, point: NDArray[np.floating]) -> Metrics:
        """`point` (m, h) is what absolute errors are of."""
        answer = {
            "wape": quality.wape(self.actual, point),
            "wape_sums": quality.wape_of_sums(self.actual, self.mean),
            "mae": quality.mae(self.actual, point),
            "mape": quality.mape(self.actual, point),
            "mase": quality.mase(self.actual, point, self.absolute),
            "mse": quality.mse(self.actual, self.mean),
            "rmse": quality.rmse(self.actual, self.mean),
            "rmsse": quality.rmsse(self.actual, self.mean, self.squared),
            "r2": quality.r2(self.actual, self.mean),
            "smape": quality.smape(self.actual, point),
            "bias": quality.bias(self.actual, self.mean),
            "pinball": quality.pinball(self.actual, self.quantiles),
        }
        if self.weight is not None:
            answer["wmae"] = quality.wmae(self.actual, point, self.weight)
        return answer | self._covered()

    def _covered(self) -> Metrics:
        shares = {share: quality.interval_coverage(self.actual, self.quantiles, share) for share in _SHARES}
        return {f"coverage_{100 * share:g}": value for share, value in shares.items()}


class Pool:
    """What the models said and what came, joined over cutoffs, also those of one model that was fitted anew at each."""

    def __init__(self) -> None:
        self._own: list[Rows] = []
        self._naive: list[Rows] = []
        self._aggregate: list[NDArray[np.bool_]] = []

    def add(self, known: SeriesSet, holdout: Holdout, said: Outlook, naive: Outlook) -> None:
        """`said` and `naive` are of `known`, which is the holdout's series until a cutoff."""
        begun = known.start < known.days
        check_finite(said, begun, known)
        actual = came(holdout.series, known, holdout.horizon)[begun]
        season = known.season if known.days > known.season else 1
        scales = quality.naive_scale(known.observed()[begun].astype(np.float64), season)
        weight = _weights(holdout.series, known.days, holdout.horizon)
        weight = None if weight is None else weight[begun]
        for who, one in ((self._own, said), (self._naive, naive)):
            who.append(Rows(actual, one.mean[begun], one.quantiles[begun].astype(np.float32), *scales, weight))
        self._aggregate.append(known.aggregate[begun])

    def metrics(self) -> Metrics:
        """Raises Invalid when nothing was added."""
        answer: Metrics = {}
        for name, own, naive in self._kinds():
            answer |= _named(name, "", own.measures(own.median))
            answer |= _named(name, "", _honesty(own))
            answer |= _named(name, "naive_", naive.measures(naive.mean))
            for first, last, step in parts_of(own.actual.shape[1]):
                part, theirs = own.steps(first, last), naive.steps(first, last)
                answer |= _named(name, "", _step(part, step))
                answer[f"{name}naive_wape_step_{step}"] = quality.wape(theirs.actual, theirs.mean)
        return {name: value for name, value in answer.items() if np.isfinite(value)}

    def by_step(self) -> list[dict[str, Any]]:
        """For each part of the horizon: products' error and both shares of each level; None where nothing counted."""
        _, own, naive = next(self._kinds())
        answer = []
        for first, last, _ in parts_of(own.actual.shape[1]):
            part, theirs = own.steps(first, last), naive.steps(first, last)
            numbers = part.measures(part.median)
            kept = {name: numbers[name] for name in ("wape", "mae", "rmse", "smape", "bias", "pinball")}
            kept |= {name: value for name, value in numbers.items() if name.startswith("coverage_")}
            kept["naive_wape"] = quality.wape(theirs.actual, theirs.mean)
            shares = {
                "levels": quality.LEVELS,
                "below": calibration.below(part.actual, part.quantiles),
                "at_most": calibration.at_most(part.actual, part.quantiles),
            }
            answer.append(
                {"first": first, "last": last, "days": int(np.isfinite(part.actual).sum())}
                | {name: _plain(value) for name, value in kept.items()}
                | {name: [_plain(value) for value in values] for name, values in shares.items()}
            )
        return answer

    def _kinds(self) -> Iterator[tuple[str, Rows, Rows]]:
        """Products, then what they come to; where there are no products, that stands for both."""
        if not self._own:
            raise Invalid("no cutoff to measure at: the history is shorter than the horizon", code="no_data")
        alone = all(bool(rows.all()) for rows in self._aggregate)
        for name, wanted in (("", alone), ("total_", True)):
            chosen = [rows == wanted for rows in self._aggregate]
            if any(bool(rows.any()) for rows in chosen):
                yield name, _joined(self._own, chosen), _joined(self._naive, chosen)


def came(series: SeriesSet, known: SeriesSet, horizon: int) -> Floats:
    """(n, horizon) pieces of the steps behind `known`, NaN where one must not count or has not come yet."""
    columns = slice(known.days, known.days + horizon)
    future = series.y[:, columns].astype(np.float64)
    if series.available is not None:
        future = np.where(series.available[:, columns], future, np.nan)
    return np.where(known.future_closed(horizon)[None, :], np.nan, padded(future, horizon))


def parts_of(horizon: int) -> list[tuple[int, int, int]]:
    """(first, last, name) of the parts of a horizon, steps counted from 1."""
    starts = (1, *(step + 1 for step in STEPS))
    return [(first, min(step, horizon), step) for first, step in zip(starts, STEPS, strict=False) if first <= horizon]


def check_finite(said: Outlook, rows: NDArray[np.bool_], known: SeriesSet) -> None:
    """Raises Invalid (`not_finite`): such an answer has no error that could be measured."""
    broken = rows & ~(np.isfinite(said.mean).all(axis=1) & np.isfinite(said.quantiles).all(axis=(1, 2)))
    if broken.any():
        raise Invalid(
            f"the forecast from {date_of(known.last_day).isoformat()} is not a number for {int(broken.sum())} "
            f"series, {known.ids[int(np.argmax(broken))]!r} among them",
            code="not_finite",
        )


def _weights(series: SeriesSet, column: int, horizon: int) -> Floats | None:
    """(n, horizon) five on a holiday, else one; None where the set does not know of holidays."""
    beside = series.covariates
    if beside is None:
        return None
    columns = slice(column, column + horizon)
    shared, own = beside.of_shared(HOLIDAY), beside.of_own(HOLIDAY)
    holiday = shared[None, columns] if shared is not None else own[:, columns] if own is not None else None
    if holiday is None:
        return None
    weight = np.where(np.nan_to_num(holiday.astype(np.float64)) > 0, _HOLIDAY_WEIGHT, 1.0)
    return np.broadcast_to(padded(weight, max(horizon, weight.shape[1])), (len(series), horizon))


def _honesty(rows: Rows) -> Metrics:
    """Both shares of each level, and the widest gap of all."""
    low, high = calibration.below(rows.actual, rows.quantiles), calibration.at_most(rows.actual, rows.quantiles)
    answer = {"calibration_gap": float(calibration.outside(low, high).max())}
    for level, under, upto in zip(quality.LEVELS, low, high, strict=True):
        answer |= {f"below_{100 * level:g}": float(under), f"at_most_{100 * level:g}": float(upto)}
    return answer


def _step(part: Rows, step: int) -> Metrics:
    return {
        f"wape_step_{step}": quality.wape(part.actual, part.median),
        f"coverage_80_step_{step}": quality.interval_coverage(part.actual, part.quantiles, 0.8),
        f"calibration_gap_step_{step}": float(calibration.gap(part.actual, part.quantiles).max()),
    }


def _joined(parts: list[Rows], chosen: list[NDArray[np.bool_]]) -> Rows:
    """The chosen rows of each part."""
    pairs = list(zip(parts, chosen, strict=True))
    weights = [part.weight[rows] for part, rows in pairs if part.weight is not None]
    return Rows(
        actual=np.concatenate([part.actual[rows] for part, rows in pairs]),
        mean=np.concatenate([part.mean[rows] for part, rows in pairs]),
        quantiles=np.concatenate([part.quantiles[rows] for part, rows in pairs]),
        absolute=np.concatenate([part.absolute[rows] for part, rows in pairs]),
        squared=np.concatenate([part.squared[rows] for part, rows in pairs]),
        weight=np.concatenate(weights) if len(weights) == len(parts) else None,
    )


def _named(kind: str, who: str, values: Metrics) -> Metrics:
    return {f"{kind}{who}{name}": value for name, value in values.items()}


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
