"""Registered users and their attributes. Events may know more users: those are rows, but not listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, Select, func, select, update

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Rejection, User
from shopkeeper.stores import schema
from shopkeeper.stores.attributes import check_attributes
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.paging import containing, cursor_after, key_of
from shopkeeper.stores.put_many import PutMany, split_checked
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

Users: TypeAlias = tuple[list[User], str | None, int]
Listener: TypeAlias = Callable[[list[int]], None]
_C = schema.users.c


class UserStore:
    """Reads answer at once; changes answer a Future that is done when they are durable."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._vocabularies = vocabularies
        self._clock = clock
        self._rows = RowGiver(vocabularies, clock)
        self._listeners: tuple[Listener, ...] = ()

    def get(self, user_id: str) -> User:
        """Raises NotFound for a user without a record, even when events know the id."""
        with self._db.read() as connection:
            found = connection.execute(_listed().where(_C.user_id == user_id)).first()
        if found is None:
            raise NotFound(f"no user {user_id!r}; put a record first", code="unknown_user", field="user_id")
        return _user(found)

    def list(self, q: str | None = None, limit: int = 50, cursor: str | None = None) -> Users:
        """`(users, next_cursor, total)` in order of user_id; `q` is a part of the id."""
        matching = _listed() if q is None else _listed().where(_C.user_id.like(containing(q), escape="\\"))
        page = matching.order_by(_C.user_id).limit(limit + 1)
        if (after := key_of(cursor)) is not None:
            page = page.where(_C.user_id > after)
        with self._db.read() as connection:
            rows = connection.execute(page).all()
            total = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
        users = [_user(row) for row in rows[:limit]]
        return users, cursor_after(users[-1].user_id) if len(rows) > limit else None, total

    def attributes(self, rows: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """Row -> attributes of registered users: of all, or of the given rows."""
        query = select(_C.row, _C.attributes).where(_C.listed, _C.kind == "user")
        if rows is not None:
            query = query.where(_C.row.in_(rows))
        with self._db.read() as connection:
            return dict(connection.execute(query).all())

    def put(self, user: User, if_match: str | None = None) -> Future[tuple[User, bool]]:
        """Replaces the record; `(stored, created)`. Raises Invalid; by the future come Stale, and Conflict for a merged
        id, as the record would take the place of the other user's."""
        _check(user)

        def write(connection: Connection) -> tuple[User, bool]:
            if (reason := self._merged(user, self._vocabularies.users.staged_row(user.user_id))) is not None:
                raise Conflict(reason, code="merged", field="user_id")
            return self._put(connection, user, if_match)

        return self._db.writer.submit(write, after=lambda result: self.tell([result[0].user_id]))

    def put_many(self, users: Sequence[User]) -> Future[PutMany]:
        """Replaces many records in one transaction; a bad one is rejected alone."""
        good, rejected = split_checked(users, self._check_own)

        def write(connection: Connection) -> PutMany:
            return self.put_in(connection, good, rejected)

        return self._db.writer.submit(write, after=lambda _: self.tell([user.user_id for user in good]))

    def put_in(self, connection: Connection, users: Sequence[User], rejected: Sequence[Rejection] = ()) -> PutMany:
        """`put_many` of checked users inside a write of the caller's. Listeners are not told."""
        created = sum(self._put(connection, user, None)[1] for user in users)
        return PutMany(created=created, updated=len(users) - created, rejected=[*rejected])

    def delete(self, user_id: str, if_match: str | None = None) -> Future[None]:
        """The record goes, the events stay. NotFound and Stale come by the future."""

        def write(connection: Connection) -> None:
            stored = connection.execute(_listed().where(_C.user_id == user_id)).first()
            if stored is None:
                raise NotFound(f"no user {user_id!r}", code="unknown_user", field="user_id")
            check_match(if_match, stored.updated_at, f"user {user_id!r}")
            now = later(self._clock.wall(), stored.updated_at)
            gone = update(schema.users).where(_C.row == stored.row)
            connection.execute(gone.values(listed=False, attributes={}, updated_at=now))

        return self._db.writer.submit(write, after=lambda _: self.tell([user_id]))

    def subscribe(self, listener: Listener) -> None:
        """`listener(rows)` after records changed, on the writer's thread; it must not wait."""
        self._listeners = (*self._listeners, listener)

    def tell(self, user_ids: Sequence[str]) -> None:
        """After a commit, on the writer's thread: records of these changed in a write of the caller's."""
        rows = [int(row) for row in self._vocabularies.users.rows(user_ids)]
        for listener in self._listeners:
            listener(rows)

    def _merged(self, user: User, row: int | None) -> str | None:
        """Why a record cannot be put: its id means another user's row."""
        known = None if row is None or row >= len(self._vocabularies.users) else self._vocabularies.users.id(row)
        if known in (None, user.user_id):
            return None
        return f"user {user.user_id!r} is merged into {known!r}; put the record of that one"

    def _check_own(self, user: User) -> None:
        _check(user)
        if (reason := self._merged(user, self._vocabularies.users.row(user.user_id))) is not None:
            raise Invalid(reason, code="merged", field="user_id")

    def _put(self, connection: Connection, user: User, if_match: str | None) -> tuple[User, bool]:
        row = self._rows.users(connection, [user.user_id])[user.user_id]
        stored = connection.execute(select(schema.users).where(_C.row == row)).one()
        check_match(if_match, stored.updated_at if stored.listed else None, f"user {user.user_id!r}")
        now = later(self._clock.wall(), stored.updated_at)
        born = stored.created_at if stored.listed else now
        change = update(schema.users).where(_C.row == row)
        connection.execute(change.values(attributes=user.attributes, listed=True, created_at=born, updated_at=now))
        return msgspec.structs.replace(user, created_at=moment(born), updated_at=moment(now)), not stored.listed


def _listed() -> Select[Any]:
    return select(schema.users).where(_C.listed, _C.kind == "user")


def _user(row: Row[Any]) -> User:
    return User(
        user_id=row.user_id,
        attributes=row.attributes,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _check(user: User) -> None:
    check_id(user.user_id, "user_id")
    check_attributes(user.attributes)
