"""Scenarios as SQL: an append-only record. The newest row of a name counts; one without a body took it away.

A number is never given twice to one name: whoever keeps what was made of `name, version` keeps the right thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict
from shopkeeper.stores.etags import check_tag, later
from shopkeeper.stores.schema import scenarios as table
from shopkeeper.stores.sql import Database

MOST_SCENARIOS = 500


@dataclass(frozen=True, slots=True)
class StoredScenario:
    """`body` None: taken away. `changed_at` us of the wall clock."""

    name: str
    version: int
    body: dict[str, Any] | None
    changed_at: int
    changed_by: str


def tag_of(version: int) -> str:
    """The ETag of a scenario."""
    return f'"{version}"'


class ScenarioStore:
    """Reads answer at once, on any thread; writes go through the writer and answer a Future."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def all(self) -> list[StoredScenario]:
        """The newest row of every name that was ever written, by name."""
        with self._db.read() as connection:
            return [_stored(row) for row in connection.execute(_newest().order_by(table.c.name))]

    def versions(self, name: str) -> list[StoredScenario]:
        """All that was written under a name, newest first."""
        query = select(table).where(table.c.name == name).order_by(table.c.version.desc())
        with self._db.read() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def put(
        self,
        name: str,
        body: Mapping[str, Any] | None,
        *,
        first: int,
        by: str,
        if_match: str | None = None,
        after: Any = None,
    ) -> Future[StoredScenario]:
        """Adds a row; `first` is the version of a name that has none yet, less one: 1 where something is built in.

        By the future: Stale when `if_match` names another version than the one that counts, Conflict when there are
        very many. `after(stored)` runs before the future is done.
        """

        def write(connection: Connection) -> StoredScenario:
            last = _last(connection, name)
            version = first if last is None else last.version
            gone = first == 0 and (last is None or last.body is None)
            check_tag(if_match, None if gone else tag_of(version), f"scenario {name!r}")
            if gone and body is not None and _count(connection) >= MOST_SCENARIOS:
                raise Conflict(
                    f"there are {MOST_SCENARIOS} scenarios already, which is as many as a shop may have; change one of "
                    "them",
                    code="too_many_scenarios",
                )
            kept = StoredScenario(
                name,
                version + 1,
                None if body is None else dict(body),
                later(self._clock.wall(), None if last is None else last.changed_at),
                by,
            )
            connection.execute(
                insert(table).values(
                    name=name,
                    version=kept.version,
                    body=kept.body,
                    changed_at=kept.changed_at,
                    changed_by=by,
                )
            )
            return kept

        return self._db.writer.submit(write, after=after)


def _newest() -> Any:
    newest = select(func.max(table.c.position)).group_by(table.c.name)
    return select(table).where(table.c.position.in_(newest))


def _last(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(
        select(table).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
    ).first()


def _count(connection: Connection) -> int:
    """Of those that are not taken away."""
    return sum(row.body is not None for row in connection.execute(_newest()))


def _stored(row: Row[Any]) -> StoredScenario:
    return StoredScenario(row.name, row.version, row.body, row.changed_at, row.changed_by)
