"""The space in which customers are near or far: habits on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopkeeper.profiles.clusters.habits import AMOUNTS
from shopkeeper.rules.vectors import Numbers

_FURTHEST = 3.0
"""Standard deviations; a rare giant must not make a cluster of its own."""
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Space:
    """(h,) each, of the logarithms of amounts and of shares as they are; `usual` stands for a missing number."""

    usual: Numbers
    mean: Numbers
    spread: Numbers

    @classmethod
    def of(cls, rows: Numbers) -> Space:
        """From habits (n, h), n > 0."""
        flat = _flat(rows)
        usual = np.array(
            [np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0.0 for column in flat.T]
        )
        filled = np.where(np.isnan(flat), usual, flat)
        return cls(usual, filled.mean(axis=0), np.maximum(filled.std(axis=0), _LEAST_SPREAD))

    def place(self, rows: Numbers) -> Numbers:
        """Habits (n, h) -> points (n, h)."""
        flat = _flat(rows)
        points = (np.where(np.isnan(flat), self.usual, flat) - self.mean) / self.spread
        return np.clip(points, -_FURTHEST, _FURTHEST)


def _flat(rows: Numbers) -> Numbers:
    flat = rows.astype(np.float64)
    flat[:, :AMOUNTS] = np.log1p(np.maximum(flat[:, :AMOUNTS], 0.0))
    return flat
