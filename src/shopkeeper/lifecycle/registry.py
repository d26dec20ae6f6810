"""The registry: which versions exist, where the aliases point, and who moved them when and why.

    champion    what answers        candidate   the newest that was registered        previous   the champion before

Only `promote` and `rollback` move the champion. Both verify the version first: an alias never comes to point at an
artifact that cannot be loaded.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError
from shopkeeper.core.records import FileEntry, Gate, ModelInfo, Record, Version
from shopkeeper.lifecycle.addresses import CANDIDATE, CHAMPION, PREVIOUS, check_label, label_at, time_of, version_number
from shopkeeper.lifecycle.versions import Answering, Candidate, Live, Server, check_model_name, gate_now, manifest_of
from shopkeeper.stores import artifacts, traffic
from shopkeeper.stores import registry as table
from shopkeeper.stores.artifacts import ArtifactStore, scope_folder
from shopkeeper.stores.registry import AliasChange
from shopkeeper.stores.sql import Database

REMOVED = "removed"


class Promotion(Record, kw_only=True):
    """What a promotion or a rollback did. `gate` is what the decision was made with."""

    name: str
    scope: str
    old_version: int | None
    new_version: int
    gate: Gate | None


class Registry:
    """Reads from any thread; moves one at a time."""

    def __init__(self, db: Database, store: ArtifactStore, clock: Clock) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._servers: list[Server] = []
        self._moving = threading.RLock()

    def attach(self, server: Server) -> None:
        self._servers.append(server)

    # -- reading

    def models(self, *, task: str | None = None, scope: str | None = None) -> list[ModelInfo]:
        """All models, by name and scope; `task` is a family's name."""
        with self._db.read() as connection:
            found = table.all_models(connection)
        return [m for m in found if task in (None, m.task) and scope in (None, m.scope)]

    def model(self, name: str, scope: str = "all") -> ModelInfo:
        """Raises NotFound."""
        with self._db.read() as connection:
            return table.model(connection, name, scope)

    def versions(
        self, name: str, scope: str = "all", *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Version], str | None, int]:
        """Newest first: (versions, next cursor, total). Raises NotFound."""
        before = None if cursor is None else version_number(cursor)
        if cursor is not None and before is None:
            raise Invalid(f"cursor {cursor[:40]!r} is not one of this list's", field="cursor")
        with self._db.read() as connection:
            table.model(connection, name, scope)
            found, total = table.page(connection, name, scope, limit=limit + 1, before=before)
        return found[:limit], str(found[limit - 1].version) if len(found) > limit else None, total

    def version(self, name: str, ref: str | int = CHAMPION, scope: str = "all") -> Version:
        """By number, `v3`, alias, label, or a time at which it was champion. Raises NotFound."""
        with self._db.read() as connection:
            return table.version(connection, name, scope, self._resolve(connection, name, str(ref), scope))

    def history(self, name: str, scope: str = "all", *, alias: str | None = CHAMPION) -> list[AliasChange]:
        """Every change of an alias (None: of all), newest first. Raises NotFound."""
        with self._db.read() as connection:
            table.model(connection, name, scope)
            return table.history(connection, name, scope, alias=alias)

    def live_at(self, name: str, at: int, scope: str = "all") -> Live:
        """What answered at a moment (microseconds). Raises NotFound when nothing did."""
        with self._db.read() as connection:
            changes = table.history(connection, name, scope, alias=CHAMPION, until=at)
            if not changes:
                table.model(connection, name, scope)
        if not changes or changes[0].version is None:
            raise NotFound(f"no version of {name!r} was champion then", code="none_live")
        return Live(version=changes[0].version, since=changes[0].time, by=changes[0].changed_by)

    def answering_at(self, name: str, at: int, scope: str = "all") -> Answering:
        """How requests were shared at a moment: the split in force then, else the champion. Raises NotFound."""
        live = self.live_at(name, at, scope)
        with self._db.read() as connection:
            split = traffic.current(connection, name, scope, "split", until=at)
        shares = {live.version: 1.0}
        if split is not None and split.plan is not None:
            shares = {int(one["version"]): float(one["weight"]) for one in split.plan["variants"]}
        if split is not None and split.time > live.since:
            return Answering(at=at, shares=shares, since=split.time, by=split.changed_by)
        return Answering(at=at, shares=shares, since=live.since, by=live.by)

    def same_files(self, name: str, scope: str, files: list[FileEntry]) -> Version | None:
        """The newest version that has exactly these files."""
        wanted = sorted((file.name, file.sha256) for file in files)
        with self._db.read() as connection:
            known, _ = table.page(connection, name, scope, limit=1_000_000, before=None)
        there = [one for one in known if one.status != REMOVED]
        return next((one for one in there if sorted((f.name, f.sha256) for f in one.files) == wanted), None)

    def folder(self, version: Version) -> Path:
        """Where its files lie."""
        return self.folder_of(version.model, version.scope, version.version)

    def folder_of(self, name: str, scope: str, number: int) -> Path:
        return self._store.folder(name, scope, number)

    # -- changing

    def register(
        self, sealed: Path, candidate: Candidate, *, by: str, job_id: str | None = None, new: bool = False
    ) -> Version:
        """Move a sealed folder into the store as the next version; the alias candidate points at it.

        A second call for one job gives the version that the first one made. Raises Invalid (name), Unavailable
        (the folder is not what was sealed), Conflict when it must be `new` and a version has the same files.
        """
        check_model_name(candidate.model)
        scope_folder(candidate.scope)
        with self._moving:
            if job_id is not None and (made := self.version_of_job(job_id)) is not None:
                return made
            if new and (same := self.same_files(candidate.model, candidate.scope, candidate.files)) is not None:
                raise Conflict(
                    f"{candidate.model} v{same.version} has exactly these files already; nothing was imported",
                    code="exists",
                )
            folder = self._moved_already(sealed, candidate)
            artifacts.verify(folder, candidate.files)
            return self._db.writer.run(lambda c: self._add(c, folder, candidate, by, job_id))

    def promote(
        self,
        name: str,
        version: str | int,
        *,
        scope: str = "all",
        force: bool = False,
        reason: str = "",
        by: str = "",
    ) -> Promotion:
        """Make a version the champion. Raises Conflict when the gate says no (unless forced) or it cannot be loaded."""
        with self._moving:
            chosen = self.version(name, version, scope)

            def allowed(champion: int | None) -> Gate:
                gate = gate_now(chosen, champion)
                if gate.verdict != "PROMOTE" and not force:
                    raise Conflict(
                        f"the gate says {gate.verdict} for {name} v{chosen.version}: {'; '.join(gate.reasons)}",
                        code="gate_says_no",
                    )
                return gate

            return self._move(chosen, allowed, reason=reason, by=by, forced=force)

    def rollback(
        self, name: str, *, scope: str = "all", to: str = PREVIOUS, reason: str = "", by: str = ""
    ) -> Promotion:
        """Make an earlier version the champion again, without asking the gate. Raises Conflict when there is none."""
        with self._moving:
            if to == PREVIOUS and PREVIOUS not in self.model(name, scope).aliases:
                raise Conflict(f"model {name!r} has no previous version to go back to", code="no_previous")
            chosen = self.version(name, to, scope)
            return self._move(chosen, lambda _: chosen.gate, reason=reason or "rollback", by=by, forced=False)

    def judge(self, version: Version, gate: Gate, *, against: int) -> None:
        """Keep a fresh verdict, measured against another version, in place of the one before."""
        self._db.writer.run(
            lambda c: table.set_gate(c, version.model, version.scope, version.version, gate, against=against)
        )

    def mark(self, version: Version, status: str) -> None:
        """Note whether a version's files are `ready` or `broken`."""
        self._db.writer.run(lambda c: table.set_status(c, version.model, version.scope, version.version, status))

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """While this lasts no version is registered, promoted or removed by anybody else."""
        with self._moving:
            yield

    def remove(self, version: Version) -> None:
        """Note that a version's files go; the row stays. Raises Conflict when an alias or the traffic names it."""

        def note(connection: Connection) -> None:
            name, scope, number = version.model, version.scope, version.version
            aliased = [alias for alias, at in table.current(connection, name, scope).items() if at == number]
            if aliased:
                raise Conflict(
                    f"{name} v{number} is its model's {', '.join(sorted(aliased))}; let another version take its place",
                    code="in_use",
                )
            if number in traffic.versions_in_traffic(connection, name, scope):
                raise Conflict(f"{name} v{number} has a share of the traffic; take it out first", code="in_use")
            table.set_status(connection, name, scope, number, REMOVED)

        self._db.writer.run(note)

    def forget(self, name: str, scope: str = "all", *, by: str = "", force: bool = False) -> None:
        """Take away a model's name and aliases; the rows of its versions stay, as removed. `force`: also when it
        serves, which ends with it. Raises Conflict (`serving`), NotFound."""

        def take(connection: Connection) -> None:
            table.model(connection, name, scope)
            pointing = table.current(connection, name, scope)
            if not force and CHAMPION in pointing:
                raise Conflict(
                    f"model {name!r} serves with v{pointing[CHAMPION]}; delete it with force=true to end that too",
                    code="serving",
                )
            now = self._clock.wall()
            _end_all_traffic(connection, name, scope, now=now, by=by)
            for alias in pointing:
                table.point(connection, name, scope, alias, None, now=now, by=by, reason="the model was deleted")
            table.remove_model(connection, name, scope, status=REMOVED)

        self._db.writer.run(take)
        for server in self._servers:
            server.changed(name, scope)

    def _resolve(self, connection: Connection, name: str, ref: str, scope: str) -> int:
        table.model(connection, name, scope)
        if (number := version_number(ref)) is not None:
            return number
        if (found := table.labelled(connection, name, scope, ref)) is not None:
            return found
        if (at := time_of(ref)) is not None:
            changes = table.history(connection, name, scope, alias=CHAMPION, until=at)
            found = changes[0].version if changes else None
        else:
            found = table.current(connection, name, scope).get(ref)
        if found is None:
            raise NotFound(f"model {name!r} has no version {ref[:40]!r}", code="unknown_version")
        return found

    def check_free(self, name: str, scope: str, label: str) -> None:
        """Raises Invalid for what is no label, Conflict when a version of the model has it."""
        with self._db.read() as connection:
            self._check_free(connection, name, scope, check_label(label))

    def _check_free(self, connection: Connection, name: str, scope: str, label: str) -> None:
        if (number := table.labelled(connection, name, scope, label)) is not None:
            raise Conflict(f"{name} v{number} is called {label!r} already; choose another name", code="exists")

    def _label(self, connection: Connection, made: Candidate, now: int) -> str:
        if made.label:
            self._check_free(connection, made.model, made.scope, check_label(made.label))
            return made.label
        first = label_at(now)
        more = (first if again == 1 else f"{first}-{again}" for again in itertools.count(1))
        return next(one for one in more if table.labelled(connection, made.model, made.scope, one) is None)

    def version_of_job(self, job_id: str) -> Version | None:
        """What a job registered."""
        with self._db.read() as connection:
            return table.version_of_job(connection, job_id)

    def _moved_already(self, sealed: Path, candidate: Candidate) -> Path:
        """The sealed folder, or, when the shop was killed between moving it and its row, the place it moved to."""
        if sealed.exists():
            return sealed
        with self._db.read() as connection:
            number = table.next_version(connection, candidate.model, candidate.scope)
        return self._store.folder(candidate.model, candidate.scope, number)

    def _add(self, connection: Connection, sealed: Path, made: Candidate, by: str, job_id: str | None) -> Version:
        """The folder moves first: a version's row never stands without its files."""
        now = self._clock.wall()
        table.add_model(connection, made.model, made.scope, made.family, now=now)
        number = table.next_version(connection, made.model, made.scope)
        made.label = self._label(connection, made, now)
        self._store.adopt(sealed, made.model, made.scope, number)
        table.add_version(
            connection,
            made.model,
            made.scope,
            number,
            algorithm=made.algorithm,
            manifest=manifest_of(made),
            metrics=made.metrics,
            gate=made.gate,
            now=now,
            by=by,
            job_id=job_id,
        )
        reason = f"registered by job {job_id}" if job_id else "registered"
        table.point(connection, made.model, made.scope, CANDIDATE, number, now=now, by=by, reason=reason)
        return table.version(connection, made.model, made.scope, number)

    def _move(
        self,
        version: Version,
        allowed: Callable[[int | None], Gate | None],
        *,
        reason: str,
        by: str,
        forced: bool,
    ) -> Promotion:
        if version.status == REMOVED:
            raise Conflict(f"{version.model} v{version.version} was removed; import or train it again", code="removed")
        allowed(self.model(version.model, version.scope).aliases.get(CHAMPION))
        self._prepare(version)

        def move(connection: Connection) -> Promotion:
            return self._point_champion(connection, version, allowed, reason=reason, by=by, forced=forced)

        done = self._db.writer.run(move)
        for server in self._servers:
            server.changed(version.model, version.scope)
        return done

    def _prepare(self, version: Version) -> None:
        try:
            artifacts.verify(self.folder(version), version.files)
            for server in self._servers:
                server.prepare(version)
        except ShopkeeperError as error:
            self.mark(version, "broken")
            raise Conflict(
                f"{version.model} v{version.version} cannot serve: {error.message}", code=error.code
            ) from error
        if version.status != "ready":
            self.mark(version, "ready")

    def _point_champion(
        self,
        connection: Connection,
        version: Version,
        allowed: Callable[[int | None], Gate | None],
        *,
        reason: str,
        by: str,
        forced: bool,
    ) -> Promotion:
        name, scope, number = version.model, version.scope, version.version
        now = self._clock.wall()
        pointing = table.current(connection, name, scope)
        old = pointing.get(CHAMPION)
        gate = allowed(old)
        if old != number:
            table.point(connection, name, scope, CHAMPION, number, now=now, by=by, reason=reason, forced=forced)
            if old is not None:
                table.point(connection, name, scope, PREVIOUS, old, now=now, by=by, reason=reason)
            _end_traffic(connection, name, scope, number, now=now, by=by)
        if pointing.get(CANDIDATE) == number:
            table.point(connection, name, scope, CANDIDATE, None, now=now, by=by, reason="became champion")
        return Promotion(name=name, scope=scope, old_version=old, new_version=number, gate=gate)


def _end_traffic(connection: Connection, name: str, scope: str, champion: int, *, now: int, by: str) -> None:
    """A new champion answers everybody: the split ends, and a shadow of the champion itself."""
    why = f"v{champion} became champion"
    split = traffic.current(connection, name, scope, "split")
    if split is not None and split.plan is not None:
        traffic.put(connection, name, scope, "split", None, now=now, by=by, reason=why)
    shadow = traffic.current(connection, name, scope, "shadow")
    if shadow is not None and shadow.plan is not None and shadow.plan["version"] == champion:
        traffic.put(connection, name, scope, "shadow", None, now=now, by=by, reason=why)


def _end_all_traffic(connection: Connection, name: str, scope: str, *, now: int, by: str) -> None:
    for kind in traffic.KINDS:
        plan = traffic.current(connection, name, scope, kind)
        if plan is not None and plan.plan is not None:
            traffic.put(connection, name, scope, kind, None, now=now, by=by, reason="the model was deleted")
