"""Rewards of one scale: less their mean so far, by their spread so far, and never beyond a bound.

References: Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4, 1962.
"""

from __future__ import annotations

import math

import msgspec


class RunningScale(msgspec.Struct, kw_only=True):
    """Mean and spread of the numbers so far, or with `fade` below 1 of the newest: each weighs `fade` times the one
    after it. `bound`: spreads beyond which a number counts as that far."""

    bound: float = 3.0
    fade: float = 1.0
    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, value: float) -> None:
        """A number more; what is no finite number changes nothing."""
        if not math.isfinite(value):
            return
        self.weight = self.weight * self.fade + 1.0
        off = value - self.mean
        self.mean += off / self.weight
        self.squares = self.squares * self.fade + off * (value - self.mean)

    @property
    def spread(self) -> float:
        """Standard deviation; 1 before two different numbers were seen."""
        found = math.sqrt(self.squares / self.weight) if self.weight > 1 else 0.0
        return found if found > 1e-12 else 1.0

    def normalised(self, value: float) -> float:
        """In [-bound, bound]."""
        return max(-self.bound, min(self.bound, (value - self.mean) / self.spread))
