"""One request on its way through the stages: how much time is left, what was left out, and what that was for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from shopkeeper.core.errors import ShopkeeperError

log = logging.getLogger(__name__)


class Run:
    """The clock and the record of one request. `with run.stage(name)` times a stage, whose own deadline then counts;
    what a stage takes in several parts is added up."""

    def __init__(self, deadline_ms: float, stages_ms: Mapping[str, float], since: float | None = None) -> None:
        """`since` (time.perf_counter): when the request came, None: now. `stages_ms`: what some stages may take."""
        self.since = time.perf_counter() if since is None else since
        self._deadline = self._until = self.since + deadline_ms / 1000
        self._stages_ms = stages_ms
        self._stage, self._begun = "", self.since
        self.stages: dict[str, float] = {}
        """Milliseconds."""
        self.fallbacks: list[str] = []
        self.versions: dict[str, int] = {}
        self._fallen: set[str] = set()

    def stage(self, name: str) -> Self:
        self._stage, self._begun, self._until = name, time.perf_counter(), self._deadline
        if name in self._stages_ms:
            self._until = min(self._deadline, self._begun + self._stages_ms[name] / 1000)
        return self

    def __enter__(self) -> None:
        """A stage begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        taken = (time.perf_counter() - self._begun) * 1000
        self.stages[self._stage] = round(self.stages.get(self._stage, 0.0) + taken, 3)

    def late(self) -> bool:
        """Is the time of this stage over?"""
        return time.perf_counter() >= self._until

    def left_s(self) -> float:
        """Seconds that are left for this stage."""
        return max(0.0, self._until - time.perf_counter())

    def fell(self, stage: str, why: str) -> None:
        if stage not in self._fallen:
            self._fallen.add(stage)
            self.fallbacks.append(f"{stage}: {why}")

    def attempt(self, stage: str, work: Callable[[], Any]) -> Any:
        """The result of `work`, or None when it raised: then the slate goes on without it."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001  a stranger's model may raise anything, and a slate must still come
            self.failed(stage, error)
        return None

    def failed(self, stage: str, error: Exception) -> None:
        if isinstance(error, ShopkeeperError):
            self.fell(stage, error.message)
        else:
            log.warning("stage %s of a slate failed", stage, exc_info=error)
            self.fell(stage, f"failed with {type(error).__name__}")
