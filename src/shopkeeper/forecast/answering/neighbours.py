"""Forecasts of products that have hardly sold yet, from products like them.

Like them: the nearest by the cosine of another model's item vectors, else those of the same category, else all. Two
things are taken from neighbours. The *curve*: what a product of its age sells, week by week after its first sale,
against the level of its first 90 days. And what levels there are: a gamma distribution by their mean and variance.

The product's own days correct the level, as in a gamma-Poisson model: (alpha + sales / phi) / (beta + exposure / phi),
where the exposure is the sum of the curve over these days and `phi`, the variance of a neighbour's day over its mean,
says how little a single day proves. With the days the answer moves over to the model that has learned from all
products; after four weeks it is that model's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.seasons import places_ahead, shop_season
from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.quality.forecast import LEVELS

Floats = NDArray[np.float64]
NEW_DAYS = 28
"""A product that has been there for fewer days is new."""
GROWN_DAYS = 90
_WEEKS = 13
_RECENT = 90  # days
_NEAREST = 20
FEWEST = 5
_STEADY = 10.0  # neighbours that weigh as much as the curve of all
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Neighbourhood:
    """Grown products by the end of one set of series: nothing of what came later stands in it.

    `ids` (g,); `level` (g,) pieces an open day; `curve` (g, 13) of the weeks of age, NaN where not seen; `launched`
    (g,) whose first sale was seen; `phi` (g,); `index` (season,) of the shop; `usual` (13,) the curve of all.
    """

    ids: tuple[str, ...]
    level: Floats
    curve: Floats
    launched: NDArray[np.bool_]
    phi: Floats
    index: Floats
    usual: Floats
    category: Mapping[str, str] = field(default_factory=dict)
    space: ItemSpace | None = None
    listed: Mapping[str, int] = field(default_factory=dict)
    _rows: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        series: SeriesSet,
        category: Mapping[str, str] | None = None,
        space: ItemSpace | None = None,
        listed: Mapping[str, int] | None = None,
    ) -> Neighbourhood:
        """`category` and `listed` (day since 1970 from which on it could be bought) by item id, as far as they are
        known. Raises Conflict for a space that has learned from days behind the series."""
        if space is not None:
            space.check_before((series.last_day + 1) * _DAY_US, "a forecast from these series")
        observed, week = series.observed(), np.arange(series.days) * series.step.days // 7
        seen = np.isfinite(observed).sum(axis=1) * series.step.days
        grown = np.flatnonzero((seen >= GROWN_DAYS) & ~series.aggregate & (np.nansum(observed, axis=1) > 0))
        level, curve = np.zeros(len(grown)), np.full((len(grown), _WEEKS), np.nan)
        phi = np.ones(len(grown))
        launched = series.start[grown] * series.step.days >= 14
        for place, row in enumerate(grown):
            first = int(series.start[row])
            own, age = observed[row, first:].astype(np.float64), week[first:] - week[first]
            counted = np.isfinite(own)
            own, age = own[counted], age[counted]
            mean, variance = float(own.mean()), float(own.var())
            phi[place] = max(variance / mean, 1.0)
            if not launched[place]:
                level[place] = own[-_RECENT // series.step.days :].mean()
                continue
            early = age < _WEEKS
            times = np.bincount(age[early], minlength=_WEEKS)
            pieces = np.bincount(age[early], own[early], minlength=_WEEKS)
            level[place] = max(float(pieces.sum()), 1e-9) / max(int(times.sum()), 1)
            curve[place, times > 0] = pieces[times > 0] / times[times > 0] / level[place]
        known = np.isfinite(curve)
        usual = np.where(known.any(axis=0), np.nansum(curve, axis=0) / np.maximum(known.sum(axis=0), 1), 1.0)
        ids = tuple(series.ids[row] for row in grown)
        return cls(
            ids, level, curve, launched, phi, shop_season(series).index, usual, category or {}, space, listed or {},
            {name: place for place, name in enumerate(ids)},
        )  # fmt: skip

    def new(self, series: SeriesSet) -> NDArray[np.int64]:
        """Rows of the products that are new at the end of these series."""
        fresh = [
            not aggregate and self._days(series, row) < NEW_DAYS
            for row, aggregate in enumerate(series.aggregate.tolist())
        ]
        return np.flatnonzero(fresh)

    def outlook(
        self, series: SeriesSet, rows: NDArray[np.integer], horizon: int, said: Outlook
    ) -> tuple[Outlook, list[str]]:
        """`said` with these rows moved towards what their neighbours say, and for each row where that comes from."""
        mean, quantiles, why = said.mean.copy(), said.quantiles.copy(), list[str]()
        if not len(self.ids):
            return said, [""] * len(rows)
        closed = series.future_closed(horizon)
        for row in rows:
            own, spread, text = self.expected(series, int(row), horizon)
            own, low = np.where(closed, 0.0, own), np.where(closed[:, None], 0.0, negative_binomial(own, spread))
            share = 1.0 - self._days(series, int(row)) / NEW_DAYS
            mean[row] = share * own + (1.0 - share) * mean[row]
            quantiles[row] = share * low + (1.0 - share) * quantiles[row]
            why.append(text)
        return Outlook(mean, quantiles, said.note), why

    def expected(self, series: SeriesSet, row: int, horizon: int) -> tuple[Floats, Floats, str]:
        """(h,) mean and variance of the days ahead, and whose they are."""
        near, text = self._near(series.ids[row])
        levels = np.minimum(self.level[near], np.quantile(self.level[near], 0.95))
        usual, spread = float(levels.mean()), float(levels.var())
        phi = float(np.median(self.phi[near]))
        curve = self._curve(near)
        first, days = int(series.start[row]), series.days
        per_week = max(7 // series.step.days, 1)
        alpha = usual * usual / max(spread, 1e-9 + 0.05 * usual * usual)
        beta = alpha / max(usual, 1e-9)
        sold = exposure = 0.0
        listed = self._listed(series, row)
        begun = min(first, listed)
        if begun < days:
            own = series.observed()[row, begun:].astype(np.float64)
            own[: max(first - begun, 0)] = 0.0  # it could be bought and was not
            age = np.arange(days - begun) // per_week
            counted = np.isfinite(own)
            sold = float(own[counted].sum())
            exposure = float(curve[np.minimum(age, _WEEKS - 1)][counted].sum())
        alpha, beta = alpha + sold / phi, beta + exposure / phi
        ahead = np.arange(max(days - begun, 0), max(days - begun, 0) + horizon) // per_week
        mean = alpha / beta * curve[np.minimum(ahead, _WEEKS - 1)] * self.index[places_ahead(series, horizon)]
        return mean, mean * phi + mean * mean / alpha, text

    def _near(self, item: str) -> tuple[NDArray[np.int64], str]:
        """Rows of the neighbours, and what they have in common."""
        by_vector = self._by_vector(item)
        if self.space is not None and len(by_vector) >= FEWEST:
            return by_vector, f"from {len(by_vector)} neighbours in {self.space.version}"
        shelf = self.category.get(item)
        if shelf is not None:
            alike = np.array([place for place, name in enumerate(self.ids) if self.category.get(name) == shelf], int)
            alike = self._begun(alike)
            if len(alike) >= FEWEST:
                return alike, f"from {len(alike)} products of category {shelf}"
        everything = self._begun(np.arange(len(self.ids)))
        return everything, f"from {len(everything)} products of the shop"

    def _begun(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those whose beginning was seen, if there are enough: old products sell otherwise than new ones."""
        seen = rows[self.launched[rows]]
        return seen if len(seen) >= FEWEST else rows

    def _by_vector(self, item: str) -> NDArray[np.int64]:
        if self.space is None or item not in self.space.place:
            return np.empty(0, dtype=np.int64)
        place = self.space.place
        have = [name for name in self.ids if name in place and name != item]
        if not have:
            return np.empty(0, dtype=np.int64)
        vectors = self.space.vectors[[place[name] for name in have]].astype(np.float64)
        mine = self.space.vectors[place[item]].astype(np.float64)
        length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(mine)
        cosine = np.where(length > 0, vectors @ mine / np.where(length > 0, length, 1.0), -1.0)
        order = np.argsort(-cosine, kind="stable")[:_NEAREST]
        return np.array([self._rows[have[near]] for near in order if cosine[near] > 0], dtype=np.int64)

    def _curve(self, near: NDArray[np.int64]) -> Floats:
        """(13,) of the neighbours, drawn to that of all; the last weeks are taken together, for they stand for ever."""
        curves = self.curve[near]
        known = np.isfinite(curves)
        curve: Floats = (np.nansum(curves, axis=0) + _STEADY * self.usual) / (known.sum(axis=0) + _STEADY)
        curve[-4:] = curve[-4:].mean()
        np.maximum(curve, 0.05, out=curve)
        return curve

    def _listed(self, series: SeriesSet, row: int) -> int:
        """The column from which on it could be bought, as far as that is known; else the end."""
        day = self.listed.get(series.ids[row])
        return series.days if day is None else max((day - series.first_day) // series.step.days, 0)

    def _days(self, series: SeriesSet, row: int) -> int:
        begun = min(int(series.start[row]), self._listed(series, row))
        return (series.days - begun) * series.step.days


def negative_binomial(mean: Floats, variance: Floats) -> Floats:
    """(h, 9) quantiles of whole pieces by mean and variance (h,), the variance above the mean."""
    from scipy.special import nbdtrik

    mean = np.maximum(mean, 1e-6)
    variance = np.maximum(variance, mean * 1.001)
    chance = mean / variance
    successes = mean * chance / (1.0 - chance)
    pieces = nbdtrik(LEVELS[None, :], successes[:, None], chance[:, None])
    answer: Floats = np.maximum(np.ceil(np.nan_to_num(pieces) - 1e-9), 0.0)
    return np.maximum.accumulate(answer, axis=1)
