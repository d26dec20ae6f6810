"""A new row of the registry: number, label, files and the alias candidate, in the caller's transaction."""

from __future__ import annotations

import itertools
from pathlib import Path

from sqlalchemy import Connection

from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.addresses import CANDIDATE, check_label, label_at
from shopkeeper.lifecycle.versions import Candidate, manifest_of
from shopkeeper.stores import registry as table
from shopkeeper.stores.artifacts import ArtifactStore


def add(
    connection: Connection,
    store: ArtifactStore,
    sealed: Path,
    made: Candidate,
    *,
    now: int,
    by: str,
    job_id: str | None,
) -> Version:
    """The folder moves first: a version's row never stands without its files."""
    table.add_model(connection, made.model, made.scope, made.family, now=now)
    number = table.next_version(connection, made.model, made.scope)
    made.label = _label(connection, made, now)
    store.adopt(sealed, made.model, made.scope, number)
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


def check_free(connection: Connection, name: str, scope: str, label: str) -> None:
    """Raises Conflict when a version of the model has the label."""
    if (number := table.labelled(connection, name, scope, label)) is not None:
        raise Conflict(f"{name} v{number} is called {label!r} already; choose another name", code="exists")


def _label(connection: Connection, made: Candidate, now: int) -> str:
    if made.label:
        check_free(connection, made.model, made.scope, check_label(made.label))
        return made.label
    first = label_at(now)
    more = (first if again == 1 else f"{first}-{again}" for again in itertools.count(1))
    return next(one for one in more if table.labelled(connection, made.model, made.scope, one) is None)
