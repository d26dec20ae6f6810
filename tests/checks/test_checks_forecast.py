"""What the checks of forecasters are for: each catches a trainer that does what it must not."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from shopkeeper.checks import forecast as checks
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel, points
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.outlook import Base, Outlook
from shopkeeper.forecast.series import SeriesSet


def trainer(answer: Callable[[SeriesSet, SeriesSet, int], Outlook] | None = None, **facts: Any) -> Any:
    """Seasonal naive with another answer: of what it was fitted on, what it is asked, and a horizon."""

    class Model(SeasonalNaiveModel):
        def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
            said = super().forecast(series, horizon)
            return said if answer is None else answer(self.seen, replace(series), horizon)  # type: ignore[attr-defined]

    class Trainer(SeasonalNaive):
        def fit(self, data: SeriesSet, report: Report) -> Any:
            fit = facts.get("fit")
            if fit is not None:
                return fit(super().fit, data, report)
            model = Model(super().fit(data, report)._calibration)
            model.seen = data  # type: ignore[attr-defined]
            return model

    return Trainer


def flat(series: SeriesSet, horizon: int, value: Any, spread: float = 0.0) -> Outlook:
    mean = np.ones((len(series), horizon)) * np.asarray(value, dtype=float).reshape(-1, 1)
    scale = np.ones(mean.shape)
    return Calibration.unknown().outlook(series, Base(mean, scale * max(spread, 1e-9)))


def test_the_yardstick_passes() -> None:
    for check in checks.CHECKS:
        check(trainer())


def test_one_that_reads_what_lies_behind_the_cut_is_caught() -> None:
    def peeks(seen: SeriesSet, series: SeriesSet, horizon: int) -> Outlook:
        whole = series.y if series.y.base is None else series.y.base  # a cut is a view
        return flat(series, horizon, whole[: len(series), -1])

    with pytest.raises(AssertionError, match="Not equal"):
        checks.never_looks_past_the_cutoff(trainer(peeks))


@pytest.mark.parametrize("spread", [1e-9, 0.05])
def test_one_that_is_surer_than_it_may_be_is_caught(spread: float) -> None:
    def sure(seen: SeriesSet, series: SeriesSet, horizon: int) -> Outlook:
        mean, _ = points(series, horizon)
        return Calibration.unknown().outlook(series, mean, np.full(mean.shape, spread))

    with pytest.raises(AssertionError, match="shares"):
        checks.holds_on_later_days(trainer(sure))


def test_one_that_takes_no_stock_for_no_demand_is_caught() -> None:
    def literal(seen: SeriesSet, series: SeriesSet, horizon: int) -> Outlook:
        return flat(series, horizon, series.y[:, -14:].mean(axis=1), 1.0)

    with pytest.raises(AssertionError):
        checks.takes_no_stock_for_no_answer(trainer(literal))


def test_one_that_needs_its_covariates_is_caught() -> None:
    def needs(seen: SeriesSet, series: SeriesSet, horizon: int) -> Outlook:
        if series.covariates is None:
            raise KeyError("holiday")
        return flat(series, horizon, np.ones(len(series)), 1.0)

    with pytest.raises(KeyError):
        checks.answers_without_what_it_learned_with(trainer(needs))


def test_one_that_does_not_stop_is_caught() -> None:
    def swallows(fit: Any, data: SeriesSet, report: Report) -> Any:
        def deaf(*given: Any, **more: Any) -> None:
            with contextlib.suppress(Cancelled):
                report(*given, **more)

        return fit(data, deaf)

    with pytest.raises(AssertionError, match="went on"):
        checks.stops_when_asked(trainer(fit=swallows))


def test_checks_train_with_the_brief_parameters_of_a_class() -> None:
    class Short(SeasonalNaive):
        brief: ClassVar[dict[str, Any]] = {"windows": 3}

    class Wrong(SeasonalNaive):
        brief: ClassVar[dict[str, Any]] = {"windos": 3}

    assert brief_params(Short).windows == 3
    assert brief_params(SeasonalNaive).windows == SeasonalNaive.Params().windows
    with pytest.raises(Invalid, match="did you mean 'windows'"):
        brief_params(Wrong)


def test_what_is_fitted_on_one_shop_is_fitted_once() -> None:
    fits: list[int] = []

    def counted(fit: Any, data: SeriesSet, report: Report) -> Any:
        fits.append(data.days)
        return fit(data, report)

    counting = trainer(fit=counted)
    for check in checks.CHECKS:
        check(counting)
    assert len(fits) <= 7
