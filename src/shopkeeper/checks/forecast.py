"""Checks for every forecast algorithm. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own small shop: 12 products over 200 days, closed on Sundays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.core.records import QUANTILES
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet, with_total

PRODUCTS, DAYS, HORIZON = 12, 200, 14
FIRST_DAY = 19_723  # a Monday
_SUNDAY = 6


def small_shop(seed: int = 3, products: int = PRODUCTS, days: int = DAYS) -> SeriesSet:
    """Poisson sales with a weekly rhythm; one product never sold, one that began late, one that stopped."""
    random = np.random.default_rng(seed)
    weekday = np.arange(days) % 7
    rhythm = np.array([1.0, 0.8, 0.9, 1.1, 1.6, 2.0, 0.0])[weekday]
    y = random.poisson(np.geomspace(0.1, 30.0, products)[:, None] * rhythm[None, :]).astype(np.float64)
    y[0] = 0.0
    y[1, : days * 3 // 4] = 0.0
    y[2, days // 2 :] = 0.0
    price = random.uniform(1.0, 9.0, (products, 1)) * np.ones((1, days))
    return with_total(tuple(f"P{k}" for k in range(products)), FIRST_DAY, y, y * price, y)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is, and its parameters have defaults."""
    assert trainer.family == "forecast"
    assert trainer.description
    trainer.Params()
    assert _fitted(trainer, small_shop()).feature_names


def quantiles_are_ordered(trainer: type[Trainer]) -> None:
    """Finite, at least 0, never crossing, in the shape asked for."""
    series = small_shop()
    _well_formed(_fitted(trainer, series).forecast(series, HORIZON), len(series), HORIZON)


def closed_weekday_sells_nothing(trainer: type[Trainer]) -> None:
    """On a weekday on which the shop is always closed every number is 0."""
    series = small_shop()
    said = _fitted(trainer, series).forecast(series, HORIZON)
    closed = (np.arange(DAYS, DAYS + HORIZON) % 7) == _SUNDAY
    assert not said.mean[:, closed].any()
    assert not said.quantiles[:, closed].any()


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    series = small_shop()
    model = _fitted(trainer, series)
    again = cast(ForecastModel, saved_and_loaded(model))
    _same(model.forecast(series, HORIZON), again.forecast(series, HORIZON))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    series = small_shop()
    _same(_fitted(trainer, series).forecast(series, HORIZON), _fitted(trainer, series).forecast(series, HORIZON))


def never_looks_past_the_cutoff(trainer: type[Trainer]) -> None:
    """What comes after the cutoff changes neither the fit nor the forecast."""
    series, cut = small_shop(), DAYS - 30
    later = series.y.copy()
    later[:, cut:] = later[:, cut:] * 100 + 7
    other = SeriesSet(series.ids, series.first_day, later, series.price, series.sold, series.aggregate)
    one, two = series.until(cut), other.until(cut)
    _same(_fitted(trainer, one).forecast(one, HORIZON), _fitted(trainer, two).forecast(two, HORIZON))


def answers_alone_as_among_others(trainer: type[Trainer]) -> None:
    """A product's forecast does not depend on which others are asked for with it."""
    series = small_shop()
    model = _fitted(trainer, series)
    together = model.forecast(series, HORIZON)
    row = np.array([PRODUCTS - 1])
    alone = model.forecast(series.select(row), HORIZON)
    _same(Outlook(together.mean[row], together.quantiles[row]), alone, 1e-6)


def answers_for_odd_series(trainer: type[Trainer]) -> None:
    """All zeros, one day, five days, constant, a product it has never seen, a horizon beyond what it learned."""
    model = _fitted(trainer, small_shop())
    for values in ([0.0] * 60, [3.0], [1.0, 0.0, 2.0, 0.0, 1.0], [4.0] * 100):
        odd = _one(np.array(values))
        _well_formed(model.forecast(odd, HORIZON), len(odd), HORIZON)
    series = small_shop()
    _well_formed(model.forecast(series, 120), len(series), 120)
    assert not model.forecast(_one(np.zeros(90)), 7).mean.max() > 1.0


def learns_from_little(trainer: type[Trainer]) -> None:
    """Three weeks are enough to fit."""
    series = small_shop().until(21)
    _well_formed(_fitted(trainer, series).forecast(series, HORIZON), len(series), HORIZON)


def follows_the_level(trainer: type[Trainer]) -> None:
    """A fast seller is expected to sell more than a slow one, and roughly what it did."""
    series = small_shop()
    mean = _fitted(trainer, series).forecast(series, HORIZON).mean.sum(axis=1)
    usual = series.y[:, -56:].mean(axis=1) * HORIZON
    assert mean[PRODUCTS - 1] > 3 * mean[PRODUCTS // 2]
    assert 0.5 < mean[PRODUCTS - 1] / usual[PRODUCTS - 1] < 2.0
    assert 0.5 < mean[-1] / usual[-1] < 2.0


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    quantiles_are_ordered,
    closed_weekday_sells_nothing,
    loads_what_it_saved,
    same_seed_same_model,
    never_looks_past_the_cutoff,
    answers_alone_as_among_others,
    answers_for_odd_series,
    learns_from_little,
    follows_the_level,
)


def _fitted(trainer: type[Trainer], series: SeriesSet) -> ForecastModel:
    return cast(ForecastModel, trainer(brief_params(trainer), 1).fit(series, silent))


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
