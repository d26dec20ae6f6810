import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shopkeeper.quality import forecast as quality

ACTUAL = np.array([[2.0, 0.0, 4.0], [10.0, 10.0, np.nan]])
MEAN = np.array([[1.0, 1.0, 4.0], [8.0, 14.0, 99.0]])


def test_measures_of_a_worked_example() -> None:
    assert quality.wape(ACTUAL, MEAN) == pytest.approx(8 / 26)
    assert quality.bias(ACTUAL, MEAN) == pytest.approx(2 / 26)
    assert quality.wape_of_sums(ACTUAL, MEAN) == pytest.approx(2 / 26)
    assert quality.smape(ACTUAL, MEAN) == pytest.approx((2 / 3 + 2 + 0 + 4 / 18 + 8 / 24) / 5)


def test_scaled_errors_compare_with_last_week() -> None:
    history = np.tile(np.arange(14.0), (2, 1))
    history[1] *= 2
    absolute, squared = quality.naive_scale(history)
    np.testing.assert_allclose(absolute, [7, 14])
    np.testing.assert_allclose(squared, [49, 196])
    assert quality.mase(ACTUAL, MEAN, absolute) == pytest.approx((2 / 3 / 7 + 3 / 14) / 2)
    assert quality.rmsse(ACTUAL, MEAN, squared) == pytest.approx((np.sqrt(2 / 3 / 49) + np.sqrt(10 / 196)) / 2)


def test_series_without_a_scale_are_left_out() -> None:
    absolute, _ = quality.naive_scale(np.zeros((2, 20)))
    assert np.isnan(quality.mase(ACTUAL, MEAN, absolute))
    short, _ = quality.naive_scale(np.ones((2, 5)))
    assert np.isnan(short).all()


def test_nothing_sold_gives_nan_not_infinity() -> None:
    zeros = np.zeros((1, 3))
    assert np.isnan(quality.wape(zeros, zeros + 1))
    assert np.isnan(quality.coverage(np.full((1, 2), np.nan), zeros[:, :2], zeros[:, :2]))


def test_pinball_of_the_median_is_its_wape() -> None:
    median = MEAN[:, :, None]
    assert quality.pinball(ACTUAL, median, np.array([0.5])) == pytest.approx(quality.wape(ACTUAL, MEAN))


def test_coverage_counts_only_known_days() -> None:
    quantiles = np.repeat(MEAN[:, :, None], 9, axis=2) + np.linspace(-1, 1, 9)
    assert quality.interval_coverage(ACTUAL, quantiles, 0.95) == pytest.approx(3 / 5)
    assert quality.interval_coverage(ACTUAL, quantiles, 0.5) == pytest.approx(1 / 5)


@given(arrays(np.float64, (3, 5), elements=st.floats(0, 1000)))
def test_a_perfect_forecast_has_no_error(actual: np.ndarray) -> None:
    perfect = np.repeat(actual[:, :, None], 9, axis=2)
    assert quality.interval_coverage(actual, perfect, 0.9) == 1.0
    if actual.sum() > 0:
        assert quality.wape(actual, actual) == quality.pinball(actual, perfect) == quality.bias(actual, actual) == 0.0


def test_measures_in_pieces_of_a_worked_example() -> None:
    errors = np.array([1.0, 1, 0, 2, 4])
    assert quality.mae(ACTUAL, MEAN) == pytest.approx(8 / 5)
    assert quality.mse(ACTUAL, MEAN) == pytest.approx((errors**2).sum() / 5)
    assert quality.rmse(ACTUAL, MEAN) == pytest.approx(np.sqrt((errors**2).sum() / 5))
    assert quality.mape(ACTUAL, MEAN) == pytest.approx((1 / 2 + 0 + 2 / 10 + 4 / 10) / 4)
    sold = np.array([2.0, 0, 4, 10, 10])
    assert quality.r2(ACTUAL, MEAN) == pytest.approx(1 - (errors**2).sum() / ((sold - sold.mean()) ** 2).sum())


def test_weighted_error_counts_holidays_more() -> None:
    weight = np.array([[1.0, 1.0, 5.0], [1.0, 1.0, 5.0]])
    assert quality.wmae(ACTUAL, MEAN, weight) == pytest.approx((1 + 1 + 0 + 2 + 4) / (1 + 1 + 5 + 1 + 1))
    assert quality.wmae(ACTUAL, MEAN, np.ones(3)) == pytest.approx(quality.mae(ACTUAL, MEAN))


def test_one_number_for_all_days_explains_nothing() -> None:
    assert quality.r2(ACTUAL, np.full((2, 3), 26 / 5)) == pytest.approx(0)
    assert np.isnan(quality.r2(np.ones((1, 3)), np.zeros((1, 3))))
    assert np.isnan(quality.r2(np.full((1, 3), np.nan), np.zeros((1, 3))))
    assert np.isnan(quality.mape(np.zeros((1, 3)), np.ones((1, 3))))
    assert np.isnan(quality.mae(np.full((1, 3), np.nan), np.zeros((1, 3))))


def test_scaled_errors_of_weeks_compare_with_last_year() -> None:
    history = np.tile(np.arange(104.0), (1, 1))
    absolute, squared = quality.naive_scale(history, 52)
    assert (absolute[0], squared[0]) == (52, 52**2)
