"""Schedules as records: what the shop shall do by itself, when, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import field

from shopkeeper.core.records import Record


class ScheduleCheck(Record, kw_only=True):
    """The last look at a schedule's condition: what was compared, and what was decided."""

    time: datetime
    met: bool
    why: str
    values: dict[str, float] = field(default_factory=dict)


class ScheduleRun(Record, kw_only=True):
    """A run under way. `token` marks its submission in the job's `requested_by`, so that a job whose id was not
    written down any more is found again. `attempt` counts the jobs begun, `seq` is the log's end at the first one.
    """

    due: datetime
    token: str
    attempt: int = 1
    seq: int = 0
    by: str = ""
    job_id: str | None = None
    retry_at: datetime | None = None
    problem: str | None = None


class ScheduleOutcome(Record, kw_only=True):
    """How the last run ended. `failed`: the job did so `attempts` times; `refused`: it could not be submitted."""

    status: Literal["done", "failed", "cancelled", "refused"]
    due: datetime
    time: datetime
    attempts: int
    job_id: str | None = None
    error: str | None = None


class ScheduleState(Record, kw_only=True):
    """What the last run left. `seq` is the log's end at the last run that was done, `skipped` counts the times that
    came while a run was under way.
    """

    run: ScheduleRun | None = None
    last: ScheduleOutcome | None = None
    check: ScheduleCheck | None = None
    seq: int = 0
    skipped: int = 0


class Schedule(Record, kw_only=True):
    """`cron` in the shop's time zone; `next_run` null: it does not run by itself."""

    name: str
    cron: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] | None = None
    enabled: bool = True
    retries: int = 3
    retry_wait_s: float = 300.0
    next_run: datetime | None = None
    state: ScheduleState = field(default_factory=ScheduleState)
    version: int = 1
    updated_at: datetime | None = None
    updated_by: str = ""
