"""What the tiles of a window come to: one number each. What nothing happened in comes to 0.

All aggregators of a window share the sums of its series (rings.py), which are of whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.rings import CENT, HALF, QUARTER, Series

_CENTS: Final = MICRO / CENT
Aggregator = Callable[[Series], float]


def count(series: Series) -> float:
    """Events."""
    return series.counted.events


def interest(series: Series) -> float:
    """Events that show interest in an item: views, clicks, carts, likes ..."""
    return series.counted.interest


def total(series: Series) -> float:
    """Value of order lines, currency."""
    return series.value / MICRO


def average(series: Series) -> float:
    """Mean value of an order line."""
    lines = series.counted.lines
    return series.value / MICRO / lines if lines else 0.0


def largest(series: Series) -> float:
    return int(series.amounts[3].max()) / MICRO if series.counted.lines else 0.0


def smallest(series: Series) -> float:
    return int(series.amounts[2].min()) / MICRO if series.counted.lines else 0.0


def deviation(series: Series) -> float:
    """Standard deviation of the values of order lines, to the cent."""
    lines = series.counted.lines
    if lines < 2:
        return 0.0
    mean = series.value / CENT / lines
    return math.sqrt(max(float(series.squares.sum()) / lines - mean * mean, 0.0)) / _CENTS


def weighted(series: Series) -> float:
    """Events, each tile with a weight from 1/n (the oldest) to 1 (the newest)."""
    return series.counted.rising / len(series)


def decayed(series: Series) -> float:
    """Events, each worth half as much for every quarter of the window that has passed since."""
    return series.counted.halved / HALF


def moving_average(series: Series) -> float:
    """Mean events of a tile in the newest quarter of the window."""
    return series.counted.quarter / (len(series) // QUARTER)


def trend(series: Series) -> float:
    """Log of events in the newer half against the older half, one added to both."""
    counted = series.counted
    return math.log((1 + counted.newer) / (1 + counted.events - counted.newer))


def volatility(series: Series) -> float:
    """Standard deviation of the events of a tile over their mean: 0 for steady, large for bursts."""
    events = int(series.counted.events)
    if not events:
        return 0.0
    squares = int((series.events.astype(np.int64) ** 2).sum())
    return math.sqrt(len(series) * squares - events * events) / events


def percentile(ordered: NDArray[np.int64], share: float) -> float:
    """Of values in micros, sorted; between the two nearest. Tiles cannot tell: this one is given the events' own."""
    if not len(ordered):
        return 0.0
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return (int(ordered[low]) + (int(ordered[high]) - int(ordered[low])) * (at - low)) / MICRO
