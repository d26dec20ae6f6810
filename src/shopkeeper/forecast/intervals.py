"""Split-conformal intervals: how far off were the point forecasts of this kind, on days that the model had not seen?

A score is (actual - mean) / scale. Scores are grouped by week of the horizon and by size of the scale (a product that
sells once a month errs otherwise than one that sells daily), and a quantile of the forecast is mean + scale x the
score's quantile with the finite-sample correction of split conformal prediction (Vovk et al.; Angelopoulos and Bates,
arXiv 2107.07511). Aggregates have a table of their own. Small groups fall back to the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import QUANTILES
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet

Floats = NDArray[np.float64]
Points: TypeAlias = Callable[[SeriesSet, int], tuple[Floats, Floats]]
"""series, horizon -> mean (n, h), scale (n, h) above 0."""

LEVELS = np.array(QUANTILES)
WEEKS = 8
"""Horizons of the last group and beyond share one."""
_GROUPS = 16
_ENOUGH = 60
_UNKNOWN = -np.log1p(-LEVELS) - 1.0  # an exponential with the forecast as mean: wide, for want of evidence


@dataclass(frozen=True)
class Conformal:
    """`edges` (g-1,) of the scale; `table` (g, WEEKS, 9) score quantiles."""

    edges: Floats
    table: Floats

    @classmethod
    def fit(cls, actual: Floats, mean: Floats, scale: Floats, groups: int = _GROUPS) -> Conformal:
        """From (m, h) past forecasts and what came; NaN in `actual` is left out."""
        week = np.broadcast_to(_week(actual.shape[1])[None, :], actual.shape)
        counted = np.isfinite(actual)
        scores, sizes, week = ((actual - mean) / scale)[counted], scale[counted], week[counted]
        if len(scores) < _ENOUGH:
            return cls(np.empty(0), np.broadcast_to(_UNKNOWN, (1, WEEKS, len(LEVELS))).copy())
        groups = max(1, min(groups, len(scores) // (_ENOUGH * 4)))
        edges = np.unique(np.quantile(sizes, np.arange(1, groups) / groups)) if groups > 1 else np.empty(0)
        group = np.searchsorted(edges, sizes, side="right")
        table = np.empty((len(edges) + 1, WEEKS, len(LEVELS)))
        for row in range(len(edges) + 1):
            mine = group == row
            whole = corrected_quantiles(scores[mine] if mine.sum() >= _ENOUGH else scores)
            last = whole
            for column in range(WEEKS):
                cell = scores[mine & (week == column)]
                last = corrected_quantiles(cell) if len(cell) >= _ENOUGH else last
                table[row, column] = last
        return cls(edges, table)

    def quantiles(self, mean: Floats, scale: Floats) -> Floats:
        """(n, h, 9), at least 0 and not crossing."""
        group = np.searchsorted(self.edges, scale, side="right")
        scores = self.table[group, _week(mean.shape[1])[None, :]]
        return np.sort(np.maximum(mean[:, :, None] + scale[:, :, None] * scores, 0.0), axis=2)


@dataclass(frozen=True)
class Calibration:
    """The tables of products and of aggregates."""

    products: Conformal
    aggregates: Conformal

    @classmethod
    def unknown(cls) -> Calibration:
        """Nothing was measured: wide intervals."""
        none = np.empty((0, 1))
        nothing = Conformal.fit(none, none, none)
        return cls(nothing, nothing)

    def outlook(self, series: SeriesSet, mean: Floats, scale: Floats) -> Outlook:
        """Mean and quantiles; 0 on weekdays on which the shop is expected to be closed."""
        quantiles = self.products.quantiles(mean, scale)
        if series.aggregate.any():
            sums = series.aggregate
            quantiles[sums] = self.aggregates.quantiles(mean[sums], scale[sums])
        closed = series.future_closed(mean.shape[1])
        return Outlook(np.where(closed[None, :], 0.0, mean), np.where(closed[None, :, None], 0.0, quantiles))

    def save(self, folder: Path) -> None:
        np.savez(
            folder / "calibration.npz",
            product_edges=self.products.edges,
            product_table=self.products.table,
            aggregate_edges=self.aggregates.edges,
            aggregate_table=self.aggregates.table,
        )

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        try:
            with np.load(folder / "calibration.npz", allow_pickle=False) as kept:
                return cls(
                    Conformal(kept["product_edges"], kept["product_table"]),
                    Conformal(kept["aggregate_edges"], kept["aggregate_table"]),
                )
        except (OSError, KeyError, ValueError) as error:
            raise Unavailable(f"calibration.npz cannot be read ({error}); train the model again") from error


def calibrate(points: Points, series: SeriesSet, cutoffs: list[int], horizon: int) -> Calibration:
    """Scores the point forecasts made at each cutoff (columns known then). Horizons beyond the data are left out."""
    actual, mean, scale, rows = [], [], [], []
    observed = series.observed().astype(np.float64)
    for cutoff in cutoffs:
        known = series.until(cutoff)
        begun = known.start < cutoff
        got_mean, got_scale = points(known, horizon)
        actual.append(padded(observed[:, cutoff : cutoff + horizon], horizon)[begun])
        mean.append(got_mean[begun])
        scale.append(got_scale[begun])
        rows.append(series.aggregate[begun])
    if not cutoffs:
        return Calibration.unknown()
    aggregate = np.concatenate(rows)
    came, said, size = np.concatenate(actual), np.concatenate(mean), np.concatenate(scale)
    return Calibration(
        Conformal.fit(came[~aggregate], said[~aggregate], size[~aggregate]),
        Conformal.fit(came[aggregate], said[aggregate], size[aggregate], groups=1),
    )


def cutoffs(days: int, horizon: int, windows: int, step: int, fewest: int = 28) -> list[int]:
    """Up to `windows` cutoffs, `step` days apart, the last `horizon` days before the end; none with under `fewest`."""
    return [cut for k in range(windows - 1, -1, -1) if (cut := days - horizon - k * step) >= fewest]


def corrected_quantiles(scores: Floats) -> Floats:
    """(9,) score quantiles with the (n + 1) correction outwards; the median is plain."""
    ordered, n = np.sort(scores), len(scores)
    up = np.clip(np.ceil((n + 1) * LEVELS).astype(int) - 1, 0, n - 1)
    down = np.clip(np.floor((n + 1) * LEVELS).astype(int) - 1, 0, n - 1)
    answer: Floats = ordered[np.where(LEVELS > 0.5, up, down)]
    answer[LEVELS == 0.5] = np.median(ordered)
    return answer


def padded(values: Floats, columns: int) -> Floats:
    """Filled up with NaN to that many columns."""
    return np.pad(values, ((0, 0), (0, columns - values.shape[1])), constant_values=np.nan)


def _week(horizon: int) -> NDArray[np.int64]:
    return np.minimum(np.arange(horizon) // 7, WEEKS - 1)
