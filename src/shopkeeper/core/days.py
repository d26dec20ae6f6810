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
    return (_local(us, zone) // DAY).astype(np.int32)


def hours_of(us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int32]:
    """The local hours of many moments, 0 to 23."""
    return (_local(us, zone) % DAY // HOUR).astype(np.int32)


def weekdays_of(days: NDArray[np.int32]) -> NDArray[np.int32]:
    """The weekdays of days, 0 Monday to 6 Sunday."""
    return (days + 3) % 7  # day 0 was a Thursday


def day_start(day: int, zone: ZoneInfo) -> int:
    """The moment (microseconds, UTC) at which a local day begins."""
    local = date_of(day)
    return micros(datetime(local.year, local.month, local.day, tzinfo=zone))


def date_of(day: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + day)


def day_number(value: date) -> int:
    return (value - _EPOCH).days


def _local(us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """What the clocks show, as if they showed UTC."""
    hours, where = np.unique(us // HOUR, return_inverse=True)
    offsets = np.array([_offset_us(int(hour) * HOUR, zone) for hour in hours], dtype=np.int64)
    return us + offsets[where] if len(hours) else us


def _offset_us(us: int, zone: ZoneInfo) -> int:
    offset = moment(us).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * 1_000_000
