"""The jobs of a shop: submit, watch, cancel; worker threads run each in a child process of its own.

    jobs = JobService(db, home, clock)
    jobs.on_finish("train", register)          # hooks first,
    jobs.start()                               # then recovery of what a killed process left, then the workers
    job = jobs.submit("train", {...}, requested_by="anna", work_key="train:sales_daily:all")
    jobs.wait(job.job_id)

Every method may be called from any thread but the writer's.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection

from shopkeeper import plugins
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import FINISHED, Job, JobEvent
from shopkeeper.lifecycle import hooks, joblog
from shopkeeper.lifecycle.attempt import Limits
from shopkeeper.lifecycle.watching import Listener, Watchers, follow
from shopkeeper.lifecycle.worker import Workers
from shopkeeper.stores import jobs as table
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics

Events: TypeAlias = list[JobEvent]
_CANCEL_EVENT = ("status", {"status": "running", "cancel_requested": True})


class JobService:
    """`light`: kinds that mostly wait; one job of each runs beside the `workers`. `planned`: kinds that last as long as
    their own plan says, whatever the time limit. `zone` gives the shop's time zone when a job starts; `environment` is
    added to every child's."""

    def __init__(
        self,
        db: Database,
        home: Home,
        clock: Clock,
        *,
        limits: Limits | None = None,
        workers: int = 1,
        light: Collection[str] = (),
        planned: Collection[str] = (),
        queue_limit: int = 1000,
        zone: Callable[[], str] = lambda: "UTC",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._db = db
        self._home = home
        self._clock = clock
        self._queue_limit = queue_limit
        self._hooks = hooks.Hooks()
        self._watchers = Watchers()
        self._workers = Workers(
            db,
            home,
            clock,
            limits=limits or Limits(),
            count=workers,
            light=light,
            planned=planned,
            zone=zone,
            environment=environment or {},
            hooks=self._hooks,
            watchers=self._watchers,
        )

    # -- hooks, see hooks.py

    def on_start(self, kind: str, hook: hooks.Start) -> None:
        self._hooks.start[kind] = hook

    def on_message(self, kind: str, hook: hooks.Message) -> None:
        self._hooks.message[kind] = hook

    def on_finish(self, kind: str, hook: hooks.Finish) -> None:
        self._hooks.finish[kind] = hook

    def on_failure(self, kind: str, hook: hooks.Failure) -> None:
        self._hooks.failure[kind] = hook

    # -- running

    def start(self) -> None:
        """Recover the jobs of a process that is gone, then work."""
        self._workers.start()

    def stop(self) -> None:
        """End the workers. A running job is asked to stop and goes back to the queue, for the next start."""
        self._workers.stop()

    # -- asking and watching

    def submit(
        self, kind: str, params: Mapping[str, Any], *, requested_by: str = "", work_key: str | None = None
    ) -> Job:
        """A queued job. Raises NotFound (kind), Busy (the same work is unfinished), Overloaded, Invalid (no JSON)."""
        if kind not in plugins.names("job kind"):
            plugins.load("job kind", kind)
        try:
            plain = msgspec.json.decode(msgspec.json.encode(params), type=dict[str, Any])
        except (TypeError, msgspec.ValidationError) as error:
            raise Invalid(f"params of a job must be a JSON object: {error}", field="params") from error
        now = self._clock.wall()

        def add(connection: Connection) -> tuple[Job, list[JobEvent]]:
            job = table.add(
                connection,
                ulid(),
                kind,
                plain,
                requested_by=requested_by,
                work_key=work_key,
                now=now,
                queue_limit=self._queue_limit,
            )
            return job, table.add_events(connection, job.job_id, [("status", {"status": "queued"})], now=now)

        job, _ = self._db.writer.submit(add, after=lambda added: self._watchers.tell(added[1])).result()
        self._workers.wake()
        return job

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        with self._db.read() as connection:
            return table.get(connection, job_id)

    def list(
        self, *, kind: str | None = None, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Job], str | None, int]:
        """Newest first: (jobs, next cursor, total)."""
        with self._db.read() as connection:
            return table.page(connection, kind=kind, status=status, limit=limit, cursor=cursor)

    def cancel(self, job_id: str) -> Job:
        """A queued job is cancelled at once, a running one is asked to stop. Raises NotFound, Conflict (finished)."""
        now = self._clock.wall()

        def ask(connection: Connection) -> tuple[Job, list[JobEvent]]:
            job = table.get(connection, job_id)
            if job.status in FINISHED:
                raise Conflict(f"job {job_id} is {job.status} already", code="finished")
            table.request_cancel(connection, job_id)
            event: tuple[str, Mapping[str, Any]] = _CANCEL_EVENT
            if job.status == "queued":
                table.finish(connection, job_id, "cancelled", now=now)
                event = ("done", {"status": "cancelled", "result": None, "error": None})
            return table.get(connection, job_id), table.add_events(connection, job_id, [event], now=now)

        job, _ = self._db.writer.submit(ask, after=lambda asked: self._watchers.tell(asked[1])).result()
        if job.status == "cancelled":
            metrics.job_total.labels(job.kind, job.status).inc()
            if (hook := self._hooks.failure.get(job.kind)) is not None:
                hook(job, "cancelled", None)
        else:
            self._workers.cancel(job_id)
        return job

    def requested(self, by: str) -> Job | None:
        """The newest job of whoever asked for it."""
        with self._db.read() as connection:
            return table.requested(connection, by)

    def under_way(self, work_key: str) -> str | None:
        """The unfinished job that does this work, or None."""
        with self._db.read() as connection:
            return table.under_way(connection, work_key)

    def folder(self, job_id: str) -> Path:
        """The job's folder: log.txt and work/. Raises NotFound."""
        return self._home.jobs / self.get(job_id).job_id

    def logs(self, job_id: str, tail: int = 200) -> str:
        """The last `tail` lines of what the job printed (of the last 4 MiB). Raises NotFound."""
        return joblog.tail(self.folder(job_id) / joblog.LOG, tail)

    def events(self, job_id: str, after_seq: int = 0) -> Events:
        """Stored events with a number above `after_seq`. Raises NotFound."""
        return self._read(job_id, after_seq)[0]

    def subscribe(self, job_id: str | None, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every new event of the job (None: of all), on the writer's thread; gives its end."""
        return self._watchers.subscribe(job_id, listener)

    def follow(self, job_id: str, after_seq: int = 0, *, idle_s: float | None = None) -> AsyncIterator[JobEvent | None]:
        """All events after `after_seq`, stored and to come, until `done`; None after `idle_s` of silence."""
        return follow(self._watchers, self._read, job_id, after_seq, idle_s)

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job when it is finished, or as it is when the time is over. Raises NotFound."""
        finished = threading.Event()
        unsubscribe = self.subscribe(job_id, lambda event: finished.set() if event.type == "done" else None)
        try:
            if self.get(job_id).status not in FINISHED:
                finished.wait(timeout_s)
            return self.get(job_id)
        finally:
            unsubscribe()

    def _read(self, job_id: str, after_seq: int) -> tuple[Events, bool]:
        with self._db.read() as connection:
            finished = table.get(connection, job_id).status in FINISHED
            found: Events = []
            while batch := table.events(connection, job_id, after_seq=found[-1].seq if found else after_seq):
                found += batch
            return found, finished
