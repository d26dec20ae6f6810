"""Forecasts of products that have hardly sold yet, from how others began.

Each grown product is a *beginning*: the pieces of its first day, its second, and so on. A new product's days ahead are
the days of the beginnings at that age, all of a week together, weighted: by how much a beginning sold in as many days
as the new product has been there (a kernel on the logarithm of the pieces), and tenfold if it is like it: among the
nearest by the cosine of another model's item vectors, else of the same category. So the spread is that of what became
of others, days without a sale included; this is kernel regression, Nadaraya (1964), with weighted quantiles.

From the first day on the answer is the middle between that and the model that has learned from all products, and in the
fourth week it moves over to the model. The numbers here were chosen on products that began before those on which they
are measured (`make bench-forecast-cold`).
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
GROWN_DAYS = 2 * NEW_DAYS
_TAPER_DAYS = 7
_SHARE = 0.5
_BANDWIDTH = 0.7  # of log(1 + pieces)
_LIKE = 10.0
_NEAREST = 20
FEWEST = 5
_WEEK = 7
_LONGEST = NEW_DAYS + 365  # days of a beginning that are looked at
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Neighbourhood:
    """Grown products by the end of one set of series: nothing of what came later stands in it.

    `ids` (g,); `paths` (g, a) pieces by step of age, NaN where the shop was closed or the day is not known; `launched`
    (g,) whose first sale was seen; `index` (season,) of the shop.
    """

    ids: tuple[str, ...]
    paths: Floats
    launched: NDArray[np.bool_]
    index: Floats
    category: Mapping[str, str] = field(default_factory=dict)
    space: ItemSpace | None = None
    listed: Mapping[str, int] = field(default_factory=dict)

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
        observed, apart = series.observed(), series.step.days
        seen = np.isfinite(observed).sum(axis=1) * apart
        grown = np.flatnonzero((seen >= GROWN_DAYS) & ~series.aggregate & (np.nansum(observed, axis=1) > 0))
        paths = np.full((len(grown), min(_LONGEST // apart, series.days)), np.nan)
        for place, row in enumerate(grown):
            own = observed[row, int(series.start[row]) :][: paths.shape[1]]
            paths[place, : len(own)] = own
        launched = series.start[grown] * apart >= 14
        ids = tuple(series.ids[row] for row in grown)
        return cls(ids, paths, launched, shop_season(series).index, category or {}, space, listed or {})

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
        for row in rows:
            own, low, text = self.alone(series, int(row), horizon)
            share = _share(self._days(series, int(row)))
            mean[row] = share * own + (1.0 - share) * mean[row]
            quantiles[row] = share * low + (1.0 - share) * quantiles[row]
            why.append(text)
        return Outlook(mean, quantiles, said.note), why

    def alone(self, series: SeriesSet, row: int, horizon: int) -> tuple[Floats, Floats, str]:
        """Mean (h,) and quantiles (h, 9) of the days ahead by what became of others, and who they are."""
        begun = min(int(series.start[row]), self._listed(series, row))
        age = max(series.days - begun, 0)
        places = self._beginnings()
        weight, text = self._alike(series.ids[row], places)
        paths, factor = self.paths[places], 1.0
        if age:
            own = series.observed()[row, begun:].astype(np.float64)
            own[: max(int(series.start[row]) - begun, 0)] = 0.0  # it could be bought and was not
            sold, theirs = _pieces(own[None, :])[0], _pieces(paths[:, :age])
            weight = weight * _kernel(sold, theirs)
            factor = max(sold / max(float(theirs.max()), 1.0), 1.0)
        mean, quantiles = _ahead(paths, weight, age, horizon, max(_WEEK // series.step.days, 1))
        usual = self.index[places_ahead(series, horizon)] * factor
        usual[series.future_closed(horizon)] = 0.0
        return mean * usual, np.rint(quantiles * usual[:, None]), text

    def _beginnings(self) -> NDArray[np.int64]:
        """Those that were seen, if there are enough: old products sell otherwise than new ones."""
        seen = np.flatnonzero(self.launched)
        return seen if len(seen) >= FEWEST else np.arange(len(self.ids))

    def _alike(self, item: str, places: NDArray[np.int64]) -> tuple[Floats, str]:
        """Weights by what they have in common with it."""
        ids = [self.ids[at] for at in places]
        nearest = () if self.space is None else self.space.nearest(item, _NEAREST, ids)
        if self.space is not None and len(nearest) >= FEWEST:
            near = np.isin(ids, nearest)
            what = f", foremost {near.sum()} near it in {self.space.version}"
        else:
            shelf = self.category.get(item)
            near = np.array([shelf is not None and self.category.get(name) == shelf for name in ids], bool)
            what = f", foremost {near.sum()} of category {shelf}" if near.any() else ""
        return np.where(near, _LIKE, 1.0), f"from the beginnings of {len(places)} products{what}"

    def _listed(self, series: SeriesSet, row: int) -> int:
        """The column from which on it could be bought, as far as that is known; else the end."""
        day = self.listed.get(series.ids[row])
        return series.days if day is None else max((day - series.first_day) // series.step.days, 0)

    def _days(self, series: SeriesSet, row: int) -> int:
        begun = min(int(series.start[row]), self._listed(series, row))
        return (series.days - begun) * series.step.days


def _share(days: int) -> float:
    """Of the neighbours in the answer."""
    return _SHARE * min((NEW_DAYS - days) / _TAPER_DAYS, 1.0) if days else 1.0


def _pieces(paths: Floats) -> Floats:
    """(g,) pieces of the days (g, k), those that were not observed taken as the others are."""
    counted = np.isfinite(paths)
    found: Floats = np.nansum(paths, axis=1) * paths.shape[1] / np.maximum(counted.sum(axis=1), 1)
    return found


def _kernel(sold: float, theirs: Floats) -> Floats:
    """(g,) how alike they began; 1 for the most alike."""
    apart = ((np.log1p(sold) - np.log1p(theirs)) / _BANDWIDTH) ** 2 / 2.0
    found: Floats = np.exp(apart.min() - apart)
    return found


def _ahead(paths: Floats, weight: Floats, age: int, horizon: int, per_week: int) -> tuple[Floats, Floats]:
    """(h,), (h, 9) of the steps from `age` on, a week's together; where too few were seen, the week before stands."""
    mean, quantiles = np.zeros(horizon), np.zeros((horizon, len(LEVELS)))
    here, low = 0.0, np.zeros(len(LEVELS))
    for first in range(0, horizon, per_week):
        days = paths[:, age + first : age + first + per_week]
        seen = np.isfinite(days)
        if seen.any(axis=1).sum() >= (FEWEST if first else 1):
            each, share = days[seen], np.broadcast_to(weight[:, None], days.shape)[seen]
            here, low = float(np.average(each, weights=share)), _quantiles(each, share)
        mean[first : first + per_week], quantiles[first : first + per_week] = here, low
    return mean, quantiles


def _quantiles(values: Floats, weight: Floats) -> Floats:
    """(9,) the least value up to which so much of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    at = np.searchsorted(reached, LEVELS * reached[-1])
    found: Floats = values[order[np.minimum(at, len(order) - 1)]]
    return found
