"""The schedules of a shop: kept as rows, run by one thread, each run a job like any other.

    schedules = Schedules(db, clock, works, zone=zone, last_seq=lambda: log.last_seq)
    schedules.create(Schedule(name="nightly", cron="0 2 * * *", kind="train", params={...}), by="anna")
    schedules.start()

They go by real time (`clock.wall`), not by the shop's clock: a schedule plans the work of machines and people, while
the clock of the bundled shop stands still when it is closed, runs sixtyfold when it is open and leaves out nights.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from shopkeeper.core.clock import SECOND, Clock, moment
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, ShopkeeperError
from shopkeeper.core.ids import check_name, ulid
from shopkeeper.core.records import Job
from shopkeeper.core.schedules import Schedule
from shopkeeper.lifecycle.conditions import read_condition
from shopkeeper.lifecycle.cron import next_run
from shopkeeper.lifecycle.stepping import Stepper
from shopkeeper.lifecycle.works import Works, check_work
from shopkeeper.stores import schedules as table
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.sql import Database

log = logging.getLogger(__name__)
_LONGEST_S = 30.0  # so that a clock that was set forward is noticed
_WATCH_S = 2.0  # while a job runs
_SHORTEST_S = 0.05


class Schedules:
    """Every method may be called from any thread but the writer's."""

    def __init__(
        self, db: Database, clock: Clock, works: Works, *, zone: ZoneInfo, last_seq: Callable[[], int]
    ) -> None:
        self._db = db
        self._clock = clock
        self._works = works
        self._zone = zone
        worker = f"{socket.gethostname()[:60]}:{os.getpid()}:{ulid()}"
        self._stepper = Stepper(db, clock, works, worker=worker, zone=zone, last_seq=last_seq)
        self._working = threading.Lock()  # the thread's steps and runs by hand share one lease
        self._call = threading.Condition()
        self._calls = 0
        self._closing = False
        self._thread: threading.Thread | None = None

    # -- what they say

    def list(self, *, limit: int = 50, cursor: str | None = None) -> tuple[list[Schedule], str | None, int]:
        """By name: (schedules, next cursor, total)."""
        with self._db.read() as connection:
            found, after, total = table.page(connection, limit=limit, after=key_of(cursor))
        return found, None if after is None else cursor_after(after), total

    def get(self, name: str) -> Schedule:
        """Raises NotFound."""
        with self._db.read() as connection:
            return table.get(connection, name)

    def create(self, schedule: Schedule, *, by: str = "") -> Schedule:
        """Raises Invalid naming the field, Conflict when the name is taken."""
        now = self._check(schedule)
        schedule.next_run = moment(next_run(schedule.cron, now, self._zone)) if schedule.enabled else None
        made = self._db.writer.run(lambda c: table.add(c, schedule, now=now, by=by))
        self.wake()
        return made

    def seed(self, schedule: Schedule) -> None:
        """One that is off, for a new shop: what it does is checked when it runs. Nothing, when the name is taken."""
        assert not schedule.enabled
        now = self._clock.wall()
        with suppress(Conflict):
            self._db.writer.run(lambda c: table.add(c, schedule, now=now, by=""))

    def change(self, schedule: Schedule, *, if_match: str | None = None, by: str = "") -> Schedule:
        """Says anew what a schedule does; the run under way goes on. Raises NotFound, Stale, Invalid."""
        now = self._check(schedule)
        upcoming = moment(next_run(schedule.cron, now, self._zone))

        def write(connection: Connection) -> Schedule:
            old = table.get(connection, schedule.name)
            kept = old.next_run if old.cron == schedule.cron else None  # a missed time is not lost by a new parameter
            schedule.next_run = (kept or upcoming) if schedule.enabled else None
            return table.put(connection, schedule, if_match=if_match, now=now, by=by)

        changed = self._db.writer.run(write)
        self.wake()
        return changed

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        """A job that it has begun goes on. Raises NotFound, Stale."""
        self._db.writer.run(lambda c: table.remove(c, name, if_match=if_match))

    def _check(self, schedule: Schedule) -> int:
        """Now, when everything in it can be done. Raises Invalid."""
        check_name(schedule.name, "name")
        now = self._clock.wall()
        next_run(schedule.cron, now, self._zone)
        check_work(self._works, schedule.kind, schedule.params)
        if schedule.condition is not None:
            read_condition(schedule.condition)
        if not 0 <= schedule.retries <= 100:
            raise Invalid(f"retries is {schedule.retries}, expected 0 to 100", field="retries")
        if not 1 <= schedule.retry_wait_s <= 86_400:
            raise Invalid(f"retry_wait_s is {schedule.retry_wait_s}, expected 1 to 86400 seconds", field="retry_wait_s")
        return now

    # -- running

    def run(self, name: str, *, by: str = "") -> Job:
        """Runs it now, whatever time, condition and `enabled` say. Raises NotFound, Busy, Conflict, Overloaded."""
        with self._working:
            schedule = self._stepper.lease(name)
            if schedule is None:
                self.get(name)
                raise Conflict(f"another process works on schedule {name!r}; try again in a minute", code="leased")
            try:
                return self._run(schedule, by or "somebody")
            finally:
                self._stepper.release(name)
                self.wake()

    def _run(self, schedule: Schedule, by: str) -> Job:
        self._stepper.look(schedule)
        before = schedule.state.run
        if before is not None and before.job_id is not None:
            raise Busy(f"schedule {schedule.name!r} runs already as job {before.job_id}", job_id=before.job_id)
        run = self._stepper.begin(schedule, self._clock.wall(), by=by)
        if run is None:
            raise NotFound(f"no schedule {schedule.name!r} any more", code="unknown_schedule")
        try:
            return self._stepper.submit(schedule, run)
        except ShopkeeperError:
            schedule.state.run = before  # who asked hears why; nothing goes on behind their back
            self._stepper.save(schedule)
            raise

    def tick(self) -> float:
        """Does everything that is due now. Returns the seconds until there may be more."""
        with self._db.read() as connection:
            everything = table.everything(connection)
        waits = [self._tend(schedule) for schedule in everything]
        return max(min(waits, default=_LONGEST_S), _SHORTEST_S)

    def _tend(self, schedule: Schedule) -> float:
        """Does what is due of one schedule; one that cannot be worked on is told, and does not stop the others."""
        try:
            at, now = self._stepper.wakes_at(schedule), self._clock.wall()
            if at is not None and at <= now:
                with self._working:
                    ours = self._stepper.step(schedule.name)
                return _SHORTEST_S if ours else _WATCH_S  # what was done may have left more to do
        except ShopkeeperError as error:
            log.warning("schedule %s cannot be worked on now: %s", schedule.name, error.message)
            return _LONGEST_S
        except Exception:  # the edge: one bad row must not end all schedules
            log.exception("schedule %s could not be worked on", schedule.name)
            return _LONGEST_S
        until = _LONGEST_S if at is None else (at - now) / SECOND
        return min(until, _LONGEST_S if schedule.state.run is None else _WATCH_S)

    def wake(self) -> None:
        """Something changed: look now."""
        with self._call:
            self._calls += 1
            self._call.notify_all()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="shopkeeper-schedules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Jobs that were submitted are the job service's. A second call does nothing."""
        self._closing = True
        self.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        while not self._closing:
            calls = self._calls
            try:
                wait_s = self.tick()
            except ShopkeeperError as error:
                log.warning("schedules cannot be looked at now: %s", error.message)
                wait_s = _WATCH_S
            except Exception:  # the edge: a table that another program has written must not end the thread
                log.exception("schedules cannot be read")
                wait_s = _LONGEST_S
            with self._call:
                if calls == self._calls and not self._closing:
                    self._call.wait(wait_s)
