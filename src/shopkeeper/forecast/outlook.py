"""What a forecast algorithm answers, and the verb of the family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.series import SeriesSet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outlook:
    """`mean` (n, h) and `quantiles` (n, h, 9) pieces a day at the levels of core.records.QUANTILES, never crossing.

    `note`: what whoever reads the numbers must know, such as a part of the model that could not answer.
    """

    mean: Floats
    quantiles: Floats
    note: str | None = None


@dataclass(frozen=True)
class Base:
    """What an algorithm says before it is calibrated: `mean` (n, h) pieces, `scale` (n, h) above 0 in which its errors
    are counted, and quantiles (n, h, 9) of its own if it has any."""

    mean: Floats
    scale: Floats
    quantiles: Floats | None = None


class ForecastModel(Protocol):
    """A core Model whose verb is `forecast`.

    It answers from the end of the series that it is handed, which may be longer than those it was fitted on, and for
    any series: one it has never seen, one of zeros, one of a single day.
    """

    feature_names: tuple[str, ...]

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> ForecastModel: ...


def level(series: SeriesSet, days: int = 56) -> Floats:
    """(n,) pieces an open day over the last `days` days, drawn to a small number when few were seen; above 0."""
    recent = series.observed()[:, -days:]
    seen = np.isfinite(recent).sum(axis=1)
    total: Floats = np.nansum(recent, axis=1, dtype=np.float64)
    usual: Floats = (total + 0.5) / (seen + 2.0)
    return usual
