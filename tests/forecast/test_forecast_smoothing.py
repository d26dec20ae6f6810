import numpy as np
import pytest

from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.autoets import AutoEts, fit_one
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.statistics.smoothing import Smoothing


def shop(y: np.ndarray) -> SeriesSet:
    return with_total(("P",), 19_723, y[None, :], y[None, :], y[None, :]).select(np.array([0]))


@pytest.mark.parametrize("kind", ["level", "trend", "season", "product"])
def test_the_recursion_gives_the_fits_of_statsforecast(kind: str) -> None:
    from statsforecast.models import AutoETS

    random, day = np.random.default_rng(5), np.arange(140)
    rhythm = np.array([0.6, 0.8, 1.0, 1.2, 1.4, 1.9, 0.4])[day % 7]
    y = {
        "level": 50 + np.cumsum(random.normal(0, 2, 140)),
        "trend": 40 + 2.0 * day + random.normal(0, 3, 140),
        "season": 100 + 30 * rhythm + random.normal(0, 2, 140),
        "product": (50 + day) * rhythm * random.normal(1, 0.03, 140),
    }[kind]
    series = shop(y)
    fit = fit_one(series)
    assert fit is not None
    own = Smoothing(**{name: np.array([value]) for name, value in fit.items()})
    ahead, fits = own.forecast(series, 14)
    theirs = AutoETS(season_length=7).fit(series.y[0].astype(np.float64))
    np.testing.assert_allclose(fits[0], theirs.predict_in_sample()["fitted"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ahead[0], theirs.predict(14)["mean"], rtol=1e-4, atol=1e-3)


def test_only_the_busiest_get_a_fit_of_their_own() -> None:
    random = np.random.default_rng(6)
    y = random.poisson(np.array([[1.0], [30.0], [9.0]]), (3, 120)).astype(float)
    series = with_total(("slow", "fast", "middle"), 19_723, y, y, y)
    model = AutoEts(AutoEts.Params(busiest=1), 1).fit(series, silent)
    assert model.ids == ("__total__", "fast")
    slow = model.forecast(series, 7).mean[0]
    assert slow.mean() == pytest.approx(1.0, abs=0.6)


def test_a_series_that_sold_nothing_is_expected_to_sell_nothing() -> None:
    model = AutoEts(AutoEts.Params(busiest=0), 1).fit(with_total(("a",), 1, *([np.ones((1, 90))] * 3)), silent)
    assert not model.forecast(shop(np.zeros(40)), 7).mean.any()
