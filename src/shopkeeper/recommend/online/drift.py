"""Has the world changed? Detectors that read one number in [0, 1] after another: the loss of each outcome.

References: Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007 (ADWIN2); Page,
"Continuous inspection schemes", Biometrika 41, 1954.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec
import numpy as np

from shopkeeper.core.learning import Detector

_BUCKETS = 5
_CLOCK = 32
_LEAST_SEEN = 64
_LEAST_SIDE = 16


class Detecting(Protocol):
    """`update` says whether the numbers have grown; then what lies before the change is forgotten."""

    def update(self, value: float) -> bool: ...

    @property
    def seen(self) -> int: ...

    @property
    def mean(self) -> float: ...


class Adwin(msgspec.Struct, kw_only=True):
    """A window that is cut where its older and its newer part have means too far apart for chance, `delta` being that
    chance. Kept as an exponential histogram: level k has up to six buckets of 2^k numbers, `sums` and `spreads` (sums
    of squares about the bucket's mean), the newest last; memory and time grow with the logarithm of the window."""

    delta: float = 0.002
    sums: list[list[float]] = msgspec.field(default_factory=lambda: [[]])
    spreads: list[list[float]] = msgspec.field(default_factory=lambda: [[]])
    since: int = 0

    @property
    def seen(self) -> int:
        return sum(len(level) << k for k, level in enumerate(self.sums))

    @property
    def mean(self) -> float:
        return sum(map(sum, self.sums)) / max(1, self.seen)

    def update(self, value: float) -> bool:
        self.sums[0].append(value)
        self.spreads[0].append(0.0)
        self._compress()
        self.since += 1
        if self.since % _CLOCK:
            return False
        return self._cut()

    def _compress(self) -> None:
        for k in range(len(self.sums)):
            if len(self.sums[k]) <= _BUCKETS:
                return
            if k + 1 == len(self.sums):
                self.sums.append([])
                self.spreads.append([])
            one, other = self.sums[k].pop(0), self.sums[k].pop(0)
            size = 1 << k
            between = (one - other) ** 2 / (2 * size)
            self.sums[k + 1].append(one + other)
            self.spreads[k + 1].append(self.spreads[k].pop(0) + self.spreads[k].pop(0) + between)

    def _cut(self) -> bool:
        """Drops the oldest bucket as long as some cut shows two worlds."""
        grew = False
        while (found := self._two_worlds()) is not None:
            grew = grew or found
            top = self.sums[-1]
            top.pop(0)
            self.spreads[-1].pop(0)
            while len(self.sums) > 1 and not self.sums[-1]:
                self.sums.pop()
                self.spreads.pop()
        return grew

    def _two_worlds(self) -> bool | None:
        """None: one world. True: the newer part is the larger one."""
        levels = range(len(self.sums) - 1, -1, -1)
        sums = np.array([one for k in levels for one in self.sums[k]])
        sizes = np.array([1 << k for k in levels for _ in self.sums[k]], dtype=np.float64)
        total = sizes.sum()
        if total < _LEAST_SEEN:
            return None
        within = sum(map(sum, self.spreads))
        mean = sums.sum() / total
        variance = (within + float(((sums / sizes - mean) ** 2 * sizes).sum())) / total
        n0 = np.cumsum(sizes)[:-1]
        n1 = total - n0
        u0 = np.cumsum(sums)[:-1]
        apart = (sums.sum() - u0) / n1 - u0 / n0
        chance = math.log(2.0 * math.log(total) / self.delta)
        inverse = 1.0 / n0 + 1.0 / n1
        bound = np.sqrt(2.0 * inverse * variance * chance) + 2.0 / 3.0 * inverse * chance
        found = (np.abs(apart) > bound) & (n0 >= _LEAST_SIDE) & (n1 >= _LEAST_SIDE)
        if not found.any():
            return None
        return bool(apart[np.flatnonzero(found)[-1]] > 0)


class PageHinkley(msgspec.Struct, kw_only=True):
    """Adds up how far numbers lie above their mean so far, less `slack`; tells when that has risen by `threshold` from
    its lowest."""

    slack: float = 0.005
    threshold: float = 20.0
    count: int = 0
    average: float = 0.0
    risen: float = 0.0

    @property
    def seen(self) -> int:
        return self.count

    @property
    def mean(self) -> float:
        return self.average

    def update(self, value: float) -> bool:
        self.count += 1
        self.average += (value - self.average) / self.count
        self.risen = max(0.0, self.risen + value - self.average - self.slack)
        if self.count < _LEAST_SEEN or self.risen <= self.threshold:
            return False
        self.count, self.average, self.risen = 0, 0.0, 0.0
        return True


def detector(name: Detector) -> Adwin | PageHinkley | None:
    """None where nothing is to be detected."""
    if name == "none":
        return None
    return Adwin() if name == "adwin" else PageHinkley()
