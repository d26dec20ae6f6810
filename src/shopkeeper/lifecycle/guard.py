"""The guard of a split: has a variant shown itself worse than the champion? A pure decision over its last answers.

Errors are compared by Wilson score intervals (Wilson 1927), so that three failures in three requests are enough and
one in three hundred is not; latencies by their 95th percentile, once there are enough of them.
"""

from __future__ import annotations

from collections import deque
from math import sqrt

_KEPT = 300
_LEAST_ERRORS = 3
_TOLERATED = 0.01
_LEAST_TIMES = 100
_SLOWER, _SLOWER_S = 3.0, 0.05
_Z = 2.33  # one-sided 99 %


class Window:
    """The last answers of one version: failed or not, and seconds taken."""

    def __init__(self) -> None:
        self._answers: deque[tuple[bool, float]] = deque(maxlen=_KEPT)

    def note(self, *, ok: bool, seconds: float) -> None:
        self._answers.append((ok, seconds))

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def errors(self) -> int:
        return sum(not ok for ok, _ in self._answers)

    def p95(self) -> float | None:
        """Seconds; None before a hundred answers."""
        times = sorted(seconds for ok, seconds in self._answers if ok)
        return times[int(0.95 * len(times))] if len(times) >= _LEAST_TIMES else None


def complaint(variant: Window, champion: Window) -> str | None:
    """Why the variant should answer nobody any more; None while it holds its own."""
    errors = variant.errors
    if errors >= _LEAST_ERRORS:
        tolerated = max(_TOLERATED, _wilson(champion.errors, len(champion), +1))
        if _wilson(errors, len(variant), -1) > tolerated:
            return f"{errors} of its last {len(variant)} answers failed, the champion failed {champion.errors} times"
    slow, usual = variant.p95(), champion.p95()
    if slow is not None and usual is not None and slow > max(_SLOWER * usual, usual + _SLOWER_S):
        return f"its 95th percentile is {slow * 1000:.0f} ms, the champion's {usual * 1000:.0f} ms"
    return None


def _wilson(failed: int, n: int, side: int) -> float:
    """One end of the interval of a failure rate: side -1 the lower, +1 the upper (0 with nothing seen)."""
    if not n:
        return 0.0
    rate, z2 = failed / n, _Z * _Z
    middle = rate + z2 / (2 * n)
    half = _Z * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return (middle + side * half) / (1 + z2 / n)
