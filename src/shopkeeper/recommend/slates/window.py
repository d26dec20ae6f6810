"""How fast answers were in the last minute: true percentiles of all of them, from counts in classes 2 % wide."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import Record

_SECONDS: Final = 60
_LOW: Final = 1e-3  # ms; faster counts as this
_STEP: Final = math.log(1.02)
_CLASSES: Final = int(math.log(1e5 / _LOW) / _STEP) + 1
_FULL: Final = 4096


class Speed(Record, kw_only=True):
    """Of the last minute. Milliseconds, exact to 2 % (0 when nothing was asked); `qps` answers a second."""

    avg_latency_ms: float
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    qps: float
    error_rate: float


class Window:
    """`add` is the cheapest that there is, a list's append; `fold` sorts what came into the classes of its second."""

    def __init__(self, now: float) -> None:
        """`now` on a clock that does not go back, seconds."""
        self._fresh: list[float] = []
        self.add = self._fresh.append
        self._counts = np.zeros((_SECONDS, _CLASSES), dtype=np.uint32)
        self._sums = np.zeros(_SECONDS)
        self._failed = np.zeros(_SECONDS, dtype=np.int64)
        self._second = int(now)
        self._began = now

    @property
    def full(self) -> bool:
        """Enough came for `fold` to be called before its second is over."""
        return len(self._fresh) >= _FULL

    def fail(self, now: float) -> None:
        """A request that got an error of the shop instead of an answer."""
        self.fold(now)
        self._failed[self._second % _SECONDS] += 1

    def fold(self, now: float) -> None:
        """What was added since the last call counts as of `now`."""
        second = int(now)
        for gone in range(self._second + 1, min(second, self._second + _SECONDS) + 1):
            place = gone % _SECONDS
            self._counts[place], self._sums[place], self._failed[place] = 0, 0.0, 0
        self._second = max(second, self._second)
        if self._fresh:
            ms = np.array(self._fresh)
            self._fresh.clear()
            place = self._second % _SECONDS
            self._counts[place] += np.bincount(_class_of(ms), minlength=_CLASSES).astype(np.uint32)
            self._sums[place] += ms.sum()

    def speed(self, now: float) -> Speed:
        self.fold(now)
        counts = self._counts.sum(axis=0, dtype=np.int64)
        answered, failed = int(counts.sum()), int(self._failed.sum())
        asked = answered + failed
        span = max(1.0, min(float(_SECONDS), now - self._began))
        return Speed(
            avg_latency_ms=round(float(self._sums.sum()) / answered, 4) if answered else 0.0,
            p50_latency_ms=_percentile(counts, 0.50),
            p95_latency_ms=_percentile(counts, 0.95),
            p99_latency_ms=_percentile(counts, 0.99),
            qps=round(asked / span, 2),
            error_rate=round(failed / asked, 6) if asked else 0.0,
        )


def _class_of(ms: NDArray[np.float64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = (np.log(np.maximum(ms, _LOW) / _LOW) / _STEP).astype(np.int64)
    return np.minimum(found, _CLASSES - 1)


def _percentile(counts: NDArray[np.int64], share: float) -> float:
    """The middle of the class in which the nearest rank lies."""
    total = int(counts.sum())
    if not total:
        return 0.0
    place = int(np.searchsorted(np.cumsum(counts), math.ceil(share * total)))
    return round(_LOW * math.exp((place + 0.5) * _STEP), 5)
