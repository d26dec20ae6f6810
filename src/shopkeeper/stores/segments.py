"""Segments by name: what people belong to them is computed (`profiles/tracker.py`), only the condition is kept."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopkeeper.core.clock import Clock, micros, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import check_label
from shopkeeper.core.records import Segment
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.schema import segments as table
from shopkeeper.stores.schema import webhooks
from shopkeeper.stores.sql import Database

_DESCRIPTION = 1000
SEGMENTS = 1000
"""Each is looked at with every event of a user."""


class SegmentStore:
    """Reads are safe from any thread; writes return a future. `changes` grows with every durable write."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.changes = 0

    def all(self) -> list[Segment]:
        """All segments by name; `size` is 0 here."""
        with self._db.read() as connection:
            return [_segment(row) for row in connection.execute(select(table).order_by(table.c.name))]

    def get(self, name: str) -> Segment:
        """Raises NotFound."""
        with self._db.read() as connection:
            return _present(connection, name)

    def create(self, segment: Segment) -> Future[Segment]:
        """Raises Invalid for a bad name; by the future Conflict: the name is taken, or there are SEGMENTS already."""
        _check(segment)

        def write(connection: Connection) -> Segment:
            if connection.execute(select(table.c.name).where(table.c.name == segment.name)).first() is not None:
                raise Conflict(f"segment {segment.name!r} exists already; choose another name", code="exists")
            if (connection.scalar(select(func.count()).select_from(table)) or 0) >= SEGMENTS:
                raise Conflict(f"there are {SEGMENTS} segments already; delete one first", code="too_many")
            return self._add(connection, segment)

        return self._db.writer.submit(write, after=self._changed)

    def update(
        self, name: str, *, description: str | None = None, condition: str | None = None, if_match: str | None = None
    ) -> Future[Segment]:
        """None leaves as it is. By the future: NotFound, Stale when If-Match names another version, Invalid."""

        def write(connection: Connection) -> Segment:
            old = _present(connection, name)
            check_match(if_match, changed_at(old), f"segment {name!r}")
            values: dict[str, Any] = {
                "version": old.version + 1,
                "updated_at": later(self._clock.wall(), changed_at(old)),
            }
            values["description"] = old.description if description is None else description
            values["condition"] = old.condition if condition is None else condition
            _check(Segment(name=name, condition=values["condition"], description=values["description"]))
            connection.execute(update(table).where(table.c.name == name).values(values))
            return _present(connection, name)

        return self._db.writer.submit(write, after=self._changed)

    def delete(self, name: str, *, if_match: str | None = None) -> Future[Segment]:
        """Gives the segment as it was. By the future: NotFound, Stale, Conflict while a webhook listens to it."""

        def write(connection: Connection) -> Segment:
            old = _present(connection, name)
            check_match(if_match, changed_at(old), f"segment {name!r}")
            if connection.execute(select(webhooks.c.url).where(webhooks.c.segment == name)).first() is not None:
                raise Conflict(f"a webhook listens to segment {name!r}; delete or change it first", code="in_use")
            connection.execute(delete(table).where(table.c.name == name))
            return old

        return self._db.writer.submit(write, after=self._changed)

    def add_missing(self, segments: list[Segment]) -> Future[int]:
        """Adds those whose name is free. Gives how many."""

        def write(connection: Connection) -> int:
            used = set(connection.execute(select(table.c.name)).scalars())
            new = [segment for segment in segments if segment.name not in used]
            for segment in new:
                self._add(connection, segment)
            return len(new)

        return self._db.writer.submit(write, after=self._changed)

    def _add(self, connection: Connection, segment: Segment) -> Segment:
        values = {
            "name": segment.name,
            "version": 1,
            "description": segment.description,
            "condition": segment.condition,
            "updated_at": self._clock.wall(),
        }
        connection.execute(insert(table).values(values))
        return _present(connection, segment.name)

    def _changed(self, _: Segment | int) -> None:
        self.changes += 1


def changed_at(segment: Segment) -> int:
    """What `etags.etag` makes the segment's ETag of."""
    assert segment.updated_at is not None
    return micros(segment.updated_at)


def _present(connection: Connection, name: str) -> Segment:
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        raise NotFound(f"no segment {name!r}", code="unknown_segment")
    return _segment(row)


def _segment(row: Row[Any]) -> Segment:
    return Segment(
        name=row.name,
        condition=row.condition,
        description=row.description,
        version=row.version,
        updated_at=moment(row.updated_at),
    )


def _check(segment: Segment) -> None:
    check_label(segment.name)
    if len(segment.description) > _DESCRIPTION:
        raise Invalid(f"description has more than {_DESCRIPTION} characters; shorten it", field="description")
