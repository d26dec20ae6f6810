from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.checks.forecast import small_shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, points
from shopkeeper.forecast.intervals import LEVELS, Bases, Calibration, calibrate, cutoffs
from shopkeeper.forecast.outlook import Base, Floats
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.quality.calibration import gap
from shopkeeper.quality.forecast import interval_coverage

FIRST = 19_723  # a Monday


@given(st.integers(0, 400), st.integers(1, 60), st.integers(1, 20), st.integers(1, 30), st.booleans())
def test_cutoffs_leave_the_whole_horizon_untouched(
    days: int, horizon: int, windows: int, step: int, spread: bool
) -> None:
    cuts = cutoffs(days, horizon, windows, step, spread=spread)
    assert len(cuts) <= windows
    assert cuts == sorted(set(cuts))
    assert all(28 <= cut <= days - horizon for cut in cuts)


def test_seven_cutoffs_a_week_apart_lie_on_seven_weekdays() -> None:
    assert {cut % 7 for cut in cutoffs(400, 28, 7, 7)} == set(range(7))
    assert {cut % 7 for cut in cutoffs(400, 28, 7, 7, spread=False)} == {400 % 7}


def test_calibration_uses_only_days_after_its_cutoffs() -> None:
    series = small_shop()
    seen: list[int] = []

    def spying(known: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        seen.append(known.days)
        return points(known, horizon)

    calibrate(spying, series, [100, 120], 14)
    assert seen == [100, 120]
    assert SeasonalNaive.Params().horizon == 28


def steady(random: np.random.Generator, draw: str, products: int, days: int) -> tuple[SeriesSet, Floats]:
    """Series without a pattern and their true means (n,)."""
    mean = np.exp(random.uniform(np.log(0.3), np.log(60), products))[:, None]
    shape = (products, days)
    if draw == "poisson":
        y = random.poisson(np.broadcast_to(mean, shape)).astype(float)
    elif draw == "negative binomial":
        y = random.poisson(mean * random.gamma(2.0, 0.5, shape)).astype(float)
    else:
        y = np.maximum(random.normal(mean + 200, 15.0, shape), 0.0)
        mean = mean + 200
    return with_total(tuple(f"P{k:03}" for k in range(products)), FIRST, y, y, y), mean[:, 0]


def answered(table: Calibration, series: SeriesSet, base: Bases, horizon: int) -> Floats:
    said = base(series, horizon)
    return (table.outlook(series, said) if isinstance(said, Base) else table.outlook(series, *said)).quantiles


def told_by(mean: Floats, *, own: bool = False):
    """What a model says that knows the means of the products, and of the total beside them."""
    of_all = np.append(mean, mean.sum())

    def base(known: SeriesSet, horizon: int) -> Base | tuple[Floats, Floats]:
        of = of_all if len(known) == len(of_all) else of_all[[int(name[1:]) for name in known.ids if name[0] == "P"]]
        flat = np.repeat(of[:, None], horizon, axis=1)
        if not own:
            return flat, flat
        normal = np.array([-1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96])
        return Base(flat, flat, flat[:, :, None] + 0.5 * np.sqrt(flat)[:, :, None] * normal)  # half as wide as true

    return base


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["poisson", "negative binomial", "normal"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_each_level_holds_on_new_days_within_the_bounds_of_chance(
    draw: str, own: bool, forgetful: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    horizon, products, days = 14, 120, 200
    series, mean = steady(random, draw, products, days)
    base = told_by(mean, own=own)
    past = series.until(days - horizon)
    table = calibrate(base, past, cutoffs(past.days, horizon, 7, 7), horizon, forget=0.97 if forgetful else 1.0)
    quantiles = answered(table, past, base, horizon)[:products]
    actual = series.y[:products, -horizon:].astype(float)
    counted = actual.size
    # binomial, of the new days and of the 7 windows that the level was measured on
    chance = 4.5 * np.sqrt(LEVELS * (1 - LEVELS) * (1 / counted + 1 / (6 * counted)))
    assert (gap(actual, quantiles) <= chance + 0.006).all()


def test_steps_with_bigger_errors_get_wider_intervals() -> None:
    random = np.random.default_rng(2)
    spread = np.where(np.arange(14) < 7, 1.0, 6.0)
    days, cuts = 28 + 14, [28]
    y = np.full((500, days), 20.0)
    y[:, 28:] += random.normal(size=(500, 14)) * spread
    series = with_total(tuple(f"P{k:03}" for k in range(500)), FIRST, y, y, y)
    base = told_by(np.full(500, 20.0))
    table = calibrate(base, series, cuts, 14)
    said = answered(table, series, base, 28)[0]
    width = said[:, 7] - said[:, 1]
    assert width[10] > 3 * width[3]
    assert width[13] == pytest.approx(12 * 1.645, rel=0.3)
    assert width[27] == pytest.approx(width[13] * np.sqrt(2), rel=0.05)  # beyond what was measured


def test_a_product_does_not_jump_at_the_edge_of_a_size_group() -> None:
    random = np.random.default_rng(3)
    series, mean = steady(random, "poisson", 400, 120)
    table = calibrate(told_by(mean), series, cutoffs(120, 14, 5, 7), 14)
    assert len(table.products.centres) == 16  # type: ignore[union-attr]
    sizes = np.geomspace(0.2, 80, 4_000)[:, None]
    quantiles = table.products.quantiles(Base(sizes, sizes))[:, 0] / sizes
    assert np.abs(np.diff(quantiles, axis=0)).max() < 0.05
    assert quantiles[0, 8] > 2 * quantiles[-1, 8]


def test_few_scores_give_wide_intervals_not_an_error() -> None:
    said = Calibration.unknown().outlook(small_shop(), np.full((13, 3), 10.0), np.full((13, 3), 10.0))
    assert said.quantiles[5, 0, 0] < 1
    assert said.quantiles[5, 0, -1] > 30
    series = small_shop().until(40)
    some = calibrate(points, series, [32], 8).aggregates.table  # 6 open days of one total
    np.testing.assert_array_equal(some, Calibration.unknown().aggregates.table)


def test_a_window_without_an_answer_is_left_out() -> None:
    series = small_shop()

    def base(known: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        mean, scale = points(known, horizon)
        return (mean * np.nan if known.days == 150 else mean), scale

    kept = calibrate(base, series, [130, 170], 14)
    with_nan = calibrate(base, series, [130, 150, 170], 14)
    np.testing.assert_array_equal(kept.products.table, with_nan.products.table)


def test_days_out_of_stock_are_no_errors() -> None:
    series = small_shop()
    available = np.ones(series.y.shape, dtype=bool)
    available[5:, 170:] = False
    y = series.y.copy()
    y[5:12, 170:] = 0
    masked = SeriesSet(
        series.ids, series.first_day, y, series.price, series.sold, series.aggregate, available=available
    )
    seen = calibrate(points, masked, [150, 160], 14)
    assert np.isfinite(seen.products.table).all()
    assert np.abs(seen.products.table).max() < 40


def test_quantiles_are_capped_where_the_past_errors_were_absurd() -> None:
    days = 100
    y = np.full((30, days), 2.0)
    y[:, 80:] = 1e6  # a typo in every file
    series = with_total(tuple(f"P{k:03}" for k in range(30)), FIRST, y, y, y)
    base = told_by(np.full(30, 2.0))
    table = calibrate(base, series, [60, 70], 28)
    assert answered(table, series.until(60), base, 7)[:30].max() <= 2.0 + 20 * 2.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_quantiles_never_cross_and_are_not_negative(seed: int, horizon: int) -> None:
    random = np.random.default_rng(seed)
    series = small_shop(seed=seed % 1000)
    noise = random.normal(size=(13, 60, 9))

    def own(known: SeriesSet, horizon: int) -> Base:
        mean, scale = points(known, horizon)
        return Base(mean, scale, mean[:, :, None] + noise[: len(known), :horizon] * scale[:, :, None])

    for base in (points, own):
        quantiles = answered(calibrate(base, series, [100, 117, 135], 14), series, base, horizon)
        assert np.isfinite(quantiles).all()
        assert (quantiles >= 0).all()
        assert (np.diff(quantiles, axis=2) >= 0).all()


@pytest.mark.parametrize("own", [False, True])
def test_a_calibration_is_the_same_after_it_was_saved(tmp_path: Path, own: bool) -> None:
    series = small_shop()
    base = told_by(series.y[:12].mean(axis=1).astype(float) + 0.1, own=own)
    table = calibrate(base, series, cutoffs(200, 14, 7, 7), 14)
    table.save(tmp_path)
    again = Calibration.load(tmp_path)
    one, two = answered(table, series, base, 30), answered(again, series, base, 30)
    np.testing.assert_array_equal(one, two)


def test_a_calibration_of_eight_weeks_answers_as_it_did(tmp_path: Path) -> None:
    table = np.linspace(-1, 1, 9) * np.arange(1, 17).reshape(2, 8, 1)
    np.savez(
        tmp_path / "calibration.npz",
        product_edges=np.array([5.0]),
        product_table=table,
        aggregate_edges=np.empty(0),
        aggregate_table=table[:1],
    )
    kept = Calibration.load(tmp_path)
    series = small_shop()
    mean = np.full((13, 80), 100.0)
    scale = np.where(np.arange(13) < 6, 4.0, 5.0)[:, None] * np.ones(80)
    said = kept.outlook(series, mean, scale).quantiles
    assert said[0, 0].tolist() == pytest.approx((100 + 4 * np.linspace(-1, 1, 9)).tolist())
    assert said[7, 8].tolist() == pytest.approx((100 + 5 * 10 * np.linspace(-1, 1, 9)).tolist())
    assert said[7, 78].tolist() == pytest.approx(np.maximum(100 + 5 * 16 * np.linspace(-1, 1, 9), 0).tolist())
    assert said[12, 70].tolist() == pytest.approx((100 + 5 * 8 * np.linspace(-1, 1, 9)).tolist())
    kept.save(tmp_path)
    np.testing.assert_array_equal(Calibration.load(tmp_path).outlook(series, mean, scale).quantiles, said)


def test_a_broken_calibration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration.npz").write_bytes(b"not a zip")
    with pytest.raises(Unavailable, match="train the model again"):
        Calibration.load(tmp_path)
    np.savez(tmp_path / "calibration.npz", product_table=np.zeros(3))
    with pytest.raises(Unavailable, match="train the model again"):
        Calibration.load(tmp_path)


def test_many_series_are_stood_for_by_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopkeeper.forecast.intervals._MOST_SCORES", 14 * 2 * 60)
    series, mean = steady(np.random.default_rng(5), "poisson", 300, 120)
    asked: list[int] = []

    def base(known: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        asked.append(len(known))
        of = np.append(mean, mean.sum())[[series.ids.index(name) for name in known.ids]]
        flat = np.repeat(of[:, None], horizon, axis=1)
        return flat, flat

    table = calibrate(base, series, cutoffs(120, 14, 2, 7), 14)
    assert asked == [61, 61]
    actual = np.random.default_rng(6).poisson(mean[:, None], (300, 14)).astype(float)
    quantiles = table.outlook(series, np.repeat(np.append(mean, 0)[:, None], 14, axis=1), np.ones((301, 14)) * 20)
    assert interval_coverage(actual, quantiles.quantiles[:300], 0.95) > 0.8
