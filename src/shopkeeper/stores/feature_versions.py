"""Versions of the set of features as SQL rows. Every function works inside the caller's transaction.

A version never changes; activations are a log of which one counted from when on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select

from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.stores.schema import feature_activations as activations
from shopkeeper.stores.schema import feature_versions as versions


class Kept(NamedTuple):
    """`body`: what the version says, as plain JSON. `created_at` in us."""

    version: int
    description: str
    body: dict[str, Any]
    created_at: int
    created_by: str


def add(
    connection: Connection, body: dict[str, Any], description: str, *, number: int | None, now: int, by: str
) -> Kept:
    """A new version under `number`, or under the next one. Raises Conflict (code `exists`) when that is taken."""
    if number is not None and _row(connection, number) is not None:
        raise Conflict(f"feature version {number} exists already; import it without a number", code="exists")
    if number is None:
        number = 1 + (connection.scalar(select(func.max(versions.c.version))) or 0)
    row = Kept(number, description, body, now, by)
    connection.execute(insert(versions).values(row._asdict()))
    return row


def get(connection: Connection, version: int) -> Kept:
    """Raises NotFound."""
    row = _row(connection, version)
    if row is None:
        raise NotFound(
            f"no feature version {version}; list them: GET /api/v1/features/versions", code="unknown_version"
        )
    return _kept(row)


def page(connection: Connection, *, limit: int, before: int | None = None) -> tuple[list[Kept], int | None, int]:
    """Newest first: (versions, the number before which the next page begins, total)."""
    total = connection.scalar(select(func.count()).select_from(versions)) or 0
    older = [versions.c.version < before] if before is not None else []
    rows = connection.execute(select(versions).where(*older).order_by(versions.c.version.desc()).limit(limit + 1))
    found = [_kept(row) for row in rows]
    return found[:limit], found[limit - 1].version if len(found) > limit else None, total


def activate(connection: Connection, version: int, *, now: int, by: str) -> None:
    """It counts from now on."""
    connection.execute(insert(activations).values(version=version, activated_at=now, activated_by=by))


def active(connection: Connection) -> int | None:
    """The version that counts; None: none was ever activated."""
    return connection.scalar(select(activations.c.version).order_by(activations.c.position.desc()).limit(1))


def previous(connection: Connection) -> int | None:
    """The version that counted before the one that counts."""
    now_active = active(connection)
    if now_active is None:
        return None
    others = select(activations.c.version).where(activations.c.version != now_active)
    return connection.scalar(others.order_by(activations.c.position.desc()).limit(1))


def _row(connection: Connection, version: int) -> Row[Any] | None:
    return connection.execute(select(versions).where(versions.c.version == version)).one_or_none()


def _kept(row: Row[Any]) -> Kept:
    return Kept(row.version, row.description, row.body, row.created_at, row.created_by)
