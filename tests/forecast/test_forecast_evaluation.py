from dataclasses import replace

import numpy as np
import pytest

from shopkeeper.checks.forecast import FIRST_DAY, furnished_shop, small_shop, weekly_shop
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.measuring.evaluation import Holdout, Pool, came, evaluate, parts_of
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet, with_total


class Saying:
    """A model that says what it was made with, of as many series as it is asked."""

    feature_names = ("none",)

    def __init__(self, value: float) -> None:
        self.value = value

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        mean = np.full((len(series), horizon), self.value)
        return Outlook(mean, np.repeat(mean[:, :, None], 9, axis=2))


def holdout(series: SeriesSet, cutoffs: list[int], horizon: int) -> Holdout:
    naive = SeasonalNaive(SeasonalNaive.Params(horizon=horizon), 1).fit(series.until(cutoffs[0]), silent)
    return Holdout(series, cutoffs, horizon, naive)


def test_the_measures_of_one_number_for_all_days() -> None:
    y = np.tile([2.0, 4.0], (3, 60))
    series = with_total(("A", "B", "C"), FIRST_DAY, y, y, y)
    metrics = evaluate(Saying(3.0), holdout(series, [100], 10))
    assert metrics["wape"] == pytest.approx(1 / 3)
    assert (metrics["mae"], metrics["mse"], metrics["rmse"], metrics["bias"]) == (1, 1, 1, 0)
    assert metrics["mape"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert metrics["r2"] == pytest.approx(0)
    assert metrics["below_50"] == metrics["at_most_50"] == 0.5
    assert metrics["below_97.5"] == 0.5
    assert metrics["calibration_gap"] == pytest.approx(0.475)
    assert metrics["total_wape"] == pytest.approx(6 / 9)
    assert metrics["total_naive_wape"] == pytest.approx(metrics["naive_wape"])
    assert metrics["wape_step_1"] == pytest.approx(1 / 2)
    assert metrics["wape_step_14"] == pytest.approx((1 + 1 + 1) / (4 + 2 + 4))
    assert "wape_step_28" not in metrics
    assert "wmae" not in metrics


def test_parts_of_a_horizon() -> None:
    assert parts_of(1) == [(1, 1, 1)]
    assert parts_of(10) == [(1, 1, 1), (2, 7, 7), (8, 10, 14)]
    assert [part[2] for part in parts_of(365)] == [1, 7, 14, 28, 90, 365]
    steps = [step for first, last, _ in parts_of(100) for step in range(first, last + 1)]
    assert steps == list(range(1, 101))


def test_days_out_of_stock_do_not_count() -> None:
    series = furnished_shop()
    available = series.available.copy()
    available[11, -5:] = False
    y = series.y.copy()
    y[11, -5:] = 1e6
    asked = replace(series, available=available, y=y)
    known = asked.until(190)
    actual = came(asked, known, 10)
    assert np.isnan(actual[11, 5:]).all()
    assert np.isfinite(actual[10]).sum() == 10 - np.isnan(actual[10]).sum() >= 8
    assert evaluate(Saying(1.0), holdout(asked, [190], 10))["mae"] < 1e3


def test_holidays_weigh_five_where_they_are_known() -> None:
    series = furnished_shop()
    assert series.covariates is not None
    beside = replace(series.covariates, shared=np.zeros_like(series.covariates.shared))
    plain = evaluate(Saying(1.0), holdout(replace(series, covariates=beside), [150], 28))
    assert plain["wmae"] == pytest.approx(plain["mae"])
    some = evaluate(Saying(1.0), holdout(series, [150], 28))
    assert some["wmae"] > some["mae"]  # more is sold on a holiday


def test_pooled_is_as_if_all_cutoffs_were_one() -> None:
    series = small_shop()
    together = evaluate(Saying(2.0), holdout(series, [150, 170], 14))
    pool = Pool()
    for cutoff in (150, 170):
        one = holdout(series, [150], 14)
        known = series.until(cutoff)
        pool.add(known, one, Saying(2.0).forecast(known, 14), one.naive.forecast(known, 14))
    assert pool.metrics() == pytest.approx(together)
    errors, sold = 0.0, 0.0
    for cutoff in (150, 170):
        known = series.until(cutoff)
        actual = came(series, known, 14)[(known.start < cutoff) & ~known.aggregate]
        errors, sold = errors + np.nansum(np.abs(actual - 2.0)), sold + np.nansum(actual)
    assert together["wape"] == pytest.approx(errors / sold)


def test_steps_of_the_horizon_are_measured_apart() -> None:
    series = small_shop()
    one = holdout(series, [150, 160], 28)
    pool = Pool()
    for cutoff in one.cutoffs:
        known = series.until(cutoff)
        said = one.naive.forecast(known, 28)
        pool.add(known, one, said, said)
    steps = pool.by_step()
    assert [(step["first"], step["last"]) for step in steps] == [(1, 1), (2, 7), (8, 14), (15, 28)]
    for step in steps:
        assert all(low <= high for low, high in zip(step["below"], step["at_most"], strict=True))
        assert step["days"] > 0
    metrics = pool.metrics()
    assert metrics["coverage_80_step_7"] == steps[1]["coverage_80"]
    assert metrics["calibration_gap_step_28"] <= 1


def test_an_answer_that_is_no_number_is_refused_not_ignored() -> None:
    with pytest.raises(Invalid, match="is not a number for 12 series") as caught:
        evaluate(Saying(float("nan")), holdout(small_shop(), [190], 10))
    assert caught.value.code == "not_finite"


def test_a_set_of_aggregates_alone_is_measured_as_itself() -> None:
    series = small_shop()
    total = series.select(np.array([len(series) - 1]))
    metrics = evaluate(Saying(100.0), holdout(total, [170], 14))
    assert metrics["wape"] == metrics["total_wape"] > 0
    assert metrics["naive_pinball"] > 0


def test_weeks_are_scaled_by_the_year_before() -> None:
    series = weekly_shop()
    metrics = evaluate(Saying(30.0), holdout(series, [100], 8))
    assert metrics["mase"] > 0
    short = evaluate(Saying(30.0), holdout(series.until(50), [40], 8))  # less than a year: the week before
    assert short["mase"] > 0


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(Invalid, match="no cutoff"):
        Pool().metrics()
