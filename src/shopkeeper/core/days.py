"""Local days. A shop's "day" is a date in its own time zone, written as days since 1970-01-01."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR, micros, moment

_EPOCH = date(1970, 1, 1)


def day_of(us: int, zone: ZoneInfo) -> int:
    """The local day of one moment."""
    return (moment(us).astimezone(zone).date() - _EPOCH).days


def days_of(us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int32]:
    """The local days of many moments. Offsets are looked up once per UTC hour: no zone changes within one."""
    hours, where = np.unique(us // HOUR, return_inverse=True)
    offsets = np.array([_offset_us(int(hour) * HOUR, zone) for hour in hours], dtype=np.int64)
    if not len(hours):
        return np.empty(0, dtype=np.int32)
    return ((us + offsets[where]) // DAY).astype(np.int32)


def day_start(day: int, zone: ZoneInfo) -> int:
    """The moment (microseconds, UTC) at which a local day begins."""
    local = date_of(day)
    return micros(datetime(local.year, local.month, local.day, tzinfo=zone))


def date_of(day: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + day)


def day_number(value: date) -> int:
    return (value - _EPOCH).days


def _offset_us(us: int, zone: ZoneInfo) -> int:
    offset = moment(us).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * 1_000_000
