"""Online learning in a shop: one process at a time takes in what was served, learns, and makes versions of it.

    online.put("home_online", OnlineSettings(snapshot_every=500, rolling="gradual"), by="anna")
    online.turn()                         # every few seconds, on a thread: whatever is known since
    online.snapshot("home_online", by="anna")    # a job: measured beside the champion, judged, registered

What a learner knows reaches answers by versions only: the weights of a served version never change. A turn is one
transaction: the state and the slates that it comes from are written together, so a process that is killed has learned
all of a turn or nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from shopkeeper.core.clock import SECOND, Clock, moment
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, ShopkeeperError
from shopkeeper.core.ids import ulid
from shopkeeper.core.learning import Learning, OnlineSettings
from shopkeeper.core.records import FINISHED, Job, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.lifecycle.versions import REMOVED, check_model_name
from shopkeeper.recommend.online.joined import DISTRUSTED, Known, is_held, known, outcomes
from shopkeeper.recommend.online.learner import OnlineLearner
from shopkeeper.recommend.online.rows import LEAST_TAKEN
from shopkeeper.stores import exploring, online
from shopkeeper.stores.online import LearnerRow
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

_LOGGER = logging.getLogger(__name__)
ALGORITHM = "ftrl"
LEASE = "online"
_SLATES = 200
_TURN_S = 5.0


class _Releases(Protocol):
    """Whoever shares the requests step by step, see lifecycle/gradual.py."""

    def release(self, model: str, version: str | int, *, scope: str = ..., reason: str = ..., by: str = ...) -> Job: ...


class Online:
    """`turn` belongs to one thread at a time; the others may be called from any. `job` reads one by its id."""

    def __init__(
        self,
        db: Database,
        names: Vocabularies,
        clock: Clock,
        registry: Registry,
        releases: Releases,
        *,
        gradual: _Releases,
        job: Callable[[str], Job],
        turn_s: float = _TURN_S,
    ) -> None:
        self._db = db
        self._names = names
        self._clock = clock
        self._registry = registry
        self._releases = releases
        self._gradual = gradual
        self._job = job
        self._turn_s = turn_s
        self._worker = ulid()
        self._learners: dict[str, tuple[int, OnlineLearner]] = {}  # by model: as of how many saves
        self._problems: dict[str, str] = {}
        self._ending = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    # -- asking

    def all(self) -> list[Learning]:
        """By name."""
        with self._db.read() as connection:
            return [self._told(row) for row in online.everything(connection)]

    def get(self, model: str) -> Learning:
        """Raises NotFound."""
        with self._db.read() as connection:
            return self._told(online.get(connection, model))

    def put(self, model: str, settings: OnlineSettings, *, by: str = "") -> Learning:
        """A learner that begins with the weights of the model's newest version of `ftrl`; or other settings for one.
        Raises Invalid, Conflict (`no_version`)."""
        check_model_name(model)
        if settings.every > settings.buffer:
            raise Invalid(
                f"every is {settings.every}, beyond the {settings.buffer} outcomes of the buffer; raise buffer",
                field="every",
            )
        self._beginning(model)
        now = self._clock.wall()
        row = self._db.writer.run(lambda one: online.put(one, model, settings, now=now, by=by))
        return self._told(row)

    def remove(self, model: str) -> None:
        """Takes a learner away with what it has learned; versions stay. Raises NotFound."""
        self._db.writer.run(lambda connection: online.remove(connection, model))
        self._problems.pop(model, None)

    def snapshot(self, model: str, *, by: str = "") -> Job:
        """A training that learns nothing: the state as a version, measured on the slates that were held out, beside the
        champion. Raises NotFound (no learner), Conflict (it has not begun), Busy."""
        with self._db.read() as connection:
            row = online.get(connection, model)
        if row.state is None:
            raise Conflict(
                f"the learner of {model} has not learned anything yet; it does when {row.settings.window_s:g} s have "
                "passed since a slate of which was logged what its ranker saw",
                code="not_begun",
            )
        promote = row.settings.rolling == "promote"
        return self._releases.train(model, ALGORITHM, source={"kind": "online"}, promote=promote, requested_by=by)

    # -- working

    def start(self) -> None:
        """On the loop."""
        self._ending.clear()
        self._running = asyncio.create_task(self._run(), name="online learning")

    async def stop(self) -> None:
        """Ends after the turn under way; whoever comes next need not wait for the lease. A second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            self._ending.set()
            await running
            with suppress(ShopkeeperError):
                await asyncio.to_thread(self.let_go)

    def let_go(self) -> None:
        self._db.writer.run(lambda one: exploring.release(one, LEASE, self._worker))

    def turn(self) -> int:
        """Takes in what is known since, for every learner that is on; how many slates that was. 0 when another process
        does it."""
        now = self._clock.wall()
        with self._db.read() as connection:
            rows = [row for row in online.everything(connection) if row.settings.enabled]
        if not rows or not self._db.writer.run(lambda one: exploring.lease(one, LEASE, self._worker, now=now)):
            self._learners.clear()
            return 0
        done = 0
        for row in rows:
            try:
                done += self._learned(row)
                self._problems.pop(row.model, None)
            except ShopkeeperError as error:  # one learner that cannot keeps no other from learning
                self._learners.pop(row.model, None)
                self._problems[row.model] = error.message
                _LOGGER.warning("%s could not learn: %s", row.model, error.message)
            except Exception as error:  # an edge: so does one that fails in a way nobody foresaw
                self._learners.pop(row.model, None)
                self._problems[row.model] = f"{type(error).__name__}: {error}"
                _LOGGER.exception("%s could not learn", row.model)
        return done

    async def _run(self) -> None:
        while not self._ending.is_set():
            slates = 0
            try:
                slates = await asyncio.to_thread(self.turn)
            except ShopkeeperError as error:
                _LOGGER.warning("nothing was learned: %s", error.message)
            except Exception:  # an edge: what one turn meets must not end learning for good
                _LOGGER.exception("a turn of online learning failed")
            if slates < _SLATES:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._turn_s):
                        await self._ending.wait()

    # -- one learner

    def _learned(self, row: LearnerRow) -> int:
        """One transaction; how many slates it was about."""
        settings = row.settings
        until = self._clock.now() - round(settings.window_s * SECOND)
        with self._db.read() as connection:
            slates = online.ready(connection, row.model, until, _SLATES)
            found = known(connection, self._names, slates, settings)
        learner, facts = self._learner(row), _facts(row)
        gone = self._gone(learner)
        if slates or gone:
            learner.forget(gone)
            facts = self._taken_in(learner, found, facts, settings)
            row = self._saved(row, learner, facts, slates)
            self._learners[row.model] = (row.saves, learner)
        self._follow_up(row, learner, facts)
        return len(slates)

    def _taken_in(
        self, learner: OnlineLearner, found: list[Known], facts: Learning, settings: OnlineSettings
    ) -> Learning:
        held = [one for one in found if is_held(one.served.slate_id, settings.held_out)]
        new = [one for one in found if not is_held(one.served.slate_id, settings.held_out)]
        now = self._clock.now()
        learner.take(outcomes(new, learner.schema, settings), now)
        return msgspec.structs.replace(
            facts,
            slates=facts.slates + len(new),
            held=facts.held + len(held),
            held_taken=facts.held_taken + sum(bool(one.outcome.taken.any()) and one.believed for one in held),
            distrusted=facts.distrusted + sum(int((one.weight < DISTRUSTED).sum()) for one in found),
            updates=learner.counts["updates"],
            rate=learner.rate,
            examples=learner.counts["examples"],
            pending=learner.counts["pending"],
            buffered=len(learner.newest),
            log_loss=learner.log_loss,
            drift=learner.drift,
            worker=self._worker,
            learned_at=moment(now),
        )

    def _saved(
        self, row: LearnerRow, learner: OnlineLearner, facts: Learning, slates: list[ServedVectors]
    ) -> LearnerRow:
        state, plain = learner.state(), _plain(facts)
        done = {one.slate_id: is_held(one.slate_id, row.settings.held_out) for one in slates}

        def save(connection: Any) -> LearnerRow:
            if not exploring.holds(connection, LEASE, self._worker):
                raise Conflict("another process took over online learning", code="lease_lost")
            saved = online.save(connection, row, state, plain, done)
            online.drop_gone(connection, row.model)
            return saved

        return self._db.writer.run(save)

    def _learner(self, row: LearnerRow) -> OnlineLearner:
        """As it was saved last, by whomever."""
        kept = self._learners.pop(row.model, None)  # taken out: what fails half-way is read again
        if kept is not None and kept[0] == row.saves and row.state is not None:
            kept[1].pace(row.settings)
            return kept[1]
        if row.state is not None:
            return OnlineLearner.restore(row.state, row.settings)
        version = self._beginning(row.model)
        model, _ = load_model(version.algorithm, self._registry.folder(version), version.files)
        row.facts = {**row.facts, "began_with": version.version}
        return OnlineLearner(model, row.settings)

    def _gone(self, learner: OnlineLearner) -> set[int]:
        with self._db.read() as connection:
            return online.erased(connection, sorted(learner.users))

    def _beginning(self, model: str) -> Version:
        """The champion, where it is of ftrl, else the newest version that is. Raises Conflict."""
        with suppress(NotFound):
            champion = self._registry.version(model, CHAMPION)
            if champion.algorithm == ALGORITHM and champion.status != REMOVED:
                return champion
        with suppress(NotFound):
            newest, _, _ = self._registry.versions(model, limit=200)
            for version in newest:
                if version.algorithm == ALGORITHM and version.status != REMOVED:
                    return version
        raise Conflict(
            f"{model} has no version of {ALGORITHM} to begin with; train one: shopkeeper train {model} --algorithm "
            f"{ALGORITHM}",
            code="no_version",
        )

    # -- versions that are made by themselves

    def _follow_up(self, row: LearnerRow, learner: OnlineLearner, facts: Learning) -> None:
        changed = self._rolled(row, facts)
        changed = self._snapped(row, learner, changed)
        if changed is not facts:
            plain = _plain(changed)
            noted = self._db.writer.run(lambda one: online.note(one, row, plain))
            if row.model in self._learners:
                self._learners[row.model] = (noted.saves, learner)

    def _snapped(self, row: LearnerRow, learner: OnlineLearner, facts: Learning) -> Learning:
        every, updates = row.settings.snapshot_every, learner.counts["updates"]
        if not every or updates - facts.snapshot_updates < every or facts.held_taken < LEAST_TAKEN:
            return facts
        try:
            job = self.snapshot(row.model, by="online learning")
        except Busy:  # it is in training: next time
            return facts
        return msgspec.structs.replace(facts, snapshot_updates=updates, snapshot_job=job.job_id, snapshot_version=None)

    def _rolled(self, row: LearnerRow, facts: Learning) -> Learning:
        """Once the version of the last job is there: to a part of the requests first, where that was wished."""
        if facts.snapshot_job is None or facts.snapshot_version is not None:
            return facts
        try:
            job = self._job(facts.snapshot_job)
        except NotFound:
            return msgspec.structs.replace(facts, snapshot_job=None)
        if job.status not in FINISHED:
            return facts
        version = self._registry.version_of_job(job.job_id)
        if version is None:
            return msgspec.structs.replace(facts, snapshot_job=None)
        if row.settings.rolling == "gradual":
            try:
                self._gradual.release(
                    row.model, version.version, reason=f"learned online, {facts.updates} updates", by="online learning"
                )
            except Conflict as error:  # the gate says no, it is the champion, or a release is under way
                _LOGGER.info("%s v%d is not released: %s", row.model, version.version, error.message)
        return msgspec.structs.replace(facts, snapshot_version=version.version)

    def _told(self, row: LearnerRow) -> Learning:
        return msgspec.structs.replace(
            _facts(row),
            problem=self._problems.get(row.model),
            changed_at=moment(row.changed_at),
            changed_by=row.changed_by,
        )


def _facts(row: LearnerRow) -> Learning:
    return msgspec.convert({**row.facts, "model": row.model, "settings": msgspec.to_builtins(row.settings)}, Learning)


def _plain(facts: Learning) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(facts)
    for name in ("model", "settings", "problem", "changed_at", "changed_by"):
        del plain[name]
    return plain
