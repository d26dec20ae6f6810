"""What other rooms do in the parent when a job of their kind starts, speaks and ends. Only the parent writes SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from shopkeeper.core.records import Job

Start: TypeAlias = Callable[[Job], Mapping[str, Any]]
"""More parameters for the child, found at the moment it starts (not stored in the job)."""

Message: TypeAlias = Callable[[Job, dict[str, Any]], None]
"""One `JobContext.emit` message, in order. An error ends the job as failed."""

Finish: TypeAlias = Callable[[Job, dict[str, Any]], Mapping[str, Any] | None]
"""The child's result, before `done` is stored; what it returns is merged into the result. An error fails the job.

It may run twice for one job, when the shop was killed in between: it must then do nothing new.
"""

Failure: TypeAlias = Callable[[Job, str, str | None], None]
"""(job, "failed" | "cancelled", error), for jobs that end without a result."""


class Hooks:
    """One hook of each sort and job kind. Set before the workers start."""

    def __init__(self) -> None:
        self.start: dict[str, Start] = {}
        self.message: dict[str, Message] = {}
        self.finish: dict[str, Finish] = {}
        self.failure: dict[str, Failure] = {}
