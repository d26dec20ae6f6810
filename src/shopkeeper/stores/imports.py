"""Imports of files, as SQL: what was brought, how it is read, and how far it got.

    new -> running -> done | failed;   failed -> running again, from `next_row`

Every function works inside the caller's transaction. `advance` moves `next_row` in the same transaction as the rows it
counts, so an import that was killed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import field
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.core.records import Record
from shopkeeper.stores import schema

_TABLE = schema.imports.c


class Import(Record, kw_only=True):
    """`plan` says how the file is read (mapping, options, guesses, layout). Rows before `next_row` are committed."""

    import_id: str
    kind: str
    filename: str
    path: str
    sha256: str
    columns: list[str]
    plan: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    status: str = "new"
    next_row: int = 1
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    job_id: str | None = None
    created_at: datetime | None = None

    @property
    def without_sale(self) -> int:
        """Committed rows that needed no storing: days of 0 pieces. Every other row is in one of the three counts."""
        return self.next_row - 1 - self.accepted - self.duplicates - self.rejected


def add(
    connection: Connection,
    import_id: str,
    *,
    kind: str,
    filename: str,
    path: str,
    sha256: str,
    columns: Sequence[str],
    plan: Mapping[str, Any],
    rows: int,
    now: int,
) -> Import:
    """A new import. `now` in microseconds."""
    connection.execute(
        insert(schema.imports).values(
            import_id=import_id,
            kind=kind,
            filename=filename,
            path=path,
            sha256=sha256,
            columns=list(columns),
            mapping=dict(plan),
            rows=rows,
            status="new",
            next_row=1,
            accepted=0,
            duplicates=0,
            rejected=0,
            created_at=now,
        )
    )
    return get(connection, import_id)


def get(connection: Connection, import_id: str) -> Import:
    """Raises NotFound."""
    row = connection.execute(select(schema.imports).where(_TABLE.import_id == import_id)).one_or_none()
    if row is None:
        raise NotFound(
            f"no import {import_id[:64]!r}; GET the list of imports for those there are", code="unknown_import"
        )
    return _import(row)


def newest(connection: Connection, *, limit: int, before: str | None = None) -> tuple[list[Import], str | None, int]:
    """(imports newest first, cursor for the next page or None, how many there are). Import ids sort by time."""
    query = select(schema.imports).order_by(_TABLE.import_id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(_TABLE.import_id < before)
    found = [_import(row) for row in connection.execute(query)]
    total = connection.scalar(select(func.count()).select_from(schema.imports)) or 0
    return found[:limit], found[limit - 1].import_id if len(found) > limit else None, total


def unfinished_of(connection: Connection, sha256: str) -> Import | None:
    """The newest import of the same file that did not end as done."""
    query = (
        select(schema.imports)
        .where(_TABLE.sha256 == sha256, _TABLE.status != "done")
        .order_by(_TABLE.import_id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _import(row)


def done_before(connection: Connection, time: int) -> list[str]:
    """Imports that are done and were made before a time (microseconds)."""
    rows = connection.execute(select(_TABLE.import_id).where(_TABLE.status == "done", _TABLE.created_at < time))
    return [row.import_id for row in rows]


def running(connection: Connection) -> list[str]:
    """Ids of the imports that are marked as running."""
    return list(connection.scalars(select(_TABLE.import_id).where(_TABLE.status == "running")))


def set_plan(connection: Connection, import_id: str, kind: str, plan: Mapping[str, Any]) -> None:
    """How the file is to be read. Raises Conflict once rows of it are committed."""
    if get(connection, import_id).next_row > 1:
        raise Conflict("rows of this import are stored already; its mapping stays as it is", code="started")
    _set(connection, import_id, kind=kind, mapping=dict(plan))


def start(connection: Connection, import_id: str) -> Import:
    """Marks an import as running. Raises Conflict while it runs, and when it is done."""
    found = get(connection, import_id)
    if found.status in ("running", "done"):
        raise Conflict(
            f"import {import_id} is {found.status}; import the file again to read it anew",
            code=f"import_{found.status}",
        )
    _set(connection, import_id, status="running", job_id=None)
    return get(connection, import_id)


def set_job(connection: Connection, import_id: str, job_id: str) -> None:
    """Which job reads the file."""
    _set(connection, import_id, job_id=job_id)


def advance(
    connection: Connection, import_id: str, next_row: int, *, accepted: int, duplicates: int, rejected: int
) -> None:
    """Rows before `next_row` are part of this transaction."""
    _set(
        connection,
        import_id,
        next_row=next_row,
        accepted=_TABLE.accepted + accepted,
        duplicates=_TABLE.duplicates + duplicates,
        rejected=_TABLE.rejected + rejected,
    )


def finish(connection: Connection, import_id: str, status: str) -> None:
    """`done` or `failed`."""
    assert status in ("done", "failed")
    _set(connection, import_id, status=status)


def remove(connection: Connection, import_id: str) -> None:
    """Forgets the import, not the rows it brought. Raises NotFound, Conflict while it runs."""
    if get(connection, import_id).status == "running":
        raise Conflict(f"import {import_id} is running; cancel its job first", code="import_running")
    connection.execute(delete(schema.imports).where(_TABLE.import_id == import_id))


def _set(connection: Connection, import_id: str, **values: Any) -> None:
    connection.execute(update(schema.imports).where(_TABLE.import_id == import_id).values(values))


def _import(row: Row[Any]) -> Import:
    facts = dict(row._mapping)
    facts["plan"] = facts.pop("mapping")
    facts["created_at"] = moment(facts["created_at"])
    return Import(**facts)
