"""How the time of the week, the month and the year moves a whole shop, and fashion single things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shopkeeper.core.days import date_of
from shopkeeper.sources.simulator.draws import Floats

GROWTH: Final = 0.25
"""How much busier the shop gets in the long run; half of it within half a year."""
PAYDAYS: Final = 5
PAYDAY: Final = 1.35
YEAR: Final = 0.18


@dataclass(frozen=True)
class Fashion:
    """Slow waves of liking, one a thing: `height`, `period` in days and `phase` (n,); `yearly` and `peak` come back
    every year at the same time."""

    height: Floats
    period: Floats
    phase: Floats
    yearly: Floats
    peak: Floats

    @classmethod
    def drawn(cls, random: np.random.Generator, n: int) -> Fashion:
        height, phase = np.abs(random.normal(0.0, 0.45, n)), random.random(n)
        return cls(height, random.uniform(70, 240, n), phase, np.abs(random.normal(0.0, 0.35, n)), random.random(n))

    def at(self, n: int, day: int) -> Floats:
        """What is added to the liking of each thing (n,) on day `n` of the shop, day `day` since 1970."""
        wave = np.sin(2 * np.pi * (n / self.period + self.phase))
        season = np.cos(2 * np.pi * (year_part(day) - self.peak))
        return self.height * wave + self.yearly * season


def year_part(day: int) -> float:
    """0 on the first of January, 1 at the end of December."""
    return (date_of(day).timetuple().tm_yday - 1) / 366


def is_weekend(day: int) -> bool:
    return date_of(day).weekday() >= 5


def busy(n: int, day: int) -> float:
    """How busy the shop is on its day `n`, day `day` since 1970, beside its first day: trend, month and year."""
    trend = 1.0 + GROWTH * (1.0 - 0.5 ** (n / 180))
    month = PAYDAY if date_of(day).day <= PAYDAYS else 1.0
    return float(trend * month * (1.0 + YEAR * np.cos(2 * np.pi * (year_part(day) - 0.95))))
