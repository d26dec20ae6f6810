"""What a worker writes about the jobs it runs: each change with its numbered events, in one commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection

from shopkeeper.core.clock import SECOND, Clock
from shopkeeper.core.errors import Overloaded, Unavailable
from shopkeeper.core.records import Job, JobEvent, Progress
from shopkeeper.lifecycle.watching import Watchers
from shopkeeper.stores import jobs as table
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
T = TypeVar("T")
Event: TypeAlias = tuple[str, Mapping[str, Any]]
_LEASE = 60 * SECOND


class Ledger:
    """`worker` names this process in the rows it has claimed. Watchers hear of every event after its commit."""

    def __init__(self, db: Database, clock: Clock, watchers: Watchers, worker: str) -> None:
        self._db = db
        self._clock = clock
        self._watchers = watchers
        self._worker = worker

    def claim(self, on_claim: Callable[[str], None], of: ColumnElement[bool] | None = None) -> Job | None:
        """The oldest queued job (`of` narrows which), now ours; `on_claim` hears its id before anybody can see that
        it runs."""
        now = self._clock.wall()

        def take(connection: Connection) -> tuple[Job | None, list[JobEvent]]:
            job = table.claim(connection, self._worker, now=now, lease_until=now + _LEASE, of=of)
            if job is None:
                return None, []
            on_claim(job.job_id)
            return job, table.add_events(connection, job.job_id, [("status", {"status": "running"})], now=now)

        with self._db.read() as connection:
            if not table.waiting(connection, of):
                return None
        return self._write(take)

    def beat(self, job: Job) -> bool:
        """Keep the lease; True when somebody asked, maybe elsewhere, to cancel."""
        until = self._clock.wall() + _LEASE
        try:
            return self._db.writer.run(lambda c: table.renew(c, job.job_id, self._worker, lease_until=until))
        except (Overloaded, Unavailable) as error:
            log.warning("the lease of job %s cannot be renewed now: %s", job.job_id, error.message)
            return False

    def report(self, job: Job, progress: Progress, events: Sequence[Event]) -> None:
        """Queued and not waited for: progress may be late, or, when too many writes wait, dropped."""
        now = self._clock.wall()

        def save(connection: Connection) -> list[JobEvent]:
            table.save_progress(connection, job.job_id, progress)
            return table.add_events(connection, job.job_id, events, now=now)

        try:
            self._db.writer.submit(save, after=self._watchers.tell)
        except (Overloaded, Unavailable) as error:
            log.warning("job %s: a progress message is dropped: %s", job.job_id, error.message)

    def finish(self, job: Job, status: str, result: Mapping[str, Any] | None, error: str | None) -> None:
        """The one terminal state and its `done` event; nothing, when the job has one."""
        now = self._clock.wall()

        def end(connection: Connection) -> tuple[bool, list[JobEvent]]:
            if not table.finish(connection, job.job_id, status, now=now, result=result, error=error):
                return False, []
            data = {"status": status, "result": result, "error": error}
            return True, table.add_events(connection, job.job_id, [("done", data)], now=now)

        if self._write(end):
            metrics.job_total.labels(job.kind, status).inc()

    def requeue(self, job: Job, *, count_attempt: bool, why: str) -> None:
        now = self._clock.wall()

        def put_back(connection: Connection) -> tuple[bool, list[JobEvent]]:
            if not table.requeue(connection, job.job_id, count_attempt=count_attempt):
                return False, []
            events: list[Event] = [("log", {"message": f"{why}; it is queued again"}), ("status", {"status": "queued"})]
            return True, table.add_events(connection, job.job_id, events, now=now)

        self._write(put_back)

    def orphans(self, *, of_all_others: bool) -> list[tuple[Job, int, bool]]:
        """Running jobs that nobody runs, see `stores.jobs.orphans`."""
        with self._db.read() as connection:
            not_of = self._worker if of_all_others else None
            return table.orphans(connection, now=self._clock.wall(), not_of=not_of)

    def _write(self, change: Callable[[Connection], tuple[T, list[JobEvent]]]) -> T:
        """Commit a change that returns (value, events), tell the events, give the value."""
        return self._db.writer.submit(change, after=lambda made: self._watchers.tell(made[1])).result()[0]
