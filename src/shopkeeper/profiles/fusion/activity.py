"""What a customer did, as numbers that a line can be drawn through. All read from the fields that rules read.

Counts and amounts by log(1 + x); times since by exp(-days / tau), so that "never" is 0 and nothing is missing. The
last group measures the silence against the customer's own rhythm.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.schema import window_name
from shopkeeper.rules.vectors import Numbers

_EVER = 0
_COUNTS: Final = (
    *(("orders", days) for days in (30, 60, 90, 180, 365, _EVER)),
    *(("spend", days) for days in (30, 90, 365, _EVER)),
    *(("total_events", days) for days in (7, 30, 90)),
    *(("distinct_items", days) for days in (90, _EVER)),
)
_SINCE_ORDER: Final = (7, 30, 90, 365)
_SINCE_EVENT: Final = (7, 30)


def _name(field: str, days: int) -> str:
    return field if days == _EVER else window_name(field, days * 24)


ACTIVITY: Final[tuple[str, ...]] = (
    *(f"log {_name(field, days)}" for field, days in _COUNTS),
    *(f"order {tau} days fresh" for tau in _SINCE_ORDER),
    *(f"event {tau} days fresh" for tau in _SINCE_EVENT),
    "log tenure_days",
    "new within 30 days",
    "return_rate",
    "log average_order",
    "has a rhythm",
    "log days_between_orders",
    "silence in rhythm",
    "due by rhythm",
)


def activity(table: ProfileTable) -> NDArray[np.float64]:
    """(n, len(ACTIVITY)), finite, not standardised."""
    since_order, since_event = table.number("days_since_order"), table.number("days_since_event")
    tenure, interval = table.number("tenure_days"), table.number("days_between_orders")
    with np.errstate(all="ignore"):
        rhythm = interval > 0
        silence = np.where(rhythm, since_order / np.where(rhythm, interval, 1.0), 0.0)
        columns = (
            *(_log(table.number(_name(field, days))) for field, days in _COUNTS),
            *(_fresh(since_order, tau) for tau in _SINCE_ORDER),
            *(_fresh(since_event, tau) for tau in _SINCE_EVENT),
            _log(tenure),
            _fresh(tenure, 30),
            np.clip(table.number("return_rate"), 0.0, 1.0),
            _log(table.number("average_order")),
            rhythm.astype(np.float64),
            np.where(rhythm, _log(interval), 0.0),
            np.where(rhythm, _log(silence), 0.0),
            np.where(rhythm, np.exp(-((silence - 1.0) ** 2)), 0.0),
        )
    found: NDArray[np.float64] = np.nan_to_num(np.stack(columns, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    return found


def _log(values: Numbers) -> Numbers:
    logged: Numbers = np.log1p(np.maximum(values, 0.0))
    return logged


def _fresh(days: Numbers, tau: float) -> Numbers:
    """1 for now, 0 for never."""
    return np.where(np.isnan(days), 0.0, np.exp(-np.maximum(days, 0.0) / tau))
