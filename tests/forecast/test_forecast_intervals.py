import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.checks.forecast import small_shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, points
from shopkeeper.forecast.intervals import LEVELS, Calibration, Conformal, calibrate, corrected_quantiles, cutoffs
from shopkeeper.quality.forecast import interval_coverage


def test_corrected_quantiles_step_outwards() -> None:
    scores = np.arange(1.0, 20.0)  # 19 scores: (19 + 1) x .95 = 19th, (19 + 1) x .05 = 1st
    got = dict(zip(LEVELS.tolist(), corrected_quantiles(scores).tolist(), strict=True))
    assert (got[0.95], got[0.05], got[0.5]) == (19, 1, 10)
    assert (got[0.975], got[0.025]) == (19, 1)


def test_intervals_cover_what_they_say_on_new_days() -> None:
    random = np.random.default_rng(1)
    mean = random.uniform(5, 50, (4000, 14))
    actual = mean * random.gamma(4.0, 0.25, mean.shape)
    table = Conformal.fit(actual[:2000], mean[:2000], mean[:2000])
    quantiles = table.quantiles(mean[2000:], mean[2000:])
    for share in (0.5, 0.8, 0.9, 0.95):
        assert interval_coverage(actual[2000:], quantiles, share) == pytest.approx(share, abs=0.015)


def test_weeks_with_bigger_errors_get_wider_intervals() -> None:
    random = np.random.default_rng(2)
    mean = np.full((500, 14), 20.0)
    spread = np.where(np.arange(14) < 7, 1.0, 6.0)
    table = Conformal.fit(mean + random.normal(size=mean.shape) * spread, mean, mean)
    width = np.diff(table.quantiles(mean[:1], mean[:1])[0][:, [0, 8]])[:, 0]
    assert width[10] > 3 * width[3]


def test_few_scores_give_wide_intervals_not_an_error() -> None:
    table = Conformal.fit(np.ones((1, 3)), np.ones((1, 3)), np.ones((1, 3)))
    quantiles = table.quantiles(np.array([[10.0]]), np.array([[10.0]]))[0, 0]
    assert quantiles[0] < 1
    assert quantiles[-1] > 30


@given(st.integers(0, 400), st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
def test_cutoffs_leave_the_whole_horizon_untouched(days: int, horizon: int, windows: int, step: int) -> None:
    cuts = cutoffs(days, horizon, windows, step)
    assert len(cuts) <= windows
    assert cuts == sorted(set(cuts))
    assert all(28 <= cut <= days - horizon for cut in cuts)


def test_a_broken_calibration_is_refused(tmp_path) -> None:
    (tmp_path / "calibration.npz").write_bytes(b"not a zip")
    with pytest.raises(Unavailable, match="train the model again"):
        Calibration.load(tmp_path)


def test_calibration_uses_only_days_after_its_cutoffs() -> None:
    series = small_shop()
    seen: list[int] = []

    def spying(known, horizon):
        seen.append(known.days)
        return points(known, horizon)

    calibrate(spying, series, [100, 120], 14)
    assert seen == [100, 120]
    assert SeasonalNaive.Params().horizon == 28
