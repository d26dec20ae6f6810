"""The season of a series: how much of its usual pieces each weekday, or each week of the year, sells.

An index is pieces at a place of the season / the moving mean of one season around them, both summed over the recent
past. A series with few sales is drawn to the index of the whole shop, as gamma-Poisson shrinkage does: a product that
sold three pieces says little about Mondays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.intervals import cutoffs
from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.series import SeriesSet

Floats = NDArray[np.float64]
LEAST = 0.05
"""No place of a season sells less than this share: series are divided by their index."""
_SEASONS_BACK = {7: 52, 52: 4}
_PIECES = 20.0  # pieces at a place that weigh as much as the shop's index
_YEAR, _QUARTER = 54, 13  # weeks
_TIMES = 1.0  # and times that the place was seen


def places(series: SeriesSet) -> NDArray[np.int64]:
    """(d,) place of each step in its season: the weekday, or one of 52 weeks."""
    return _places(series, series.first_day, series.days)


def places_ahead(series: SeriesSet, horizon: int) -> NDArray[np.int64]:
    """(horizon,) the same of the steps behind the history."""
    return _places(series, series.last_day + 1, horizon)


def shop_index(series: SeriesSet) -> Floats:
    """(season,) of everything that the products sold; 1 at places where nothing is known."""
    observed = series.observed()[~series.aggregate] if (~series.aggregate).any() else series.observed()
    season = series.step.season
    nothing = np.ones(season)
    if not observed.size:
        return nothing
    known = np.isfinite(observed).any(axis=0)
    sums = np.where(known, np.nansum(observed, axis=0, dtype=np.float64), np.nan)[None, :]
    index: Floats = own_index(sums, places(series), nothing)[0]
    return index


def own_index(observed: Floats, at: NDArray[np.integer], shop: Floats) -> Floats:
    """(n, season) of series (n, d), NaN where nothing was seen, whose steps lie `at` (d,); drawn to the shop's."""
    season = len(shop)
    back = season * _SEASONS_BACK[season]
    observed, at = observed[:, -back:], at[-back:]
    n, d = observed.shape
    if d < season:
        return np.repeat(shop[None, :], n, axis=0)
    usual = _moving_mean(observed, season)
    counted = np.isfinite(observed) & np.isfinite(usual)
    sold, expected = np.zeros((n, season)), np.zeros((n, season))
    for place in range(season):
        mine = at == place
        sold[:, place] = np.where(counted[:, mine], observed[:, mine], 0.0).sum(axis=1)
        expected[:, place] = np.where(counted[:, mine], usual[:, mine], 0.0).sum(axis=1)
    each = expected.sum(axis=1, keepdims=True) / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    prior = _PIECES + _TIMES * each
    index: Floats = np.maximum((sold + prior * shop) / (expected + prior), LEAST)
    return index


def past_cutoffs(series: SeriesSet, horizon: int, windows: int, fewest: int, *, strict: bool = False) -> list[int]:
    """Where to measure: a week apart, at least `fewest` days from the beginning; by week two apart, so that they lie in
    more than one month, and a year from the beginning, else nobody knows the season: without a year, unless `strict`,
    a quarter has to do."""
    if series.step.days == 1:
        return cutoffs(series.days, horizon, windows, step=7, fewest=fewest)
    after_a_year = cutoffs(series.days, horizon, windows, step=2, fewest=_YEAR)
    return after_a_year or ([] if strict else cutoffs(series.days, horizon, windows, step=2, fewest=_QUARTER))


def _places(series: SeriesSet, day: int, count: int) -> NDArray[np.int64]:
    if series.step.days == 1:
        return weekdays(day, count)
    first = (day + 3 - series.step.first) // series.step.days
    return (first + np.arange(count)) % series.step.season


def _moving_mean(observed: Floats, season: int) -> Floats:
    """(n, d) mean of what was seen in the season around each step; at the ends that of the first and last season."""
    n, d = observed.shape
    seen = np.isfinite(observed)
    sums, counts = np.zeros((n, d + 1)), np.zeros((n, d + 1))
    np.cumsum(np.where(seen, observed, 0.0), axis=1, out=sums[:, 1:])
    np.cumsum(seen, axis=1, out=counts[:, 1:])
    begin = np.clip(np.arange(d) - season // 2, 0, d - season)
    count = counts[:, begin + season] - counts[:, begin]
    return np.where(count > 0, (sums[:, begin + season] - sums[:, begin]) / np.maximum(count, 1), np.nan)
