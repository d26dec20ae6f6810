"""The threads that run jobs: claim a row, run a child, settle how it ended. The row is finished exactly once."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Overloaded, ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Job, Progress
from shopkeeper.lifecycle.attempt import Attempt, Limits, Outcome
from shopkeeper.lifecycle.child import Child, kill_noted
from shopkeeper.lifecycle.cores import thread_caps
from shopkeeper.lifecycle.hooks import Hooks
from shopkeeper.lifecycle.ledger import Event, Ledger
from shopkeeper.lifecycle.run import RESULT, Spec
from shopkeeper.lifecycle.watching import Watchers
from shopkeeper.stores import jobs as table
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
_LOOK_S = 5.0
_RETRY_S = 0.5
_ATTEMPTS = 2
_HEARD = "heard"
"""In a job's folder beside its result: all that its child said was heard."""
_RAN_OUT = "the shop's process ended while this job ran"


class Workers:
    """Threads over one table: `count` for work, and one for each kind that mostly waits (`light`), so that a release
    of a day keeps neither trainings nor uploads waiting. See JobService for the parameters."""

    def __init__(
        self,
        db: Database,
        home: Home,
        clock: Clock,
        *,
        limits: Limits,
        count: int,
        light: Collection[str],
        planned: Collection[str],
        zone: Callable[[], str],
        environment: Mapping[str, str],
        hooks: Hooks,
        watchers: Watchers,
    ) -> None:
        self._home = home
        self._sql_url = db.engine.url.render_as_string(hide_password=False)
        self._clock = clock
        self._limits = limits
        self._planned = frozenset(planned)
        self._lots = [table.kinds(light, these=False)] * count + [table.kinds([one], these=True) for one in light]
        self._zone = zone
        self._environment = {**thread_caps(limits.threads), **environment}
        self._hooks = hooks
        self._ledger = Ledger(db, clock, watchers, f"{socket.gethostname()[:60]}:{os.getpid()}:{ulid()}")
        self._closing = threading.Event()
        self._work = threading.Condition()
        self._calls = 0
        self._cancels: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._recover(of_all_others=True)
        for place, lot in enumerate(self._lots):
            thread = threading.Thread(target=self._serve, args=(lot,), name=f"shopkeeper-job-{place}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._closing.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def wake(self) -> None:
        with self._work:
            self._calls += 1
            self._work.notify_all()

    def cancel(self, job_id: str) -> None:
        if (running := self._cancels.get(job_id)) is not None:
            running.set()

    def _serve(self, lot: ColumnElement[bool]) -> None:
        while not self._closing.is_set():
            calls = self._calls
            try:
                self._recover(of_all_others=False)
                job = self._ledger.claim(self._expect, lot)
            except ShopkeeperError as error:
                log.warning("no job can be taken now: %s", error.message)
                self._closing.wait(_RETRY_S)
                continue
            if job is not None:
                self._run(job)
                continue
            with self._work:
                if calls == self._calls and not self._closing.is_set():
                    self._work.wait(_LOOK_S)

    def _expect(self, job_id: str) -> None:
        self._cancels[job_id] = threading.Event()

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        result: dict[str, Any] | None = None
        try:
            outcome = self._outcome(job)
            if outcome.ending == "done":
                result = self._finished(job)
        except ShopkeeperError as error:
            log.warning("job %s failed in the shop's process: %s", job.job_id, error.message)
            outcome = Outcome("failed", error.message)
        except OSError as error:
            outcome = Outcome("failed", f"the disk or the system refused: {error}")
        except Exception as error:  # the edge: a hook of another room must not end the worker
            log.exception("job %s: a hook failed", job.job_id)
            outcome = Outcome("failed", f"a hook of {job.kind!r} failed: {type(error).__name__}; see the shop's log")
        metrics.job_seconds.labels(job.kind).observe(time.monotonic() - started)
        self._settle(job, outcome, result)
        self._cancels.pop(job.job_id, None)

    def _outcome(self, job: Job) -> Outcome:
        folder = self._folder(job)
        if self._is_done(job):
            return Outcome("done")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        more = self._hooks.start[job.kind](job) if job.kind in self._hooks.start else {}
        child = Child(self._spec(job, folder, more), self._environment)
        outcome = Attempt(
            child,
            replace(self._limits, time_s=inf) if job.kind in self._planned else self._limits,
            cancel=self._cancels[job.job_id],
            closing=self._closing,
            on_messages=lambda messages: self._take(job, messages),
            on_beat=lambda: self._ledger.beat(job),
        ).run()
        if outcome.ending == "done":
            (folder / _HEARD).touch()
        return outcome

    def _is_done(self, job: Job) -> bool:
        """Whether an earlier attempt had done the work and only its end was not stored. What a child tells its kind's
        hook is part of the work, and lost with the process that had not heard all of it."""
        folder = self._folder(job)
        heard = job.kind not in self._hooks.message or (folder / _HEARD).exists()
        return heard and (folder / RESULT).exists()

    def _spec(self, job: Job, folder: Path, more: Mapping[str, Any]) -> Spec:
        return Spec(
            job_id=job.job_id,
            kind=job.kind,
            params={**job.params, **more},
            home=str(self._home.path),
            folder=str(folder),
            sql_url=self._sql_url,
            now=self._clock.now(),
            zone=self._zone(),
            channel=-1,
            parent=os.getpid(),
        )

    def _finished(self, job: Job) -> dict[str, Any]:
        """The stored result, with what the kind's hook adds to it."""
        result = msgspec.json.decode((self._folder(job) / RESULT).read_bytes(), type=dict[str, Any])
        hook = self._hooks.finish.get(job.kind)
        return {**result, **((hook(job, result) or {}) if hook is not None else {})}

    def _take(self, job: Job, messages: list[dict[str, Any]]) -> None:
        """Store progress (the newest of a batch is enough) and every epoch; hand the rest to the kind's hook."""
        reports = [message for message in messages if message.get("type") in ("progress", "epoch")]
        if reports:
            kept = [m for m in reports if m["type"] == "epoch" or m is reports[-1]]
            self._ledger.report(job, _progress(reports[-1]), [_event(message) for message in kept])
        hook = self._hooks.message.get(job.kind)
        for message in messages:
            if message.get("type") == "message" and hook is not None:
                hook(job, message["data"])

    def _settle(self, job: Job, outcome: Outcome, result: Mapping[str, Any] | None) -> None:
        """Store the end; while the database cannot, try again until the shop closes (recovery does it then)."""
        while True:
            try:
                if outcome.ending == "requeue":
                    self._ledger.requeue(job, count_attempt=False, why="the shop closed while this job ran")
                else:
                    self._end(job, outcome.ending, result, outcome.error)
                return
            except (Unavailable, Overloaded) as error:
                log.error("the end of job %s cannot be stored yet: %s", job.job_id, error.message)
                if self._closing.wait(_RETRY_S):
                    return

    def _end(self, job: Job, status: str, result: Mapping[str, Any] | None, error: str | None) -> None:
        hook = self._hooks.failure.get(job.kind)
        if status != "done" and hook is not None:
            try:
                hook(job, status, error)
            except Exception:  # the edge: a hook of another room must not end the worker, nor the shop's start
                log.exception("job %s: its failure hook failed", job.job_id)
        self._ledger.finish(job, status, result, error)

    def _recover(self, *, of_all_others: bool) -> None:
        """Running jobs of a process that is gone: finish what has a result, repeat once, then give up."""
        for job, attempt, cancel in self._ledger.orphans(of_all_others=of_all_others):
            if job.job_id in self._cancels:
                continue  # ours, and only late with its lease
            kill_noted(self._folder(job))
            done = self._is_done(job)
            if cancel and not done:
                self._end(job, "cancelled", None, None)
            elif done or attempt < _ATTEMPTS:
                self._ledger.requeue(job, count_attempt=not done, why=_RAN_OUT)
            else:
                self._end(job, "failed", None, f"{_RAN_OUT}, {attempt} times; it is not tried again")

    def _folder(self, job: Job) -> Path:
        return self._home.jobs / job.job_id


def _progress(message: Mapping[str, Any]) -> Progress:
    data = message["data"]
    epoch = data["step"] if message["type"] == "epoch" else None
    return msgspec.convert({**data, "epoch": epoch}, Progress)


def _event(message: Mapping[str, Any]) -> Event:
    """An epoch's data in the form of the doors: epoch, total_epochs, loss, val_loss, metrics, learning_rate."""
    data = message["data"]
    if message["type"] == "progress":
        return "progress", data
    named = {name: data["metrics"][name] for name in ("loss", "val_loss", "learning_rate") if name in data["metrics"]}
    counted = {"epoch": data["step"], "total_epochs": data["of"], "percent": data["percent"]}
    return "epoch", {**counted, **named, "metrics": data["metrics"]}
