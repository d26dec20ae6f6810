"""What users said they prefer: free fields, of their own choice. What their behaviour says is worked out elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.stores import audit, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.etags import later
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

DEPTH_LIMIT = 8
SIZE_LIMIT = 16 * 1024
_T = schema.preferences
_NOBODY = Actor()


class Stated(NamedTuple):
    """`updated_at` None: nothing was ever said."""

    fields: dict[str, Any]
    updated_at: datetime | None


class PreferenceStore:
    """Reads from SQL; changes answer a Future that is done when they are durable."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._users = vocabularies.users
        self._give = RowGiver(vocabularies, clock)
        self._clock = clock
        self._touched: list[int] = []
        self._listeners: tuple[Callable[[list[int]], None], ...] = ()
        db.writer.join(self)

    def all(self) -> list[tuple[int, dict[str, Any]]]:
        """(user row, stated fields) of everybody who stated any."""
        with self._db.read() as connection:
            return [(row, fields) for row, fields in connection.execute(select(_T.c.user_row, _T.c.stated)) if fields]

    def of(self, row: int | None) -> Stated:
        """Of a user's row; None: of somebody whom nobody knows."""
        if row is None:
            return Stated({}, None)
        with self._db.read() as connection:
            return stated_in(connection, row)

    def change(self, user_id: str, changes: Mapping[str, Any], actor: Actor = _NOBODY) -> Future[Stated]:
        """Merges field by field; a null takes a field away. An id that is new here gets a row. Invalid (too deep, too
        large) comes by the future."""

        def write(connection: Connection) -> Stated:
            row = self._give.users(connection, [user_id])[user_id]
            return self.merge_in(connection, row, changes, actor)

        return self._db.writer.submit(write)

    def merge_in(
        self,
        connection: Connection,
        row: int,
        changes: Mapping[str, Any],
        actor: Actor = _NOBODY,
        *,
        noted: bool = True,
    ) -> Stated:
        """`change` inside a write of the caller's; `noted` false: the caller writes the audit."""
        before = stated_in(connection, row)
        after = merged(before.fields, changes)
        check_stated(after)
        return self._put(connection, row, before, after, actor, noted)

    def reset(self, user_id: str, actor: Actor = _NOBODY) -> Future[bool]:
        """Takes everything back; whether there was anything."""

        def write(connection: Connection) -> bool:
            row = self._users.staged_row(user_id)
            before = Stated({}, None) if row is None else stated_in(connection, row)
            if row is None or not before.fields:
                return False
            self._put(connection, row, before, {}, actor, True)
            return True

        return self._db.writer.submit(write)

    def subscribe(self, listener: Callable[[list[int]], None]) -> None:
        """`listener(rows)` after preferences of users changed, on the writer's thread; it must not wait."""
        self._listeners = (*self._listeners, listener)

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return len(self._touched)

    def undo(self, mark: int) -> None:
        del self._touched[mark:]

    def publish(self) -> None:
        touched = sorted(set(self._touched))
        self._touched.clear()
        if touched:
            for listener in self._listeners:
                listener(touched)

    def _put(
        self, connection: Connection, row: int, before: Stated, after: dict[str, Any], actor: Actor, noted: bool
    ) -> Stated:
        was = connection.scalar(select(_T.c.updated_at).where(_T.c.user_row == row))
        now = later(self._clock.wall(), was)
        connection.execute(delete(_T).where(_T.c.user_row == row))
        connection.execute(insert(_T).values(user_row=row, stated=after, updated_at=now))
        self._touched.append(row)
        if noted:
            audit.note(connection, actor, "preferences", time=now, user_row=row, before=before.fields, after=after)
        return Stated(after, moment(now))


def stated_in(connection: Connection, row: int) -> Stated:
    """`PreferenceStore.of` inside a transaction of the caller's."""
    found = connection.execute(select(_T).where(_T.c.user_row == row)).first()
    return Stated({}, None) if found is None else Stated(found.stated, moment(found.updated_at))


def merged(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Key by key; a null takes its key away."""
    return {key: value for key, value in {**stored, **changes}.items() if value is not None}


def check_stated(fields: Mapping[str, Any]) -> None:
    """Raises Invalid beyond 16 KiB of JSON or 8 levels."""
    if _depth(fields) > DEPTH_LIMIT:
        raise Invalid(f"preferences are nested deeper than {DEPTH_LIMIT} levels", code="too_deep", field="preferences")
    size = len(msgspec.json.encode(fields))
    if size > SIZE_LIMIT:
        raise Invalid(
            f"preferences take {size} bytes, at most {SIZE_LIMIT} are kept; take fields away by null or by a reset",
            code="too_large",
            field="preferences",
        )


def _depth(value: Any) -> int:
    """Bodies are bounded before they come here, so this ends."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
