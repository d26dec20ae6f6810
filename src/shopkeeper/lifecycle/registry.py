"""The registry: which versions exist, where the aliases point, and who moved them when and why.

    champion    what answers        candidate   the newest that was registered        previous   the champion before

Only `promote` and `rollback` move the champion. Both verify the version first: an alias never comes to point at an
artifact that cannot be loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, ShopkeeperError
from shopkeeper.core.records import Gate, Version
from shopkeeper.lifecycle.addresses import CHAMPION, PREVIOUS
from shopkeeper.lifecycle.lookup import Lookup
from shopkeeper.lifecycle.moves import Promotion, end_all_traffic, point_champion
from shopkeeper.lifecycle.registering import add
from shopkeeper.lifecycle.versions import REMOVED, Candidate, Server, check_gate, check_model_name, gate_now
from shopkeeper.stores import artifacts, traffic
from shopkeeper.stores import registry as table
from shopkeeper.stores.artifacts import ArtifactStore, scope_folder
from shopkeeper.stores.sql import Database

__all__ = ["REMOVED", "Promotion", "Registry"]


class Registry(Lookup):
    """Reads from any thread, see `Lookup`; moves one at a time."""

    def __init__(self, db: Database, store: ArtifactStore, clock: Clock) -> None:
        super().__init__(db, store)
        self._clock = clock
        self._servers: list[Server] = []
        self._moving = threading.RLock()

    def attach(self, server: Server) -> None:
        self._servers.append(server)

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
            now = self._clock.wall()
            return self._db.writer.run(lambda c: add(c, self._store, folder, candidate, now=now, by=by, job_id=job_id))

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
                return gate_now(chosen, champion) if force else check_gate(chosen, champion)

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

    def remove(self, version: Version, *, by: str = "", let_go: bool = False) -> None:
        """Note that a version's files go; the row stays. Raises Conflict when an alias or the traffic names it.
        `let_go`: of the aliases only the champion keeps it, others are taken away."""

        def note(connection: Connection) -> None:
            name, scope, number = version.model, version.scope, version.version
            pointing = table.current(connection, name, scope)
            aliased = [alias for alias, at in pointing.items() if at == number]
            if let_go and CHAMPION not in aliased:
                now, why = self._clock.wall(), "the version was removed"
                for alias in aliased:
                    table.point(connection, name, scope, alias, None, now=now, by=by, reason=why)
            elif aliased:
                raise Conflict(
                    f"{name} v{number} is its model's {', '.join(sorted(aliased))}; let another version take its place"
                    + ("" if CHAMPION in aliased else ", or delete it with force=true"),
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
            end_all_traffic(connection, name, scope, now=now, by=by)
            for alias in pointing:
                table.point(connection, name, scope, alias, None, now=now, by=by, reason="the model was deleted")
            table.remove_model(connection, name, scope, status=REMOVED)

        self._db.writer.run(take)
        for server in self._servers:
            server.changed(name, scope)

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
            now = self._clock.wall()
            return point_champion(connection, version, allowed, now=now, reason=reason, by=by, forced=forced)

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

    def _moved_already(self, sealed: Path, candidate: Candidate) -> Path:
        """The sealed folder, or, when the shop was killed between moving it and its row, the place it moved to."""
        if sealed.exists():
            return sealed
        with self._db.read() as connection:
            number = table.next_version(connection, candidate.model, candidate.scope)
        return self._store.folder(candidate.model, candidate.scope, number)
