"""Clocks. All code asks the clock that it was given, never the system's.

`now` is shop time: what events, windows and forecasts are measured in. `wall` is real UTC time: what jobs, leases
and audit rows carry. They differ only in the bundled shop, whose clock follows its live stream.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Times are microseconds since 1970-01-01 UTC."""

    def now(self) -> int: ...

    def wall(self) -> int: ...


class SkippingClock(Clock, Protocol):
    """A clock that can leave out hours in which nothing happens, and stand still while nothing may happen."""

    def skip_to(self, at: int) -> None: ...

    def pace(self, speed: float) -> None:
        """Goes on from now, `speed` times as fast as real time; 0 stands still."""
        ...


class SystemClock:
    """Shop time is real time."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def wall(self) -> int:
        return time.time_ns() // 1000


class StoppedClock:
    """A clock that moves only when it is told to."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        return self.at

    def wall(self) -> int:
        return self.at

    def advance(self, by: int) -> None:
        self.at += by

    def skip_to(self, at: int) -> None:
        self.at = max(self.at, at)

    def pace(self, speed: float) -> None:
        """It stands still whatever the speed."""


class ReplayClock:
    """Shop time starts at `start` and runs `speed` times as fast as real time, until it meets real time.

    Speed 0 stands still. After the meeting it is the system's clock.
    """

    def __init__(self, start: int, speed: float, *, wall_start: int | None = None) -> None:
        # One reference: whoever reads it while another thread changes it sees the old course or the new one.
        self._course = (start, speed, self.wall() if wall_start is None else wall_start)
        self._lock = threading.Lock()  # of those who change it

    @property
    def speed(self) -> float:
        return self._course[1]

    def now(self) -> int:
        start, speed, since = self._course
        wall = self.wall()
        return min(wall, start + int((wall - since) * speed))

    def wall(self) -> int:
        return time.time_ns() // 1000

    def skip_to(self, at: int) -> None:
        """Goes on from `at`, when that is later than now and not beyond real time."""
        with self._lock:
            wall = self.wall()
            if self.now() < at <= wall:
                self._course = (at, self.speed, wall)

    def pace(self, speed: float) -> None:
        """Goes on from now at another speed."""
        with self._lock:
            self._course = (self.now(), speed, self.wall())


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; a naive one is read as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def moment(us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return datetime.fromtimestamp(us // SECOND, UTC).replace(microsecond=us % SECOND)


def rfc3339(us: int) -> str:
    """`2026-11-20T09:00:00.000000Z`, the form of every time in an answer."""
    return moment(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
