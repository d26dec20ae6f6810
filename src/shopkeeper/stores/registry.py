"""Models, their versions and the aliases that point at them, as SQL. Functions work inside the caller's transaction.

Aliases are an append-only record: where one points now is its newest row, where it pointed then is the newest row of
that time. Nothing here is ever overwritten but a version's status and verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import FileEntry, Gate, ModelInfo, Version
from shopkeeper.stores.schema import aliases, models, versions


@dataclass(frozen=True)
class AliasChange:
    """One row of the record. `version` None: the alias was taken away. `time` in microseconds."""

    alias: str
    version: int | None
    time: int
    changed_by: str
    reason: str
    forced: bool


def add_model(connection: Connection, name: str, scope: str, family: str, *, now: int) -> None:
    """Make the name known; nothing when it is."""
    known = select(models.c.name).where(models.c.name == name, models.c.scope == scope)
    if connection.scalar(known) is None:
        connection.execute(insert(models).values(name=name, scope=scope, family=family, created_at=now))


def add_version(
    connection: Connection,
    model: str,
    scope: str,
    version: int,
    *,
    algorithm: str,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    gate: Gate | None,
    now: int,
    by: str,
    job_id: str | None,
) -> None:
    connection.execute(
        insert(versions).values(
            model=model,
            scope=scope,
            version=version,
            algorithm=algorithm,
            status="ready",
            manifest=dict(manifest),
            metrics=dict(metrics),
            gate=None if gate is None else msgspec.to_builtins(gate),
            created_at=now,
            created_by=by,
            job_id=job_id,
        )
    )


def next_version(connection: Connection, model: str, scope: str) -> int:
    mine = (versions.c.model == model, versions.c.scope == scope)
    return (connection.scalar(select(func.max(versions.c.version)).where(*mine)) or 0) + 1


def set_gate(connection: Connection, model: str, scope: str, version: int, gate: Gate, *, against: int) -> None:
    """Another verdict, and the version that it was measured against."""
    mine = (versions.c.model == model, versions.c.scope == scope, versions.c.version == version)
    manifest = connection.scalar(select(versions.c.manifest).where(*mine))
    if manifest is None:
        return
    manifest = {**manifest, "data": {**manifest.get("data", {}), "against": against}}
    connection.execute(update(versions).where(*mine).values(gate=msgspec.to_builtins(gate), manifest=manifest))


def set_status(connection: Connection, model: str, scope: str, version: int, status: str) -> None:
    connection.execute(
        update(versions)
        .where(versions.c.model == model, versions.c.scope == scope, versions.c.version == version)
        .values(status=status)
    )


def remove_model(connection: Connection, model: str, scope: str, *, status: str) -> None:
    """The name is free again. Its versions' rows stay, and so do their numbers."""
    connection.execute(delete(models).where(models.c.name == model, models.c.scope == scope))
    connection.execute(
        update(versions).where(versions.c.model == model, versions.c.scope == scope).values(status=status)
    )


def versions_of(connection: Connection, *, status: str | None = None) -> list[tuple[str, str, int]]:
    """(model, scope, version) of all rows, those without a model included, or of those with one status."""
    wanted = [versions.c.status == status] if status else []
    rows = connection.execute(select(versions.c.model, versions.c.scope, versions.c.version).where(*wanted))
    return [(row.model, row.scope, row.version) for row in rows]


def point(
    connection: Connection,
    model: str,
    scope: str,
    alias: str,
    version: int | None,
    *,
    now: int,
    by: str,
    reason: str,
    forced: bool = False,
) -> None:
    """Let an alias point at a version, or at none."""
    connection.execute(
        insert(aliases).values(
            model=model,
            scope=scope,
            alias=alias,
            version=version,
            time=now,
            changed_by=by,
            reason=reason,
            forced=forced,
        )
    )


def current(connection: Connection, model: str, scope: str) -> dict[str, int]:
    """Where the aliases of a model point now."""
    newest = (
        select(func.max(aliases.c.position))
        .where(aliases.c.model == model, aliases.c.scope == scope)
        .group_by(aliases.c.alias)
    )
    rows = connection.execute(select(aliases.c.alias, aliases.c.version).where(aliases.c.position.in_(newest)))
    return {row.alias: row.version for row in rows if row.version is not None}


def history(
    connection: Connection, model: str, scope: str, *, alias: str | None = None, until: int | None = None
) -> list[AliasChange]:
    """Changes of one alias or all, newest first, up to and including the time `until`."""
    wanted = [aliases.c.model == model, aliases.c.scope == scope]
    if alias is not None:
        wanted.append(aliases.c.alias == alias)
    if until is not None:
        wanted.append(aliases.c.time <= until)
    rows = connection.execute(select(aliases).where(*wanted).order_by(aliases.c.position.desc()))
    return [AliasChange(r.alias, r.version, r.time, r.changed_by, r.reason, r.forced) for r in rows]


def model(connection: Connection, name: str, scope: str) -> ModelInfo:
    """Raises NotFound."""
    row = connection.execute(select(models).where(models.c.name == name, models.c.scope == scope)).one_or_none()
    if row is None:
        where = "" if scope == "all" else f" with scope {scope[:80]!r}"
        raise NotFound(f"no model {name[:80]!r}{where}; train it first", code="unknown_model")
    return _model(connection, row)


def all_models(connection: Connection) -> list[ModelInfo]:
    """By name and scope."""
    rows = connection.execute(select(models).order_by(models.c.name, models.c.scope)).all()
    return [_model(connection, row) for row in rows]


def version(connection: Connection, model: str, scope: str, number: int) -> Version:
    """Raises NotFound."""
    row = connection.execute(
        select(versions).where(versions.c.model == model, versions.c.scope == scope, versions.c.version == number)
    ).one_or_none()
    if row is None:
        raise NotFound(f"model {model!r} has no version {number}", code="unknown_version")
    return _version(row, current(connection, model, scope))


def labelled(connection: Connection, model: str, scope: str, label: str) -> int | None:
    """The number of the version with that label."""
    mine = (versions.c.model == model, versions.c.scope == scope)
    named = versions.c.manifest["label"].as_string() == label
    return connection.scalar(select(versions.c.version).where(*mine, named))


def version_of_job(connection: Connection, job_id: str) -> Version | None:
    row = connection.execute(select(versions).where(versions.c.job_id == job_id)).one_or_none()
    return None if row is None else _version(row, current(connection, row.model, row.scope))


def page(
    connection: Connection, model: str, scope: str, *, limit: int, before: int | None
) -> tuple[list[Version], int]:
    """Versions below `before`, newest first, at most `limit`, and how many there are in all."""
    mine = [versions.c.model == model, versions.c.scope == scope]
    total = connection.scalar(select(func.count()).select_from(versions).where(*mine)) or 0
    older = [versions.c.version < before] if before is not None else []
    rows = connection.execute(
        select(versions).where(*mine, *older).order_by(versions.c.version.desc()).limit(limit)
    ).all()
    pointing = current(connection, model, scope)
    return [_version(row, pointing) for row in rows], total


def _model(connection: Connection, row: Row[Any]) -> ModelInfo:
    pointing = current(connection, row.name, row.scope)
    mine = (versions.c.model == row.name, versions.c.scope == row.scope)
    count = connection.scalar(select(func.count()).select_from(versions).where(*mine)) or 0
    shown = select(versions.c.algorithm).where(*mine).order_by(versions.c.version.desc()).limit(1)
    if (champion := pointing.get("champion")) is not None:
        shown = select(versions.c.algorithm).where(*mine, versions.c.version == champion)
    return ModelInfo(
        name=row.name,
        scope=row.scope,
        algorithm=connection.scalar(shown) or "",
        task=row.family,
        aliases=pointing,
        versions=count,
    )


def _version(row: Row[Any], pointing: Mapping[str, int]) -> Version:
    manifest = row.manifest
    return Version(
        model=row.model,
        scope=row.scope,
        version=row.version,
        algorithm=row.algorithm,
        status=row.status,
        aliases=sorted(alias for alias, number in pointing.items() if number == row.version),
        metrics=row.metrics,
        gate=None if row.gate is None else msgspec.convert(row.gate, Gate),
        params=manifest.get("params", {}),
        feature_names=manifest.get("feature_names", []),
        files=msgspec.convert(manifest.get("files", []), list[FileEntry]),
        data=manifest.get("data", {}),
        code_version=manifest.get("code_version", ""),
        label=manifest.get("label", ""),
        created_at=moment(row.created_at),
        created_by=row.created_by,
        job_id=row.job_id,
    )
