"""How a customer buys, in numbers that do not move with the clock: what clusters are made from."""

from __future__ import annotations

from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.days import days_of, hours_of, weekdays_of
from shopkeeper.features.trails import Trail
from shopkeeper.rules.vectors import Bools, Numbers

HABITS: Final = (
    "orders",
    "average_order",
    "pieces_per_line",
    "distinct_items",
    "return_rate",
    "days_between_orders",
    "sessions_per_order",
    "morning",
    "afternoon",
    "evening",
    "weekend",
)
"""The last four are shares of the orders: before 12, from 12 to 17, from 17 o'clock, on Saturday and Sunday, in the
shop's zone. Two orders spread evenly are added, so that a single one is no habit yet."""
AMOUNTS: Final = 7
"""The first so many are amounts, of which the logarithm counts; the others are shares."""
_NOON, _EVENING, _SATURDAY = 12, 17, 5
_ADDED = 2.0


class Profiles(Protocol):
    """`profiles.table.ProfileTable`."""

    @property
    def trail(self) -> Trail: ...

    def number(self, name: str) -> Numbers: ...


def habits(table: Profiles, zone: ZoneInfo) -> tuple[Numbers, Bools]:
    """float64 (n, len(HABITS)), NaN where a number is missing, and bool (n,): who has ordered."""
    orders = table.number("orders")
    columns = [
        orders,
        table.number("average_order"),
        _ratio(table.number("pieces"), table.number("order_lines")),
        table.number("distinct_items"),
        table.number("return_rate"),
        table.number("days_between_orders"),
        _ratio(table.number("sessions"), orders),
        *_hours(table.trail, zone),
    ]
    return np.column_stack(columns), orders > 0


def _hours(trail: Trail, zone: ZoneInfo) -> list[Numbers]:
    """Of the orders that are kept one by one."""
    baskets = trail.baskets
    hour = hours_of(baskets.time, zone)
    weekday = weekdays_of(days_of(baskets.time, zone))
    marks = {
        "morning": (hour < _NOON, 1 / 3),
        "afternoon": ((hour >= _NOON) & (hour < _EVENING), 1 / 3),
        "evening": (hour >= _EVENING, 1 / 3),
        "weekend": (weekday >= _SATURDAY, 2 / 7),
    }
    count = np.bincount(baskets.user, minlength=len(trail))
    return [
        (np.bincount(baskets.user[mark], minlength=len(trail)) + _ADDED * evenly) / (count + _ADDED)
        for mark, evenly in marks.values()
    ]


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out
