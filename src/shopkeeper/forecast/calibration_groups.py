"""How far off forecasts were, by size of what is sold and by step of the horizon.

A *score* is (actual - base) / scale, where base is the mean, or the model's own quantile of that level. The answer's
quantile is base + scale x the score's quantile with the finite-sample correction of split conformal prediction (Vovk
et al. 2005; Angelopoulos and Bates, arXiv 2107.07511); around own quantiles that is conformalized quantile regression
(Romano et al., arXiv 1905.03222), one level at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.forecast.outlook import Base, Floats
from shopkeeper.quality.forecast import LEVELS

_GROUPS = 16
_PLENTY = 200  # scores that a cell should have
_ENOUGH = 60  # that it must have
_FEWEST = 20  # under which the past says nothing
_WEEKS = 8  # rows of tables as they were written before there was one for each step
_MIDDLE = len(LEVELS) // 2
_UNKNOWN = (-np.log1p(-LEVELS) - 1.0).astype(np.float32)
"""An exponential with the forecast as its mean: wide, for want of evidence."""


@dataclass(frozen=True)
class ByStep:
    """`table` (g, K, 9) score quantiles of g sizes and K steps; between the `centres` (g,) (log scale) it is
    interpolated, so that no product jumps at the edge of a group. `own`: scores are counted from own quantiles.

    No centre: nothing was measured.
    """

    centres: Floats
    table: NDArray[np.float32]
    own: bool = False

    @classmethod
    def unknown(cls) -> ByStep:
        return cls(np.empty(0), _UNKNOWN.reshape(1, 1, -1).copy())

    @classmethod
    def fit(
        cls,
        scores: Floats,
        size: Floats,
        step: NDArray[np.integer],
        horizon: int,
        *,
        groups: int = _GROUPS,
        weight: Floats | None = None,
    ) -> ByStep:
        """From scores (m,), or (m, 9) of own quantiles, with scale (m,), step from 0 on (m,) and weight (m,)."""
        m, own = len(scores), scores.ndim == 2
        if m < (_ENOUGH if own else _FEWEST):
            return cls.unknown()
        log_size = np.log(size)
        group, centres = _grouped(log_size, max(1, min(groups, m // (2 * _PLENTY))))
        order = np.argsort(group * horizon + step, kind="stable")
        sums = np.bincount(group * horizon + step, minlength=len(centres) * horizon).reshape(len(centres), horizon)
        scores, weight = scores[order], None if weight is None else weight[order]
        known: dict[tuple[int, int], Floats] = {}

        def measured(low: int, high: int) -> Floats:
            if (low, high) not in known:
                part = None if weight is None else weight[low:high]
                known[low, high] = corrected_quantiles(scores[low:high], part)
            return known[low, high]

        table = np.empty((len(centres), horizon, len(LEVELS)), dtype=np.float32)
        first = 0
        for row, counts in enumerate(sums):
            ends = first + np.concatenate([[0], np.cumsum(counts)])
            for column, (low, high) in enumerate(_windows(counts)):
                begin, end = int(ends[low]), int(ends[high])
                table[row, column] = measured(begin, end) if end - begin >= _ENOUGH else measured(0, m)
            first = int(ends[-1])
        if m < _ENOUGH:  # between knowing nothing and knowing enough
            share = (m - _FEWEST) / (_ENOUGH - _FEWEST)
            table = (share * table + (1 - share) * _UNKNOWN).astype(np.float32)
        return cls(centres, table, own)

    def quantiles(self, base: Base) -> Floats:
        """(n, h, 9), not sorted. Steps beyond the table take its last, the wider the further they lie ahead."""
        horizon, known = base.mean.shape[1], self.table.shape[1]
        step = np.minimum(np.arange(horizon), known - 1)[None, :]
        if len(self.centres) < 2:
            scores = np.broadcast_to(self.table[0, step], (*base.mean.shape, len(LEVELS))).astype(np.float64)
        else:
            at = np.interp(
                np.log(np.maximum(base.scale, 1e-9)), self.centres, np.arange(len(self.centres), dtype=np.float64)
            )
            low = np.minimum(at.astype(np.int64), len(self.centres) - 2)
            part = (at - low)[:, :, None]
            scores = self.table[low, step] * (1.0 - part)
            scores += self.table[low + 1, step] * part
        if horizon > known and len(self.centres):
            grown = np.sqrt(np.arange(known + 1, horizon + 1) / known)[None, :, None]
            middle = scores[:, known:, _MIDDLE, None]
            scores[:, known:] = middle + (scores[:, known:] - middle) * grown
        scores *= base.scale[:, :, None]
        return scores + self._base(base)

    def _base(self, base: Base) -> Floats:
        if not self.own:
            return base.mean[:, :, None]
        if base.quantiles is None:
            raise Unavailable("this model was calibrated on quantiles of its own and gives none; train it again")
        return base.quantiles

    def columns(self) -> dict[str, Any]:
        """What a file keeps."""
        return {"centres": self.centres, "table": self.table, "own": np.array(self.own)}


@dataclass(frozen=True)
class ByWeek:
    """A table as older calibrations have it: (g, 8 weeks, 9), with hard `edges` (g - 1,) of the scale."""

    edges: Floats
    table: Floats

    def quantiles(self, base: Base) -> Floats:
        """(n, h, 9), not sorted."""
        group = np.searchsorted(self.edges, base.scale, side="right")
        week = np.minimum(np.arange(base.mean.shape[1]) // 7, _WEEKS - 1)
        answer: Floats = base.mean[:, :, None] + base.scale[:, :, None] * self.table[group, week[None, :]]
        return answer

    def columns(self) -> dict[str, Any]:
        """What a file keeps."""
        return {"edges": self.edges, "table": self.table}


Table = ByStep | ByWeek


def read_table(kept: Mapping[str, Any], name: str) -> Table:
    """A table from the arrays of a file. Raises KeyError where one is missing, ValueError on another shape."""
    table = kept[f"{name}_table"]
    if table.ndim != 3 or table.shape[2] != len(LEVELS):
        raise ValueError(f"a table of shape {table.shape}")
    if f"{name}_edges" in kept:
        return ByWeek(kept[f"{name}_edges"], table)
    return ByStep(kept[f"{name}_centres"], table, bool(kept[f"{name}_own"]))


def corrected_quantiles(scores: Floats, weight: Floats | None = None) -> Floats:
    """(9,) quantiles of scores (m,), or of each column of (m, 9), corrected outwards: of m + 1 scores the one to come
    is taken for the furthest. The median is plain.

    `weight` (m,) at most 1: scores of long ago count less (Barber et al., arXiv 2202.13415); the one to come counts 1.
    """
    columns = np.broadcast_to(scores[:, None], (len(scores), len(LEVELS))) if scores.ndim == 1 else scores
    if weight is None:
        ordered = np.sort(scores, axis=0)
        columns = ordered if scores.ndim == 2 else np.broadcast_to(ordered[:, None], columns.shape)
        n = len(scores)
        up = np.clip(np.ceil((n + 1) * LEVELS - 1e-9).astype(np.int64) - 1, 0, n - 1)
        down = np.clip(np.floor((n + 1) * LEVELS + 1e-9).astype(np.int64) - 1, 0, n - 1)
        answer: Floats = columns[np.where(LEVELS > 0.5, up, down), np.arange(len(LEVELS))].astype(np.float64)
        answer[_MIDDLE] = np.median(columns[:, _MIDDLE])
        return answer
    return np.array([_weighted(columns[:, place], weight, float(level)) for place, level in enumerate(LEVELS)])


def _weighted(scores: Floats, weight: Floats, level: float) -> float:
    """Of the scores in order, the first at which `level` of the weight is reached, that of the one to come included."""
    if level < 0.5:
        return -_weighted(-scores, weight, 1.0 - level)
    order = np.argsort(scores, kind="stable")
    reached, to_come = np.cumsum(weight[order]), 1.0 if level > 0.5 else 0.0
    place = int(np.searchsorted(reached, level * (reached[-1] + to_come) - 1e-9))
    return float(scores[order[min(place, len(scores) - 1)]])


def _grouped(log_size: Floats, groups: int) -> tuple[NDArray[np.int64], Floats]:
    """(m,) group of each, and the mean log size of each group, in rising order; about equally many in each."""
    edges = np.unique(np.quantile(log_size, np.arange(1, groups) / groups))
    _, group = np.unique(np.searchsorted(edges, log_size, side="right"), return_inverse=True)
    return group, np.bincount(group, weights=log_size) / np.bincount(group)


def _windows(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """For each step the steps [low, high) around it, no more than hold plenty of scores; all where none do."""
    horizon = len(counts)
    ends, at = np.concatenate([[0], np.cumsum(counts)]), np.arange(horizon)
    low, high = np.zeros(horizon, dtype=np.int64), np.full(horizon, horizon)
    open_still = np.ones(horizon, dtype=np.bool_)
    for around in range(horizon):
        begin, end = np.maximum(at - around, 0), np.minimum(at + around + 1, horizon)
        found = open_still & (ends[end] - ends[begin] >= _PLENTY)
        low[found], high[found] = begin[found], end[found]
        open_still &= ~found
        if not open_still.any():
            break
    return list(zip(low.tolist(), high.tolist(), strict=True))
