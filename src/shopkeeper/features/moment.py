"""The moment of the request in the shop's own time zone. No event writes this."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from shopkeeper.core import clock
from shopkeeper.features.base import Accumulator, Ask, Reading


@dataclass(frozen=True)
class LocalTime:
    """One number of the local wall clock."""

    name: str
    of_moment: Callable[[datetime], float]
    unit: str
    help: str
    group: str = "contextual"
    default: float = 0.0
    of: str = "context"
    version: int = 1
    standard: bool = True
    needs: ClassVar[tuple[type[Accumulator], ...]] = ()

    def read(self, ask: Ask) -> Reading:
        return self.of_moment(ask.once(_local))


def _local(ask: Ask) -> datetime:
    return clock.moment(ask.time).astimezone(ask.state.zone)


def _angle(local: datetime) -> float:
    return 2 * math.pi * (local.hour + local.minute / 60) / 24


def _circle(name: str, of_turn: Callable[[float], float], share: Callable[[datetime], float], help: str) -> LocalTime:
    return LocalTime(name, lambda local: of_turn(2 * math.pi * share(local)), "-1 to 1", help, standard=False)


def _week(local: datetime) -> float:
    return (local.weekday() + (local.hour + local.minute / 60) / 24) / 7


def _year(local: datetime) -> float:
    return (local.timetuple().tm_yday - 1) / 366


HOUR = LocalTime("context_hour", lambda local: float(local.hour), "hour", "local hour, 0 to 23")
HOUR_SIN = LocalTime("context_hour_sin", lambda local: math.sin(_angle(local)), "-1 to 1", "time of day on a circle")
HOUR_COS = LocalTime("context_hour_cos", lambda local: math.cos(_angle(local)), "-1 to 1", "time of day on a circle")
WEEKDAY = LocalTime(
    "context_weekday", lambda local: float(local.weekday()), "day", "local weekday, 0 Monday to 6 Sunday"
)
WEEKEND = LocalTime("context_weekend", lambda local: float(local.weekday() >= 5), "0 or 1", "Saturday or Sunday, local")
MONTH_DAY = LocalTime("context_month_day", lambda local: float(local.day), "day", "local day of the month, 1 to 31")
WEEK_SIN = _circle("context_week_sin", math.sin, _week, "time of the week on a circle")
WEEK_COS = _circle("context_week_cos", math.cos, _week, "time of the week on a circle")
YEAR_SIN = _circle("context_year_sin", math.sin, _year, "day of the year on a circle")
YEAR_COS = _circle("context_year_cos", math.cos, _year, "day of the year on a circle")
