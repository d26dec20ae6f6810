"""One attempt at a job: hear the child, hold it to its limits, and say how it ended. Exactly one outcome."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from shopkeeper.lifecycle.child import Child

_TICK_S = 0.1
_FAMILY_S = 1.0
_BEAT_S = 10.0
_EXIT_S = 5.0

Ending: TypeAlias = Literal["done", "failed", "cancelled", "requeue"]


@dataclass(frozen=True)
class Limits:
    """Of every job. `threads` 0: the usable cores. `grace_s`: from the request to stop until it is ended by force.
    A log that grows beyond `log_mb` loses its older part."""

    time_s: float = 3600.0
    memory_mb: float = 8192.0
    threads: int = 0
    grace_s: float = 10.0
    log_mb: float = 16.0


@dataclass(frozen=True)
class Outcome:
    """`requeue`: the shop closes, the job was not to blame."""

    ending: Ending
    error: str | None = None


class Attempt:
    """Runs on the thread that started the child: the child lives no longer than this thread."""

    def __init__(
        self,
        child: Child,
        limits: Limits,
        *,
        cancel: threading.Event,
        closing: threading.Event,
        on_messages: Callable[[list[dict[str, Any]]], None],
        on_beat: Callable[[], bool],
    ) -> None:
        """`on_beat` is called every ten seconds and says whether somebody asked, elsewhere, to cancel."""
        self._child = child
        self._limits = limits
        self._cancel = cancel
        self._closing = closing
        self._on_messages = on_messages
        self._on_beat = on_beat
        self._told: Outcome | None = None
        self._over: str | None = None
        # Durations of this process's own waiting: the machine's monotonic clock, not the shop's.
        self._started = self._beaten = self._weighed = time.monotonic()
        self._asked_at: float | None = None

    def run(self) -> Outcome:
        try:
            while self._told is None and self._over is None and self._hear():
                self._hold_to_limits()
                self._stop_if_asked()
                self._beat()
            if self._told is not None:
                self._child.ended(_EXIT_S)
        finally:
            status = self._child.close()
            self._child.trim_log(self._limits.log_mb)
        return self._outcome(status)

    def _hear(self) -> bool:
        """False when the child has nothing more to say. What it said just before its end is there to be heard then."""
        ended = self._child.ended(0)
        messages = self._child.hear(_TICK_S)
        if messages is None:
            self._child.ended(_EXIT_S)
            return False
        for message in messages:
            if message.get("type") == "outcome":
                self._told = Outcome(message["status"], message.get("error"))
        if news := [message for message in messages if message.get("type") != "outcome"]:
            self._on_messages(news)
        return bool(messages) or not ended

    def _hold_to_limits(self) -> None:
        now = time.monotonic()
        if now - self._started > self._limits.time_s:
            self._over = f"ran longer than its time limit of {self._limits.time_s:g} s and was ended"
        family = now - self._weighed > _FAMILY_S
        if family:
            self._weighed = now
            self._child.trim_log(self._limits.log_mb)
        if (used := self._child.memory_mb(family=family)) > self._limits.memory_mb:
            self._over = f"took {used:.0f} MiB, its memory limit is {self._limits.memory_mb:g} MiB; it was ended"
        if self._over is not None:
            self._child.kill()

    def _stop_if_asked(self) -> None:
        if not (self._cancel.is_set() or self._closing.is_set()):
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._child.ask_to_stop()
        elif now - self._asked_at > self._limits.grace_s:
            self._child.kill()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten > _BEAT_S:
            self._beaten = now
            if self._on_beat():
                self._cancel.set()

    def _outcome(self, status: int) -> Outcome:
        if self._told is not None and self._told.ending != "cancelled":
            return self._told
        if self._over is not None:
            return Outcome("failed", self._over)
        if self._cancel.is_set():
            return Outcome("cancelled")
        if self._closing.is_set():
            return Outcome("requeue")
        return self._told or Outcome("failed", f"its process {_manner(status)} before it had a result")


def _manner(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    hint = ", from outside or because the machine was out of memory," if -status == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"
