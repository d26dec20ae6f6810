"""Forgetting one person: out of the files by a job's child, then out of SQL and memory in the shop's process.

The ids go last, in one transaction with everything that is found by them. Whatever was cut off before is done again
when the job goes on at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError
from shopkeeper.core.records import Job
from shopkeeper.features.state import FeatureState
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.operations.telecomstream import leave_out
from shopkeeper.profiles.service import ProfileService
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.erasing import Mode, drop_stragglers, erase_events, erase_person, name_visitors
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.following import Change, Following
from shopkeeper.stores.holdings import Person, person_at
from shopkeeper.stores.jobs import erasing
from shopkeeper.stores.meta import Meta, set_in
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.sweep import sweep
from shopkeeper.stores.vocabulary import Vocabularies

Listener: TypeAlias = Callable[[int], None]
_LOGGER = logging.getLogger(__name__)
_UNSWEPT = "erase.unswept"


class Erasure:
    """Hooks itself to the job kind `erase`; make it before the jobs start. May be called from any thread but the
    writer's."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: JobService,
        meta: Meta,
        vocabularies: Vocabularies,
        *,
        log: EventLog,
        following: Following,
        features: FeatureState,
        profiles: ProfileService,
        consents: ConsentStore,
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._meta = meta
        self._vocabularies = vocabularies
        self._give = RowGiver(vocabularies, clock)
        self._log = log
        self._following = following
        self._features = features
        self._profiles = profiles
        self._consents = consents
        self._listeners: tuple[Listener, ...] = ()
        jobs.on_finish("erase", self._finish)

    def submit(self, user_id: str, confirm: str, mode: Mode, actor: Actor) -> Job:
        """Queues the work. `confirm` repeats the id. Raises Invalid, NotFound, Busy while the same is under way."""
        if confirm != user_id:
            raise Invalid(
                f"confirm must be the user's id, {user_id!r}: erasing cannot be undone",
                code="unconfirmed",
                field="confirm",
            )
        row = self._vocabularies.users.row(user_id)
        if row is None:
            raise NotFound(f"no user {user_id!r}", code="unknown_user", field="user_id")
        params = {"row": row, "mode": mode, "request_id": actor.request_id}  # not the id: jobs are kept
        return self._jobs.submit("erase", params, requested_by=actor.who, work_key=erasing(row))

    def subscribe(self, listener: Listener) -> None:
        """`listener(row)` on the followers' thread, for each row of an erased person, after the features forgot."""
        self._listeners = (*self._listeners, listener)

    def recover(self) -> None:
        """Finishes the last step of an erasure that was cut off. Before the jobs start. A shop that cannot do it yet
        opens all the same, and the start after that one tries again."""
        if not self._meta.get(_UNSWEPT):
            return
        try:
            self._sweep()
        except ShopkeeperError as error:
            _LOGGER.error("what was erased is not gone from the file yet: %s", error.message)

    def _finish(self, job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
        del result
        events = self._erase(job.params["row"], job.params["mode"], Actor(job.requested_by, job.params["request_id"]))
        if self._meta.get(_UNSWEPT):
            self._sweep()
        return {"mode": job.params["mode"], "events": events}

    def _erase(self, row: int, mode: Mode, actor: Actor) -> int:
        """How many events were changed; 0 when the person is gone already."""
        with self._db.read() as connection:
            person = person_at(connection, row)
        if person is None:
            return 0
        run = self._db.writer.run
        run(lambda connection: name_visitors(connection, person, self._clock.wall()))
        events = 0
        while count := run(lambda connection: erase_events(connection, self._give, person, mode)):
            events += count
        forgotten: list[Future[None]] = []

        def write(connection: Connection) -> tuple[int, Person, int]:
            whole = person_at(connection, row) or person  # somebody may have been merged into it meanwhile
            late = erase_person(connection, self._vocabularies, self._give, whole, mode, actor, self._clock.wall())
            leave_out(connection, whole.user_ids)
            set_in(connection, _UNSWEPT, "1")
            return late, whole, self._log.head()

        def committed(done: tuple[int, Person, int]) -> None:
            _, whole, seq = done
            self._consents.show(dict.fromkeys(whole.rows))
            change = Change(seq, -1, np.empty(0, dtype=np.int64), lambda: self._forget(whole))
            if (future := self._following.at(change)) is not None:
                forgotten.append(future)

        late, _, _ = self._db.writer.submit(write, after=committed).result()
        for future in forgotten:
            try:
                future.result()
            except CancelledError:  # the shop closes: what is in memory goes with it
                continue
        return events + late

    def _forget(self, person: Person) -> None:
        """On the followers' thread."""
        self._profiles.forget(person.rows)
        for row in person.rows:
            self._features.forget(row)
        for row in person.rows:
            for listener in self._listeners:
                try:
                    listener(row)
                except Exception:  # an edge: what one cannot forget the others must all the same
                    _LOGGER.exception("a listener to erased users failed")

    def _sweep(self) -> None:
        self._db.writer.run(drop_stragglers)
        sweep(self._db)
        self._meta.set(_UNSWEPT, "").result()
