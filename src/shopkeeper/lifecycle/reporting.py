"""What a job's child says to its parent: JSON lines over a pipe of their own.

{"type": "progress" | "epoch", "data": {step, of, percent, message, metrics}}
{"type": "message", "data": {...}}                       what `JobContext.emit` sends
{"type": "outcome", "status": "done" | "failed" | "cancelled", "error": str | null}
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import Report

LINE_LIMIT = 1024 * 1024
_SPACING_S = 0.1


class Channel:
    """The writing end of the pipe. Safe to use from several threads; a full pipe waits for the parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises Invalid for a message that is no JSON or longer than 1 MiB."""
        try:
            line = msgspec.json.encode(message) + b"\n"
        except TypeError as error:
            raise Invalid(f"a job's message must be plain JSON values: {error}", code="bad_message") from error
        if len(line) > LINE_LIMIT:
            raise Invalid(
                f"a job's message has {len(line)} bytes, at most {LINE_LIMIT} fit; write a file and send its name",
                code="bad_message",
            )
        with self._lock:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


class Reporter:
    """The `report` of a running job. `within(lo, hi)` gives one whose 0..100 % is that part of the whole.

    At most ten progress messages a second go out; epochs and the last step always do.
    """

    def __init__(self, channel: Channel, stop: threading.Event, lo: float = 0.0, hi: float = 100.0) -> None:
        self._channel = channel
        self._stop = stop
        self._lo, self._hi = lo, hi
        self._next = 0.0

    def __call__(
        self, step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
    ) -> None:
        """Raises Cancelled when the job was asked to stop."""
        if self._stop.is_set():
            raise Cancelled("the job was asked to stop")
        moment = time.monotonic()
        if moment < self._next and not epoch and step < of:
            return
        self._next = moment + _SPACING_S
        finite = {name: float(value) for name, value in (metrics or {}).items() if isfinite(value)}
        data = {
            "step": int(step),
            "of": int(of),
            "percent": round(self._percent(step, of), 1),
            "message": message[:500],
            "metrics": finite,
        }
        self._channel.send({"type": "epoch" if epoch else "progress", "data": data})

    def within(self, lo: float, hi: float) -> Reporter:
        """A report for the part of this one from `lo` to `hi` percent."""
        width = (self._hi - self._lo) / 100
        return Reporter(self._channel, self._stop, self._lo + lo * width, self._lo + hi * width)

    def _percent(self, step: int, of: int) -> float:
        share = min(1.0, max(0.0, step / of)) if of > 0 else 0.0
        return self._lo + (self._hi - self._lo) * share


def within(report: Report, lo: float, hi: float) -> Report:
    """The part of a report from `lo` to `hi` percent; a report that has no parts is returned as it is."""
    return report.within(lo, hi) if isinstance(report, Reporter) else report
