"""Checks for every forecast algorithm. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own small shop: 12 products over 200 days, closed on Sundays. What is
fitted on one shop serves all checks that ask it something; a class says in `brief` how it trains fast (`checks.brief`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Cancelled
from shopkeeper.core.protocols import Report, Trainer, silent
from shopkeeper.core.records import QUANTILES
from shopkeeper.forecast.covariates import CATEGORY, HOLIDAY, PRODUCT, PROMOTION, Covariates
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.steps import week
from shopkeeper.quality import calibration

PRODUCTS, DAYS, HORIZON = 12, 200, 14
WEEKS = 120
FIRST_DAY = 19_723  # a Monday
_SUNDAY = 6
_CUT = DAYS - 30


def small_shop(seed: int = 3, products: int = PRODUCTS, days: int = DAYS) -> SeriesSet:
    """Poisson sales with a weekly rhythm; one product never sold, one that began late, one that stopped."""
    random = np.random.default_rng(seed)
    y = _sales(random, products, days)
    price = random.uniform(1.0, 9.0, (products, 1)) * np.ones((1, days))
    return with_total(tuple(f"P{k}" for k in range(products)), FIRST_DAY, y, y * price, y)


def furnished_shop() -> SeriesSet:
    """The same with all that may be known beside the sales: holidays and promotions (known ahead), temperature and
    visits (known afterwards), product and category; the third last product was out of stock for two weeks.
    """
    random = np.random.default_rng(5)
    y = _sales(random, PRODUCTS, DAYS)
    holiday = (np.arange(DAYS) % 31 == 9).astype(np.float32)
    promotion = (random.random((PRODUCTS, DAYS)) < 0.08).astype(np.float32)
    y = np.round(y * (1.0 + 0.5 * holiday) * (1.0 + promotion))
    available = np.ones((PRODUCTS + 1, DAYS), dtype=np.bool_)
    available[-4, 100:114] = False
    y[-3, 100:114] = 0.0  # before there is a total: the same product
    price = np.where(promotion > 0, 0.8, 1.0) * random.uniform(1.0, 9.0, (PRODUCTS, 1))
    plain = with_total(tuple(f"P{k}" for k in range(PRODUCTS)), FIRST_DAY, y, y * price, y)
    own = np.zeros((2, PRODUCTS + 1, DAYS), dtype=np.float32)
    own[0, :-1] = promotion
    own[1] = random.poisson(20.0, own[1].shape)
    codes = np.stack([np.arange(PRODUCTS + 1), np.arange(PRODUCTS + 1) % 3], axis=1).astype(np.int32)
    codes[-1] = -1
    beside = Covariates(
        shared_names=(HOLIDAY, "temperature"),
        shared=np.stack([holiday, 15.0 + 8.0 * np.sin(np.arange(DAYS) / 58.0)]).astype(np.float32),
        own_names=(PROMOTION, "visits"),
        own=own,
        static_names=(PRODUCT, CATEGORY),
        statics=codes,
        static_words=(plain.ids[:-1], ("Tea", "Coffee", "Cups")),
        known=frozenset({HOLIDAY, PROMOTION}),
    )
    return replace(plain, covariates=beside, available=available)


def furnished_shop_before_the_cut() -> SeriesSet:
    """What was known of it 30 days before its end."""
    return furnished_shop().until(_CUT)


def weekly_shop() -> SeriesSet:
    """120 weeks with a season of a year; closed days are not known of weeks."""
    random = np.random.default_rng(7)
    season = 1.0 + 0.4 * np.sin(np.arange(WEEKS) * 2 * np.pi / 52)
    y = random.poisson(np.geomspace(1.0, 200.0, 8)[:, None] * season).astype(np.float64)
    return replace(with_total(tuple(f"P{k}" for k in range(8)), FIRST_DAY, y, y * 2.0, y), step=week())


@lru_cache(maxsize=16)
def fitted(trainer: type[Trainer], shop: Callable[[], SeriesSet] = small_shop) -> ForecastModel:
    """The one fit of a trainer on a shop that all checks share which do not compare fits."""
    return _fit(trainer, shop())


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is, and its parameters have defaults."""
    assert trainer.family == "forecast"
    assert trainer.description
    trainer.Params()
    assert fitted(trainer).feature_names


def quantiles_are_ordered(trainer: type[Trainer]) -> None:
    """Finite, at least 0, never crossing, in the shape asked for."""
    series = small_shop()
    _well_formed(fitted(trainer).forecast(series, HORIZON), len(series), HORIZON)


def closed_weekday_sells_nothing(trainer: type[Trainer]) -> None:
    """On a weekday on which the shop is always closed every number is 0."""
    said = fitted(trainer).forecast(small_shop(), HORIZON)
    closed = (np.arange(DAYS, DAYS + HORIZON) % 7) == _SUNDAY
    assert not said.mean[:, closed].any()
    assert not said.quantiles[:, closed].any()


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    series, model = small_shop(), fitted(trainer)
    again = cast(ForecastModel, saved_and_loaded(model))
    _same(model.forecast(series, HORIZON), again.forecast(series, HORIZON))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    series = small_shop()
    _same(fitted(trainer).forecast(series, HORIZON), _fit(trainer, series).forecast(series, HORIZON))


def never_looks_past_the_cutoff(trainer: type[Trainer]) -> None:
    """What comes after the cutoff changes neither the fit nor the forecast: sales, prices, what could be bought, and
    all that stands beside them, but for the names that are known ahead.
    """
    series = furnished_shop()
    beside = cast(Covariates, series.covariates)
    later, price, sold = series.y.copy(), series.price.copy(), series.sold.copy()
    later[:, _CUT:] = later[:, _CUT:] * 100 + 7
    price[:, _CUT:] *= 3
    sold[_CUT:] += 50
    available = cast("NDArray[np.bool_]", series.available).copy()
    available[:, _CUT:] = ~available[:, _CUT:]
    shared, own = beside.shared.copy(), beside.own.copy()
    shared[1, _CUT:] += 40.0
    own[1, :, _CUT:] *= 9.0
    changed = replace(beside, shared=shared, own=own)
    other = replace(series, y=later, price=price, sold=sold, available=available, covariates=changed)
    one, two = furnished_shop_before_the_cut(), other.until(_CUT)
    model, again = fitted(trainer, furnished_shop_before_the_cut), _fit(trainer, two)
    _same(model.forecast(one, HORIZON), again.forecast(two, HORIZON))


def holds_on_later_days(trainer: type[Trainer]) -> None:
    """Roughly as many of the days after the cutoff lie under each quantile as it says."""
    past, horizon = furnished_shop_before_the_cut(), DAYS - _CUT
    said = fitted(trainer, furnished_shop_before_the_cut).forecast(past, horizon)
    begun = (past.start < past.days) & ~past.aggregate
    actual = furnished_shop().y[begun, _CUT:].astype(np.float64)
    actual[:, past.future_closed(horizon)] = np.nan
    low = calibration.below(actual, said.quantiles[begun])
    high = calibration.at_most(actual, said.quantiles[begun])
    assert (low <= np.array(QUANTILES) + 0.2).all(), f"shares below: {low.round(2)}"
    assert (high >= np.array(QUANTILES) - 0.2).all(), f"shares at most: {high.round(2)}"


def answers_without_what_it_learned_with(trainer: type[Trainer]) -> None:
    """A model that learned with covariates answers where nothing is known beside the sales, other names are, or words
    that it has never seen.
    """
    model, series = fitted(trainer, furnished_shop_before_the_cut), furnished_shop()
    beside = cast(Covariates, series.covariates)
    bare = replace(series, covariates=None, available=None)
    others = replace(beside, shared_names=(HOLIDAY, "rain"), own_names=("visits", "leaflets"))
    strange = replace(beside, static_words=(("X",) * PRODUCTS, ("Shoes", "Tea", "Hats")))
    unknown = replace(beside, statics=np.full_like(beside.statics, -1))
    for asked in (series, bare, *(replace(series, covariates=one) for one in (others, strange, unknown))):
        _well_formed(model.forecast(asked, HORIZON), len(asked), HORIZON)


def takes_no_stock_for_no_answer(trainer: type[Trainer]) -> None:
    """A product that could not be bought for three weeks is not expected to sell nothing."""
    series = small_shop()
    y, available = series.y.copy(), np.ones(series.y.shape, dtype=np.bool_)
    y[PRODUCTS - 2, -21:] = 0.0
    available[PRODUCTS - 2, -21:] = False
    mean = fitted(trainer).forecast(replace(series, y=y, available=available), HORIZON).mean
    usual = series.y[PRODUCTS - 2, -77:-21].mean()
    assert 0.4 < mean[PRODUCTS - 2].mean() / usual < 2.5


def answers_alone_as_among_others(trainer: type[Trainer]) -> None:
    """A product's forecast does not depend on which others are asked for with it."""
    series, model = small_shop(), fitted(trainer)
    together = model.forecast(series, HORIZON)
    row = np.array([PRODUCTS - 1])
    alone = model.forecast(series.select(row), HORIZON)
    _same(Outlook(together.mean[row], together.quantiles[row]), alone, 1e-6)


def answers_for_odd_series(trainer: type[Trainer]) -> None:
    """All zeros, one day, five days, constant, a product it has never seen, a horizon beyond what it learned."""
    model = fitted(trainer)
    for values in ([0.0] * 60, [3.0], [1.0, 0.0, 2.0, 0.0, 1.0], [4.0] * 100):
        odd = _one(np.array(values))
        _well_formed(model.forecast(odd, HORIZON), len(odd), HORIZON)
    series = small_shop()
    _well_formed(model.forecast(series, 120), len(series), 120)
    assert not model.forecast(_one(np.zeros(90)), 7).mean.max() > 1.0


def learns_from_little(trainer: type[Trainer]) -> None:
    """Three weeks are enough to fit."""
    series = small_shop().until(21)
    _well_formed(_fit(trainer, series).forecast(series, HORIZON), len(series), HORIZON)


def forecasts_by_week(trainer: type[Trainer]) -> None:
    """Weeks are learned from and answered for as days are."""
    series = weekly_shop()
    said = fitted(trainer, weekly_shop).forecast(series, 8)
    _well_formed(said, len(series), 8)
    usual = series.y[:, -26:].mean(axis=1)
    assert 0.4 < said.mean[7].mean() / usual[7] < 2.5
    assert 0.4 < said.mean[-1].mean() / usual[-1] < 2.5


def follows_the_level(trainer: type[Trainer]) -> None:
    """A fast seller is expected to sell more than a slow one, and roughly what it did."""
    series = small_shop()
    mean = fitted(trainer).forecast(series, HORIZON).mean.sum(axis=1)
    usual = series.y[:, -56:].mean(axis=1) * HORIZON
    assert mean[PRODUCTS - 1] > 3 * mean[PRODUCTS // 2]
    assert 0.5 < mean[PRODUCTS - 1] / usual[PRODUCTS - 1] < 2.0
    assert 0.5 < mean[-1] / usual[-1] < 2.0


def stops_when_asked(trainer: type[Trainer]) -> None:
    """A report that refuses to go on ends the fit; nobody swallows it."""

    def stop(step: int, of: int, *_: Any, **__: Any) -> None:
        raise Cancelled(f"stopped at {step} of {of}")

    try:
        _fit(trainer, small_shop(), stop)
    except Cancelled:
        return
    raise AssertionError("the fit went on although its report raised Cancelled, or it never reports")


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    quantiles_are_ordered,
    closed_weekday_sells_nothing,
    loads_what_it_saved,
    same_seed_same_model,
    never_looks_past_the_cutoff,
    holds_on_later_days,
    answers_without_what_it_learned_with,
    takes_no_stock_for_no_answer,
    answers_alone_as_among_others,
    answers_for_odd_series,
    learns_from_little,
    forecasts_by_week,
    follows_the_level,
    stops_when_asked,
)


def _fit(trainer: type[Trainer], series: SeriesSet, report: Report = silent) -> ForecastModel:
    return cast(ForecastModel, trainer(brief_params(trainer), 1).fit(series, report))


def _sales(random: np.random.Generator, products: int, days: int) -> NDArray[np.float64]:
    rhythm = np.array([1.0, 0.8, 0.9, 1.1, 1.6, 2.0, 0.0])[np.arange(days) % 7]
    mean = np.geomspace(0.1, 30.0, products)[:, None] * rhythm[None, :]
    y: NDArray[np.float64] = random.poisson(mean).astype(np.float64)
    y[0] = 0.0
    y[1, : days * 3 // 4] = 0.0
    y[2, days // 2 :] = 0.0
    return y


def _one(y: NDArray[np.float64]) -> SeriesSet:
    return with_total(("new",), FIRST_DAY, y[None, :], y[None, :] * 2.0, y[None, :])


def _well_formed(said: Outlook, n: int, horizon: int) -> None:
    assert said.mean.shape == (n, horizon)
    assert said.quantiles.shape == (n, horizon, len(QUANTILES))
    for part in (said.mean, said.quantiles):
        assert np.isfinite(part).all()
        assert (part >= 0).all()
    assert (np.diff(said.quantiles, axis=2) >= 0).all()


def _same(one: Outlook, two: Outlook, tolerance: float = 1e-9) -> None:
    pairs: list[tuple[Any, Any]] = [(one.mean, two.mean), (one.quantiles, two.quantiles)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
