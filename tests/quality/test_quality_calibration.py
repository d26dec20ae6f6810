import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.quality import calibration
from shopkeeper.quality.forecast import LEVELS


def test_days_without_a_sale_lie_between_the_two_shares() -> None:
    actual = np.array([[0.0] * 7 + [1.0, 2.0, 9.0]])
    quantiles = np.zeros((1, 10, 9))
    quantiles[:, :, 6:] = 3.0  # 90 % and more
    assert calibration.below(actual, quantiles).tolist() == [0] * 6 + [0.9] * 3
    assert calibration.at_most(actual, quantiles).tolist() == [0.7] * 6 + [0.9] * 3
    expected = np.maximum([0, 0, 0, 0, 0, 0.05, 0, 0.05, 0.075], 0)
    np.testing.assert_allclose(calibration.gap(actual, quantiles), expected, atol=1e-12)


def test_days_that_do_not_count_are_left_out() -> None:
    actual = np.array([[np.nan, 1.0]])
    quantiles = np.ones((1, 2, 9))
    assert calibration.below(actual, quantiles).tolist() == [0] * 9
    assert calibration.at_most(actual, quantiles).tolist() == [1] * 9
    assert np.isnan(calibration.gap(actual * np.nan, quantiles)).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 40))
@settings(max_examples=20, deadline=None)
def test_true_quantiles_of_counts_are_honest(seed: int, mean: float) -> None:
    random = np.random.default_rng(seed)
    quantiles = np.quantile(random.poisson(mean, 200_000), LEVELS, method="inverted_cdf")
    actual = random.poisson(mean, (60, 60)).astype(float)
    shares = calibration.gap(actual, np.broadcast_to(quantiles, (60, 60, 9)))
    assert (shares <= 4.5 * np.sqrt(LEVELS * (1 - LEVELS) / actual.size) + 0.003).all()


def test_too_narrow_and_too_wide_are_told() -> None:
    actual = np.random.default_rng(1).normal(100, 10, (50, 50))
    middle = 100 + 10 * np.array([-1.96, -1.645, -1.2816, -0.6745, 0, 0.6745, 1.2816, 1.645, 1.96])
    honest = np.broadcast_to(middle, (50, 50, 9))
    assert calibration.gap(actual, honest).max() < 0.03
    assert calibration.gap(actual, 100 + (honest - 100) * 0.3).max() > 0.2
    assert calibration.gap(actual, 100 + (honest - 100) * 3).max() == pytest.approx(0.25, abs=0.05)
