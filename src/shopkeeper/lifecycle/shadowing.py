"""What a shadow said beside what was told: counted on the event loop, bounded in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import isclose
from typing import Any

from shopkeeper.core.records import Record
from shopkeeper.lifecycle.splits import Shadow

_TIMES = 1000
_RELATIVE, _ABSOLUTE = 0.05, 0.01


class Compared(Record, kw_only=True):
    """`agreement`: share of rows whose outputs lie within 5 % (or 0.01) of what was told; null before the first.
    `skipped`: requests that found the shadow busy. `latency` in milliseconds."""

    version: int
    share: float
    requests: int
    rows: int
    agreement: float | None
    errors: int
    skipped: int
    latency: dict[str, float]


class Comparison:
    """Of one shadow, since it was set."""

    def __init__(self, shadow: Shadow) -> None:
        self.shadow = shadow
        self.running = 0
        self.skipped = 0
        self._requests = self._rows = self._agreed = self._errors = 0
        self._seconds: deque[float] = deque(maxlen=_TIMES)

    def heard(self, told: Sequence[Any], said: Sequence[Any], seconds: float) -> None:
        self._requests += 1
        self._rows += len(told)
        self._agreed += sum(map(_agree, told, said))
        self._seconds.append(seconds)

    def failed(self) -> None:
        self._requests += 1
        self._errors += 1

    def report(self) -> Compared:
        times = sorted(self._seconds)
        latency = (
            {f"p{q}": round(times[int(q / 100 * (len(times) - 1))] * 1000, 3) for q in (50, 95, 99)} if times else {}
        )
        return Compared(
            version=self.shadow.version,
            share=self.shadow.share,
            requests=self._requests,
            rows=self._rows,
            agreement=self._agreed / self._rows if self._rows else None,
            errors=self._errors,
            skipped=self.skipped,
            latency=latency,
        )


def _agree(told: Any, said: Any) -> bool:
    if isinstance(told, int | float) and isinstance(said, int | float):
        return isclose(told, said, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    if isinstance(told, list) and isinstance(said, list):
        return len(told) == len(said) and all(map(_agree, told, said))
    if isinstance(told, dict) and isinstance(said, dict):
        return told.keys() == said.keys() and all(_agree(value, said[name]) for name, value in told.items())
    return bool(told == said)
