"""What the tiles of a window come to: one number each. What nothing happened in comes to 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.rings import CENT, Series

QUARTER: Final = 4
_CENTS: Final = MICRO / CENT
Aggregator = Callable[[Series], float]


def count(series: Series) -> float:
    """Events."""
    return float(series.events.sum())


def interest(series: Series) -> float:
    """Events that show interest in an item: views, clicks, carts, likes ..."""
    return float(series.interest.sum())


def total(series: Series) -> float:
    """Value of order lines, currency."""
    return int(series.value.sum()) / MICRO


def average(series: Series) -> float:
    """Mean value of an order line."""
    lines = int(series.lines.sum())
    return int(series.value.sum()) / MICRO / lines if lines else 0.0


def largest(series: Series) -> float:
    return int(series.high.max()) / MICRO if series.lines.any() else 0.0


def smallest(series: Series) -> float:
    return int(series.low.min()) / MICRO if series.lines.any() else 0.0


def deviation(series: Series) -> float:
    """Standard deviation of the values of order lines, to the cent."""
    lines = int(series.lines.sum())
    if lines < 2:
        return 0.0
    mean = int(series.value.sum()) / CENT / lines
    return math.sqrt(max(float(series.squares.sum()) / lines - mean * mean, 0.0)) / _CENTS


def weighted(series: Series) -> float:
    """Events, each tile with a weight from 1/n (the oldest) to 1 (the newest)."""
    n = len(series.events)
    return float(series.events @ np.arange(1, n + 1)) / n


def decayed(series: Series) -> float:
    """Events, each worth half as much for every quarter of the window that has passed since."""
    n = len(series.events)
    return float(series.events @ _halves(n))


def moving_average(series: Series) -> float:
    """Mean events of a tile in the newest quarter of the window."""
    n = len(series.events) // QUARTER
    return float(series.events[-n:].sum()) / n


def trend(series: Series) -> float:
    """Log of events in the newer half against the older half, one added to both."""
    half = len(series.events) // 2
    return math.log((1 + int(series.events[half:].sum())) / (1 + int(series.events[:half].sum())))


def volatility(series: Series) -> float:
    """Standard deviation of the events of a tile over their mean: 0 for steady, large for bursts."""
    mean = float(series.events.mean())
    return float(series.events.std()) / mean if mean else 0.0


def percentile(values: NDArray[np.int64], share: float) -> float:
    """Of values in micros, between the two nearest; tiles cannot tell, so this one is given the events themselves."""
    return float(np.quantile(values, share)) / MICRO if len(values) else 0.0


def _halves(n: int) -> NDArray[np.float64]:
    found = _HALVES.get(n)
    if found is None:
        found = _HALVES[n] = 0.5 ** (np.arange(n - 1, -1, -1) * QUARTER / n)
    return found


_HALVES: dict[int, NDArray[np.float64]] = {}
