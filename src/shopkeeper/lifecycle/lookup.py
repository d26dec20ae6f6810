"""Reading the registry: models, versions, what a reference means, and what answered when. From any thread."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import FileEntry, ModelInfo, Version
from shopkeeper.lifecycle.addresses import CHAMPION, check_label, time_of, version_number
from shopkeeper.lifecycle.registering import check_free
from shopkeeper.lifecycle.versions import REMOVED, Answering, Live
from shopkeeper.stores import registry as table
from shopkeeper.stores import traffic
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.registry import AliasChange
from shopkeeper.stores.sql import Database


class Lookup:
    """What the registry says. `Registry` is this, and changes it."""

    def __init__(self, db: Database, store: ArtifactStore) -> None:
        self._db = db
        self._store = store

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

    def version_of_job(self, job_id: str) -> Version | None:
        """What a job registered."""
        with self._db.read() as connection:
            return table.version_of_job(connection, job_id)

    def check_free(self, name: str, scope: str, label: str) -> None:
        """Raises Invalid for what is no label, Conflict when a version of the model has it."""
        with self._db.read() as connection:
            check_free(connection, name, scope, check_label(label))

    @staticmethod
    def _resolve(connection: Connection, name: str, ref: str, scope: str) -> int:
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
            aliases = table.current(connection, name, scope)
            known = ", ".join(f"{alias} (v{number})" for alias, number in sorted(aliases.items())) or "none"
            raise NotFound(f"model {name!r} has no version {ref[:40]!r}; its aliases: {known}", code="unknown_version")
        return found
