"""Which rows a tree model is trained on: a series, an origin and a step ahead of it whose pieces are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.trees.lags import CHUNK, Drawn
from shopkeeper.forecast.trees.running import Floats, Places

FIRST_ORIGIN = {1: 28, 7: 8}  # steps of history before the first origin, by the days of a step
_MANY_DAYS = 100
YEAR = {1: 364, 7: 52}
_ASLEEP = {1: 150, 7: 22}  # steps without a sale after which a series is no longer learned from
_AGGREGATE_SHARE = 0.1  # of the loss, for the sums of others
_PILOT = 20_000


def draw(series: SeriesSet, horizon: int, rows: int, random: np.random.Generator) -> Drawn:
    """About `rows` rows at random, all there are if these are fewer; those of aggregates in full up to a quarter.

    Left out are steps on which nothing can be learned (closed, before the first sale, not available) and series that
    have not sold for long. Raises Invalid when none is left.
    """
    origins = _origins(series)
    parts = []
    for which, most in ((~series.aggregate, rows), (series.aggregate, max(rows // 4, 1))):
        if (names := np.flatnonzero(which)).size:
            parts.append(_some(series, names, origins, horizon, most, random))
    if not sum(len(part.row) for part in parts):
        raise Invalid("no open day after the first sale: there is nothing to learn from", code="no_data")
    return Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def weights(start: Floats, aggregate: NDArray[np.bool_], power: float) -> Floats:
    """Products weigh 1; aggregates so much that together they are a tenth of a Tweedie loss, not all of it.

    `start` is the log of the level that a row begins at.
    """
    pull = np.exp((2 - power) * start)
    products, sums = float(pull[~aggregate].sum()), float(pull[aggregate].sum())
    ratio = _AGGREGATE_SHARE * products / sums if sums > 0 and products > 0 else 1.0
    return np.where(aggregate, ratio, 1.0)


def _origins(series: SeriesSet) -> NDArray[np.int64]:
    """Columns known at each, the newest first.

    With many days every fifth is one: five and seven have no common factor, so over time they fall on every weekday.
    With more than three years the first is left out, or it would teach what to expect where no year before is known.
    """
    step, days = series.step.days, series.days
    first = YEAR[step] if days > 3 * YEAR[step] else min(FIRST_ORIGIN[step], days // 3)
    every = 5 if step == 1 and days >= _MANY_DAYS else 1
    return np.arange(days - 1, max(first, 1) - 1, -every)


def _some(
    series: SeriesSet, names: Places, origins: Places, horizon: int, rows: int, random: np.random.Generator
) -> Drawn:
    """Rows of the series `names`: places of a table (name, origin, ahead) that is never made, sorted."""
    size = len(names) * len(origins) * horizon
    if size > max(4 * rows, _PILOT):
        pilot = _usable(series, _named(np.sort(random.integers(0, size, _PILOT)), names, origins, horizon))
        wanted = int(rows / max(pilot.mean(), 1 / _PILOT))
        if wanted < size:
            at = _named(np.unique(random.integers(0, size, wanted)), names, origins, horizon)
            return at.take(_usable(series, at))
    at = _named(np.arange(size), names, origins, horizon)
    good = np.flatnonzero(_usable(series, at))
    if len(good) > rows:
        good = np.sort(random.choice(good, rows, replace=False))
    return at.take(good)


def _named(place: Places, names: Places, origins: Places, horizon: int) -> Drawn:
    which, rest = np.divmod(place, len(origins) * horizon)
    return Drawn(names[which], origins[rest // horizon], rest % horizon + 1)


def _usable(series: SeriesSet, at: Drawn) -> NDArray[np.bool_]:
    """(m,) whether the pieces are known and the series was awake at the origin. `at` is sorted by series."""
    good: NDArray[np.bool_] = at.target < series.days
    target = np.minimum(at.target, series.days - 1)
    good &= ~series.closed[target] & (target >= series.start[at.row])
    if series.available is not None:
        good &= series.available[at.row, target]
    asleep = np.maximum(at.origin - _ASLEEP[series.step.days], 0)
    for first in range(0, len(series), CHUNK):
        low, high = np.searchsorted(at.row, (first, first + CHUNK))
        if low < high:
            sales = np.zeros((min(CHUNK, len(series) - first), series.days + 1), dtype=np.int32)
            np.cumsum(series.y[first : first + CHUNK] > 0, axis=1, out=sales[:, 1:])
            row = at.row[low:high] - first
            good[low:high] &= sales[row, at.origin[low:high]] > sales[row, asleep[low:high]]
    return good
