"""Theta, Croston and TSB: against statsforecast where they say the same, and where they say more."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms import croston, theta, tsb
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.local import LocalModel, LocalTrainer
from shopkeeper.forecast.statistics.seasons import Season, own_index, places, places_ahead, shop_season
from shopkeeper.forecast.steps import DAY, Step, week

FIRST = 19_723  # a Monday
Floats = NDArray[np.float64]


def series_of(y: Floats, available: NDArray[np.bool_] | None = None, step: Step = DAY, first: int = FIRST) -> SeriesSet:
    """Products alone; ten of them sell on every day that is not closed, so that closed days are seen."""
    n = len(y)
    return SeriesSet(
        tuple(f"P{row}" for row in range(n)),
        first,
        y.astype(np.float32),
        np.full(y.shape, np.nan, np.float32),
        np.where(y.sum(axis=0) > 0, 10, 0).astype(np.int32),
        np.zeros(n, np.bool_),
        available=available,
        step=step,
    )


def fitted(trainer: type[LocalTrainer], series: SeriesSet, **params: Any) -> LocalModel:
    return trainer(trainer.Params(**params), 1).fit(series, silent)  # type: ignore[attr-defined]


def flat(seed: int = 1, days: int = 400) -> Floats:
    """Four products with trends up and down and no season."""
    random = np.random.default_rng(seed)
    line = np.array([[80.0], [120.0], [60.0], [200.0]]) + np.array([[0.1], [-0.1], [0.0], [0.2]]) * np.arange(days)
    return line + random.normal(0, 2.0, line.shape)


def test_the_classic_line_says_what_statsforecast_says() -> None:
    from statsforecast.models import Theta

    y = flat()
    level, slope, lag = theta.smoothed(y, 0.5, 56)
    ours = level[:, None] + slope[:, None] * (lag[:, None] + np.arange(28))
    theirs = np.array([Theta(season_length=1).forecast(y=row, h=28)["mean"] for row in y])
    np.testing.assert_allclose(ours, theirs, rtol=1e-2)


def test_theta_with_a_week_says_what_statsforecast_says() -> None:
    from statsforecast.models import Theta

    rhythm = np.array([0.7, 0.8, 1.0, 1.1, 1.3, 1.4, 0.7])
    y = flat() * rhythm[np.arange(400) % 7]
    series = series_of(y)
    ours, _ = fitted(theta.Theta, series, line="classic").points(series, 28)
    theirs = np.array([Theta(season_length=7).forecast(y=row, h=28)["mean"] for row in y])
    np.testing.assert_allclose(ours, theirs, rtol=3e-2)
    np.testing.assert_allclose(ours.sum(axis=1), theirs.sum(axis=1), rtol=1e-2)


def test_the_best_line_of_a_straight_one_is_itself() -> None:
    straight = np.array([[10.0]]) + 0.5 * np.arange(300)
    level, slope, lag = theta.smoothed(straight, None, 56)
    assert level[0] + slope[0] * lag[0] == pytest.approx(straight[0, -1] + 0.5, rel=1e-3)
    assert slope[0] == pytest.approx(0.5, rel=0.05)


def intermittent(days: int = 1_500) -> Floats:
    random = np.random.default_rng(5)
    return (random.binomial(1, 0.25, (3, days)) * random.poisson(6.0, (3, days))).astype(np.float64)


@pytest.mark.parametrize(("corrected", "name"), [(False, "CrostonClassic"), (True, "CrostonSBA")])
def test_croston_says_what_statsforecast_says(corrected: bool, name: str) -> None:
    import statsforecast.models as peers

    y = intermittent()
    ours = croston.rate(y, np.ones_like(y), np.array([0.1]), corrected)
    theirs = [getattr(peers, name)().forecast(y=row, h=1)["mean"][0] for row in y]
    np.testing.assert_allclose(ours, theirs, rtol=2e-2 if corrected else 1e-6)


def test_tsb_says_what_statsforecast_says() -> None:
    from statsforecast.models import TSB

    y = intermittent()
    ours = tsb.rate(y, np.ones_like(y), np.array([0.05]), np.array([0.1]))
    theirs = [TSB(alpha_d=0.1, alpha_p=0.05).forecast(y=row, h=1)["mean"][0] for row in y]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_tsb_forgets_what_has_stopped_and_croston_does_not() -> None:
    y = np.zeros((1, 400))
    y[0, :200:4] = 3.0
    lively = series_of(np.vstack([y, np.full((1, 400), 2.0)]))
    dying, _ = fitted(tsb.Tsb, lively).points(lively, 7)
    lasting, _ = fitted(croston.Croston, lively).points(lively, 7)
    assert dying[0].max() < 0.2
    assert lasting[0].min() > 0.3


def test_tsb_falls_with_every_further_day_without_a_sale() -> None:
    y = np.zeros((1, 400))
    y[0, :200:4] = 3.0
    said = [tsb.rate(y[:, :days], np.ones((1, days)), tsb.CHANCES, tsb.PIECES)[0] for days in (205, 250, 300, 400)]
    assert said == sorted(said, reverse=True)


@pytest.mark.parametrize("trainer", [theta.Theta, croston.Croston, tsb.Tsb])
def test_days_on_which_it_could_not_be_bought_say_nothing(trainer: type[LocalTrainer]) -> None:
    y = np.random.default_rng(2).poisson(8.0, (3, 300)).astype(np.float64)
    out = np.ones(y.shape, np.bool_)
    out[0, -30:] = False
    gone = np.where(out, y, 0.0)
    other = np.where(out, y, 99.0)
    model = fitted(trainer, series_of(y))
    masked, _ = model.points(series_of(gone, out), 14)
    np.testing.assert_allclose(masked, model.points(series_of(other, out), 14)[0], rtol=1e-6)
    assert masked[0].mean() == pytest.approx(8.0, rel=0.2)


@pytest.mark.parametrize("trainer", [theta.Theta, croston.Croston, tsb.Tsb])
def test_weeks_have_a_year_for_a_season(trainer: type[LocalTrainer]) -> None:
    weeks = 52 * 3
    yearly = 1.0 + 0.6 * np.sin(2 * np.pi * np.arange(weeks + 26) / 52)
    random = np.random.default_rng(4)
    y = random.poisson(np.array([[40.0], [90.0], [300.0]]) * yearly[:weeks]).astype(np.float64)
    series = series_of(y, step=week(0))
    said = fitted(trainer, series).forecast(series, 26)
    came = np.array([[40.0], [90.0], [300.0]]) * yearly[weeks:]
    assert np.abs(said.mean - came).sum() / came.sum() < 0.15
    assert (np.diff(said.quantiles, axis=2) >= 0).all()


def test_a_model_of_days_answers_weeks() -> None:
    y = np.random.default_rng(2).poisson(8.0, (3, 300)).astype(np.float64)
    said = fitted(theta.Theta, series_of(y)).forecast(series_of(y, step=week()), 8)
    assert np.isfinite(said.quantiles).all()
    assert said.mean.mean() == pytest.approx(8.0, rel=0.3)


def test_many_series_are_answered_as_few() -> None:
    """Series go through in pieces of 2,048."""
    y = np.random.default_rng(6).poisson(3.0, (2_100, 60)).astype(np.float64)
    series = series_of(y)
    model = LocalModel.__new__(theta.ThetaModel)
    model.__init__({"line": "classic"}, Season.unknown(7), fitted(theta.Theta, series_of(y[:3]))._calibration)  # type: ignore[misc]
    together, _ = model.points(series, 7)
    some = np.array([0, 2_047, 2_048, 2_099])
    np.testing.assert_allclose(together[some], model.points(series.select(some), 7)[0], rtol=1e-9)


def test_an_index_is_the_share_of_each_weekday_and_few_pieces_prove_little() -> None:
    rhythm = np.array([0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 0.0])
    days = 364
    y = np.vstack([1_000.0 * rhythm[np.arange(days) % 7], np.zeros(days)])
    y[1, 100] = 1.0
    series = series_of(y)
    shop = shop_season(series)
    index = own_index(series.observed().astype(np.float64), places(series), shop)
    open_days = slice(0, 6)
    np.testing.assert_allclose(index[0, open_days], rhythm[open_days] / rhythm[open_days].mean(), rtol=0.02)
    np.testing.assert_allclose(index[1, open_days], shop.index[open_days], rtol=0.1)


def test_places_of_weeks_come_again_after_52() -> None:
    series = series_of(np.ones((1, 120)), step=week(5), first=FIRST + 5)
    at = places(series)
    np.testing.assert_array_equal(at[:68], at[52:])
    np.testing.assert_array_equal(places_ahead(series, 60)[:52], (at[-1] + 1 + np.arange(52)) % 52)


def test_a_season_of_ones_own_is_believed_where_it_comes_again() -> None:
    """Weeks of products that each have a year of their own, and of products whose weeks are chance alone."""
    random = np.random.default_rng(9)
    shapes = np.exp(random.normal(0, 0.4, (30, 52)))
    own = random.poisson(200 * np.tile(shapes, 3)).astype(np.float64)
    chance = random.poisson(200 * np.exp(random.normal(0, 0.4, (30, 156)))).astype(np.float64)
    assert shop_season(series_of(own, step=week())).times < 0.1
    assert shop_season(series_of(chance, step=week())).times > 5.0
