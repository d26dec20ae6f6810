"""One step of one schedule: begin a run that is due, follow the run under way, repeat a job that failed.

Everything that is decided is in the row before it is done, so a process that is killed between two lines goes on
there: a run is written with its token before its job is submitted, and the job bears the token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from shopkeeper.core.clock import HOUR, SECOND, Clock, micros, moment
from shopkeeper.core.errors import Busy, NotFound, Overloaded, ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import FINISHED, Job
from shopkeeper.core.schedules import Schedule, ScheduleOutcome, ScheduleRun
from shopkeeper.lifecycle.conditions import check, read_condition
from shopkeeper.lifecycle.cron import next_run
from shopkeeper.lifecycle.works import Works
from shopkeeper.stores import jobs as job_table
from shopkeeper.stores import schedules as table
from shopkeeper.stores.sql import Database

log = logging.getLogger(__name__)
T = TypeVar("T")
_AGAIN = 60 * SECOND  # the longest wait after a submission that met a busy or full shop
_SET_BACK = HOUR  # a clock that went back further than this was wrong before


class Stepper:
    """`worker` names this process in the leases; `last_seq` gives the log's end; `zone` the shop's time zone."""

    def __init__(
        self, db: Database, clock: Clock, works: Works, *, worker: str, zone: ZoneInfo, last_seq: Callable[[], int]
    ) -> None:
        self._db = db
        self._clock = clock
        self._works = works
        self._worker = worker
        self._zone = zone
        self._last_seq = last_seq

    def wakes_at(self, schedule: Schedule) -> int | None:
        """When something is to do (microseconds; the past: now). None: only when its job is finished, or never."""
        now = self._clock.wall()
        times = [at for at in (self._next(schedule, now), self._turn(schedule, now)) if at is not None]
        return min(times, default=None)

    def _next(self, schedule: Schedule, now: int) -> int | None:
        if schedule.next_run is None:
            return None
        return now if self._replanned(schedule, now) is not None else micros(schedule.next_run)

    def _turn(self, schedule: Schedule, now: int) -> int | None:
        """When the run under way needs a hand."""
        run = schedule.state.run
        if run is None:
            return None
        if run.job_id is not None:
            return None if self.is_working(run) else now
        again = 0 if run.retry_at is None else micros(run.retry_at)
        return again if again <= now + _wait(schedule) else now  # the clock was set back

    def step(self, name: str) -> bool:
        """Does what is due now. False when another process holds the row, or it is gone."""
        leased = self.lease(name)
        if leased is None:
            return False
        try:
            self.look(leased)
            if (run := leased.state.run) is not None and run.job_id is None:
                self._try(leased, run)
            self._begin(leased)
        finally:
            self.release(name)
        return True

    def lease(self, name: str) -> Schedule | None:
        now = self._clock.wall()
        return self._write(lambda c: table.lease(c, name, self._worker, now=now))

    def release(self, name: str) -> None:
        self._write(lambda c: table.release(c, name, self._worker))

    def begin(self, schedule: Schedule, due: int, *, by: str = "", plan: int | None = None) -> ScheduleRun | None:
        """Writes down a new run and, with `plan`, the next time. None when the row is not ours any more."""
        state = schedule.state
        state.run = ScheduleRun(due=moment(due), token=ulid(), seq=self._last_seq(), by=by)

        def write(connection: Connection) -> bool:
            if plan is not None:
                table.plan(connection, schedule, self._worker, plan)
            return table.save(connection, schedule.name, self._worker, state)

        return state.run if self._write(write) else None

    def submit(self, schedule: Schedule, run: ScheduleRun) -> Job:
        """The run's job, kept in its state. Raises what the kind's service raises."""
        work = self._works.get(schedule.kind)
        if work is None:
            raise NotFound(f"nothing here can do {schedule.kind!r} any more", code="unknown_kind")
        name = requested_by(schedule.name, run)
        job = self._made(name) or work.submit(schedule.params, name, f"schedule:{schedule.name}")
        run.job_id, run.retry_at, run.problem = job.job_id, None, None
        self.save(schedule)
        return job

    def save(self, schedule: Schedule) -> None:
        """Nothing, when the schedule was deleted meanwhile or another process holds it."""
        self._write(lambda c: table.save(c, schedule.name, self._worker, schedule.state))

    # -- the run under way

    def is_working(self, run: ScheduleRun) -> bool:
        """Whether its job is unfinished."""
        job = self._job(run)
        return job is not None and job.status not in FINISHED

    def look(self, schedule: Schedule) -> None:
        """Find the job whose id was lost with the process that submitted it; settle the one that is finished."""
        run = schedule.state.run
        if run is None:
            return
        if run.job_id is None and (made := self._made(requested_by(schedule.name, run))) is not None:
            run.job_id = made.job_id
            self.save(schedule)
        if run.job_id is not None and not self.is_working(run):
            self._settle(schedule, run, self._job(run))

    def _settle(self, schedule: Schedule, run: ScheduleRun, job: Job | None) -> None:
        if job is None:
            self._end(schedule, run, "failed", f"job {run.job_id} is not known any more")
        elif job.status == "done":
            schedule.state.seq = run.seq
            self._end(schedule, run, "done")
        elif job.status == "cancelled":
            self._end(schedule, run, "cancelled")
        elif run.attempt > schedule.retries or not _may_run(schedule, run):
            self._end(schedule, run, "failed", job.error)
        else:
            run.attempt += 1
            run.token, run.job_id = ulid(), None
            run.retry_at = moment(self._clock.wall() + _wait(schedule))
            run.problem = f"job {job.job_id} failed: {job.error}"
            self.save(schedule)

    def _try(self, schedule: Schedule, run: ScheduleRun) -> None:
        """Submit; a busy or full shop is asked again later, anything else ends the run."""
        now = self._clock.wall()
        if not _may_run(schedule, run):
            self._end(schedule, run, "cancelled", "the schedule was disabled")
            return
        if run.retry_at is not None and now < micros(run.retry_at) <= now + _wait(schedule):
            return
        try:
            self.submit(schedule, run)
        except (Busy, Overloaded, Unavailable) as error:
            log.warning("schedule %s: %s", schedule.name, error.message)
            run.retry_at, run.problem = moment(now + min(_AGAIN, _wait(schedule))), error.message
            self.save(schedule)
        except ShopkeeperError as error:
            log.warning("schedule %s cannot run: %s", schedule.name, error.message)
            self._end(schedule, run, "refused", error.message)
        except Exception as error:  # the edge: a service of another room must not end the thread of all schedules
            log.exception("schedule %s: its job could not be submitted", schedule.name)
            self._end(schedule, run, "refused", f"{schedule.kind!r} broke: {type(error).__name__}; see the shop's log")

    def _end(
        self,
        schedule: Schedule,
        run: ScheduleRun,
        status: Literal["done", "failed", "cancelled", "refused"],
        error: str | None = None,
    ) -> None:
        state = schedule.state
        state.last = ScheduleOutcome(
            status=status,
            due=run.due,
            time=moment(self._clock.wall()),
            attempts=run.attempt,
            job_id=run.job_id,
            error=error,
        )
        state.run = None
        self.save(schedule)

    # -- the next one

    def _begin(self, schedule: Schedule) -> None:
        """A run that is due. However many times were missed, it is one; what comes during a run is counted only."""
        if not schedule.enabled or schedule.next_run is None:
            return
        now = self._clock.wall()
        due = micros(schedule.next_run)
        upcoming = next_run(schedule.cron, now, self._zone)
        if due > now:
            if (better := self._replanned(schedule, now)) is not None:
                self._write(lambda c: table.plan(c, schedule, self._worker, better))
            return
        if schedule.state.run is None and self._holds(schedule, now):
            if (run := self.begin(schedule, due, plan=upcoming)) is not None:
                self._try(schedule, run)
            return
        schedule.state.skipped += schedule.state.run is not None

        def skip(connection: Connection) -> None:
            table.plan(connection, schedule, self._worker, upcoming)
            table.save(connection, schedule.name, self._worker, schedule.state)

        self._write(skip)

    def _holds(self, schedule: Schedule, now: int) -> bool:
        """Whether the condition, if there is one, is met; the look is kept in the state."""
        if schedule.condition is None:
            return True
        state = schedule.state
        with self._db.read() as connection:
            state.check = check(
                connection,
                read_condition(schedule.condition),
                last_seq=self._last_seq(),
                done_seq=state.seq,
                now=self._clock.now(),
                wall=now,
            )
        return state.check.met

    # -- inside

    def _replanned(self, schedule: Schedule, now: int) -> int | None:
        """The next time anew, when the clock stood far ahead as the present one was worked out; else None."""
        state = schedule.state
        looked = state.check.time if state.check is not None else None
        ended = state.last.time if state.last is not None else None
        times = (schedule.updated_at, looked, ended)
        if not any(time is not None and micros(time) > now + _SET_BACK for time in times):
            return None
        better = next_run(schedule.cron, now, self._zone)
        return None if schedule.next_run is not None and better == micros(schedule.next_run) else better

    def _made(self, by: str) -> Job | None:
        with self._db.read() as connection:
            return job_table.requested(connection, by)

    def _job(self, run: ScheduleRun) -> Job | None:
        assert run.job_id is not None
        try:
            with self._db.read() as connection:
                return job_table.get(connection, run.job_id)
        except NotFound:
            return None

    def _write(self, change: Callable[[Connection], T]) -> T:
        return self._db.writer.run(change)


def requested_by(name: str, run: ScheduleRun) -> str:
    """What the job says of who asked for it."""
    return f"schedule:{name}:{run.token}"


def _wait(schedule: Schedule) -> int:
    return int(schedule.retry_wait_s * SECOND)


def _may_run(schedule: Schedule, run: ScheduleRun) -> bool:
    """A disabled schedule runs only when somebody asked for it by name."""
    return schedule.enabled or bool(run.by)
