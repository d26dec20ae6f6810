"""The season of a series: how much of its usual pieces each weekday, or each week of the year, sells.

An index is pieces at a place of the season / the moving mean of one season around them, both summed over the recent
past. A series with few sales is drawn to the index of the whole shop, as gamma-Poisson shrinkage does: a product that
sold three pieces says little about Mondays.
"""

from __future__ import annotations

from dataclasses import dataclass

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
_MOST = 2_000
_MOST_TIMES = 50.0
_YEAR, _QUARTER = 54, 13  # weeks
_TIMES = {7: 1.0, 52: 0.25}  # and times that the place was seen, where the past cannot say


def places(series: SeriesSet) -> NDArray[np.int64]:
    """(d,) place of each step in its season: the weekday, or one of 52 weeks."""
    return _places(series, series.first_day, series.days)


def places_ahead(series: SeriesSet, horizon: int) -> NDArray[np.int64]:
    """(horizon,) the same of the steps behind the history."""
    return _places(series, series.last_day + 1, horizon)


@dataclass(frozen=True)
class Season:
    """What a shop knows of its season: `index` (season,) of everything together, and after how many `times` of seeing a
    place a series is believed as much as that."""

    index: Floats
    times: float

    @classmethod
    def unknown(cls, season: int) -> Season:
        return cls(np.ones(season), _TIMES[season])


def shop_season(series: SeriesSet) -> Season:
    """Of everything that the products sold; 1 at places where nothing is known.

    `times` by empirical Bayes: each series' index is measured on every other season and on those between. What the two
    have in common is the product's own way, what they have not is chance.
    """
    season = series.step.season
    products = ~series.aggregate if (~series.aggregate).any() else series.aggregate
    observed = series.observed()[products].astype(np.float64)
    if not observed.size:
        return Season.unknown(season)
    at, known = places(series), np.isfinite(observed).any(axis=0)
    sums = np.where(known, np.nansum(observed, axis=0), np.nan)[None, :]
    index: Floats = own_index(sums, at, Season(np.ones(season), 1.0))[0]
    busiest = np.argsort(-np.nansum(observed, axis=1), kind="stable")[:_MOST]
    return Season(index, _times(observed[busiest], at, index))


def own_index(observed: Floats, at: NDArray[np.integer], shop: Season) -> Floats:
    """(n, season) of series (n, d), NaN where nothing was seen, whose steps lie `at` (d,); drawn to the shop's."""
    if observed.shape[1] < len(shop.index):
        return np.repeat(shop.index[None, :], len(observed), axis=0)
    sold, expected, times = _measured(observed, at, len(shop.index))
    each = expected.sum(axis=1, keepdims=True) / np.maximum(times.sum(axis=1, keepdims=True), 1)
    prior = _PIECES + shop.times * each
    index: Floats = np.maximum((sold + prior * shop.index) / (expected + prior), LEAST)
    return index


def _measured(observed: Floats, at: NDArray[np.integer], season: int) -> tuple[Floats, Floats, Floats]:
    """(n, season) pieces at each place, what the season around them would have been, and how often it was seen."""
    back = season * _SEASONS_BACK[season]
    observed, at = observed[:, -back:], at[-back:]
    usual = _moving_mean(observed, season)
    counted = np.isfinite(observed) & np.isfinite(usual)
    where = np.eye(season)[at]
    return np.where(counted, observed, 0.0) @ where, np.where(counted, usual, 0.0) @ where, counted @ where


def _times(observed: Floats, at: NDArray[np.integer], index: Floats) -> float:
    """Variance of chance at one time of seeing a place / variance of the products' own ways."""
    n, d = observed.shape
    season = len(index)
    turn = (d - 1 - np.arange(d)) // season % 2
    if d < 2 * season:
        return _TIMES[season]
    halves = [_measured(np.where(turn == half, observed, np.nan), at, season) for half in (0, 1)]
    enough = np.ones((n, season), dtype=np.bool_)
    for _, expected, _ in halves:
        enough &= expected >= _PIECES
    if not enough.any():
        return _TIMES[season]
    one, two = (np.where(enough, sold / np.where(enough, expected, 1.0), 0.0) for sold, expected, _ in halves)
    weight = np.where(enough, np.minimum(halves[0][1], halves[1][1]), 0.0)
    often = float((weight * (halves[0][2] + halves[1][2])).sum() / 2.0)
    own = float((weight * (one - index) * (two - index)).sum())
    chance = float((weight * (one - two) ** 2).sum() / 2.0) * often / float(weight.sum())
    return float(np.clip(chance / max(own, 1e-9), 0.0, _MOST_TIMES))


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
