"""Split-conformal intervals: how far off were the forecasts of this kind, on days that the model had not seen?

The scores of past forecasts are kept by size and by step of the horizon (`calibration_groups`). Aggregates have a table
of their own. What comes out is measured again on days after the fit (`evaluation`): windows that overlap are not
independent, so the coverage here is an aim and not a promise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.forecast.calibration_groups import ByStep, Table, corrected_quantiles, read_table
from shopkeeper.forecast.outlook import Base, Floats, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.quality.forecast import LEVELS

__all__ = ["LEVELS", "Bases", "Calibration", "Floats", "calibrate", "corrected_quantiles", "cutoffs", "padded"]

Bases: TypeAlias = Callable[[SeriesSet, int], "Base | tuple[Floats, Floats]"]
"""series, horizon -> what the model says uncalibrated; a pair is mean (n, h) and scale (n, h)."""

_MOST_SCORES = 2_000_000
_FILE = "calibration.npz"
_TIMES_BIGGEST, _TIMES_SCALE = 5.0, 20.0


@dataclass(frozen=True)
class Calibration:
    """The tables of products and of aggregates."""

    products: Table
    aggregates: Table

    @classmethod
    def unknown(cls) -> Calibration:
        """Nothing was measured: wide intervals."""
        return cls(ByStep.unknown(), ByStep.unknown())

    def outlook(self, series: SeriesSet, base: Base | Floats, scale: Floats | None = None) -> Outlook:
        """Mean and quantiles (from 0 on, never crossing) of a Base, or of a mean and its scale.

        0 in steps in which the shop is expected to be closed.
        """
        said = base if isinstance(base, Base) else _paired(base, scale)
        biggest = series.y.max(axis=1, initial=0.0).astype(np.float64)
        quantiles = _quantiles(self.products, said, biggest)
        if series.aggregate.any():
            sums = series.aggregate
            own = None if said.quantiles is None else said.quantiles[sums]
            summed = Base(said.mean[sums], said.scale[sums], own)
            quantiles[sums] = _quantiles(self.aggregates, summed, biggest[sums])
        closed = series.future_closed(said.mean.shape[1])
        return Outlook(np.where(closed[None, :], 0.0, said.mean), np.where(closed[None, :, None], 0.0, quantiles))

    def save(self, folder: Path) -> None:
        parts = {"product": self.products, "aggregate": self.aggregates}
        np.savez(
            folder / _FILE,
            **{f"{name}_{key}": value for name, table in parts.items() for key, value in table.columns().items()},
        )

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Raises Unavailable."""
        try:
            with np.load(folder / _FILE, allow_pickle=False) as kept:
                return cls(read_table(kept, "product"), read_table(kept, "aggregate"))
        except (OSError, KeyError, ValueError) as error:
            raise Unavailable(f"{_FILE} cannot be read ({error}); train the model again") from error


def calibrate(base: Bases, series: SeriesSet, cutoffs: list[int], horizon: int, forget: float = 1.0) -> Calibration:
    """Scores what `base` says at each cutoff (columns known then) against what came. The model must not have learned
    from behind the first of them.

    Where there are more than two million scores, some products are drawn to stand for all. `forget` under 1: a score
    counts `forget` ** weeks before the last cutoff.
    """
    asked = _drawn(series, horizon * len(cutoffs))
    observed = asked.observed().astype(np.float64)
    tables = _Scores(horizon), _Scores(horizon)
    for cutoff in cutoffs:
        known = asked.until(cutoff)
        told = base(known, horizon)
        said = told if isinstance(told, Base) else _paired(*told)
        actual = padded(observed[:, cutoff : cutoff + horizon], horizon)
        weight = float(forget ** ((cutoffs[-1] - cutoff) * series.step.days / 7))
        begun = known.start < cutoff
        for scores, rows in zip(tables, (begun & ~asked.aggregate, begun & asked.aggregate), strict=True):
            scores.add(actual[rows], said, rows, weight)
    products, aggregates = tables
    return Calibration(products.table(), aggregates.table(groups=1))


class _Scores:
    """Scores of one kind of series, cutoff by cutoff."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._parts: list[tuple[Floats, Floats, NDArray[np.int64], Floats]] = []

    def add(self, actual: Floats, said: Base, rows: NDArray[np.bool_], weight: float) -> None:
        """What is not finite, on either side, says nothing."""
        scale = said.scale[rows]
        if said.quantiles is None:
            scores = (actual - said.mean[rows]) / scale
            counted = (scale > 0) & np.isfinite(scores)
        else:
            scores = ((actual[:, :, None] - said.quantiles[rows]) / scale[:, :, None]).astype(np.float32)
            counted = (scale > 0) & np.isfinite(scores).all(axis=2)
        step = np.broadcast_to(np.arange(self._horizon)[None, :], counted.shape)[counted]
        self._parts.append((scores[counted], scale[counted], step, np.full(len(step), weight)))

    def table(self, groups: int = 16) -> ByStep:
        if not self._parts:
            return ByStep.unknown()
        scores, size, step, weight = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        weights = None if (weight == 1.0).all() else weight
        return ByStep.fit(scores, size, step, self._horizon, groups=groups, weight=weights)


def cutoffs(days: int, horizon: int, windows: int, step: int, fewest: int = 28, *, spread: bool = True) -> list[int]:
    """Up to `windows` cutoffs, `step` columns apart, the last `horizon` columns before the end; none under `fewest`.

    Were all of them the same weekday, so would be each step of the horizon. With `spread` a step of whole weeks is
    lengthened here and shortened there: seven cutoffs in a row lie on seven weekdays.
    """
    moved = 3 if spread and step % 7 == 0 else 0
    back = (k * step + moved * k % 7 for k in range(windows - 1, -1, -1))
    return [cut for gone in back if (cut := days - horizon - gone) >= fewest]


def padded(values: Floats, columns: int) -> Floats:
    """Filled up with NaN to that many columns."""
    return np.pad(values, ((0, 0), (0, columns - values.shape[1])), constant_values=np.nan)


def _paired(mean: Floats, scale: Floats | None) -> Base:
    if scale is None:
        raise TypeError("a mean comes with a scale")
    return Base(mean, scale)


def _quantiles(table: Table, base: Base, biggest: Floats) -> Floats:
    """(n, h, 9) from 0 on, in order, and not absurdly far beyond the `biggest` step (n,) of the past."""
    quantiles = table.quantiles(base)
    np.maximum(quantiles, 0.0, out=quantiles)
    if isinstance(table, ByStep):  # older tables go on to answer what they answered
        most = np.maximum(_TIMES_BIGGEST * biggest[:, None], base.mean + _TIMES_SCALE * base.scale)
        np.minimum(quantiles, most[:, :, None], out=quantiles)
    quantiles.sort(axis=2)
    return quantiles


def _drawn(series: SeriesSet, scores_each: int) -> SeriesSet:
    """All series, or the aggregates and as many products as scores are wanted from; the same ones each time."""
    products = np.flatnonzero(~series.aggregate)
    most = _MOST_SCORES // max(scores_each, 1)
    if len(products) <= most:
        return series
    drawn = np.random.default_rng(len(products)).choice(products, most, replace=False)
    return series.select(np.sort(np.concatenate([drawn, np.flatnonzero(series.aggregate)])))
