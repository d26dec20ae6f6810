"""Ids outside, dense int32 rows inside: the one place that maps the two.

Rows begin at 0, have no gaps and are never reused. Reading is safe from any thread. Rows are added only inside a write
(`rows.py`): staged there, shown to readers after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, select

from shopkeeper.core.errors import Unavailable
from shopkeeper.stores import schema
from shopkeeper.stores.erased import PREFIX, Erasures
from shopkeeper.stores.redirects import Redirects
from shopkeeper.stores.sql import Database

_ANONYMOUS = "\0"  # no id may hold a control character, so anonymous ids and user ids cannot meet


class Vocabulary:
    """Ids of one kind and their rows."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = list(ids)
        self._rows = {key: row for row, key in enumerate(self._ids)}
        self._staged: list[str] = []
        self._staged_rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def row(self, id: str) -> int | None:
        """The row of an id, or None."""
        return self._rows.get(id)

    def id(self, row: int) -> str:
        """The id of a row. Raises IndexError for a row that was never given out."""
        if row < 0:
            raise IndexError(f"row {row} is negative")
        return self._ids[row]

    def rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """int32 (len(ids),); -1 where an id is unknown."""
        get = self._rows.get
        return np.fromiter((get(id, -1) for id in ids), dtype=np.int32, count=len(ids))

    def ids(self, rows: Iterable[int]) -> list[str]:
        """The ids of many rows, in that order."""
        return [self.id(int(row)) for row in rows]

    # -- inside a write, on the writer's thread

    @property
    def growing(self) -> bool:
        """Rows were staged that readers do not see yet."""
        return bool(self._staged)

    def staged_row(self, key: str) -> int | None:
        """The row of a key, staged ones included."""
        row = self._rows.get(key)
        return self._staged_rows.get(key) if row is None else row

    def stage(self, key: str) -> int:
        """Gives out the next row to a key that has none."""
        row = len(self._ids) + len(self._staged)
        self._staged.append(key)
        self._staged_rows[key] = row
        return row

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        for key in self._staged[mark:]:
            del self._staged_rows[key]
        del self._staged[mark:]

    def publish(self) -> None:
        if self._staged:
            self._ids.extend(self._staged)  # before the rows: whoever finds a row can ask for its id
            self._rows.update(self._staged_rows)
            self._staged.clear()
            self._staged_rows.clear()


class UserVocabulary(Vocabulary):
    """Users and anonymous visitors share the rows but not the ids: `row` finds users, `anonymous_row` visitors.

    An id that was merged into another user, or bound to one, finds that user's row; its own row, where it has one,
    keeps its id. `redirected` are (key, row) of those.
    """

    def __init__(self, ids: Iterable[str] = (), redirected: Iterable[tuple[str, int]] = ()) -> None:
        super().__init__(ids)
        self.redirects = Redirects(self._rows, redirected)
        self.erasures = Erasures(self._ids, self._rows, self.redirects)

    @staticmethod
    def anonymous_key(anonymous_id: str) -> str:
        """The key under which a visitor is kept; only `staged_row` and `stage` take it."""
        return _ANONYMOUS + anonymous_id

    def anonymous_row(self, anonymous_id: str) -> int | None:
        return self._rows.get(_ANONYMOUS + anonymous_id)

    def is_anonymous(self, row: int) -> bool:
        return self._ids[row].startswith(_ANONYMOUS)

    def staged_row(self, key: str) -> int | None:
        aimed = self.redirects.staged_row(key)
        if aimed is None and self.erasures.hides(key):
            return self._staged_rows.get(key)
        return super().staged_row(key) if aimed is None else aimed

    def erase(self, row: int, name: str) -> None:
        """Inside a write: after the commit nothing finds the row, which is called `name`."""
        self.erasures.stage(row, PREFIX + name, [self._own_key(row), *self.redirects.to(row)])

    def redirect(self, source: int, target: int) -> None:
        """Inside a write: whatever finds the row `source` finds `target` after the commit."""
        for key in (self._own_key(source), *self.redirects.to(source)):
            self.redirects.aim(key, target)

    def _own_key(self, row: int) -> str:
        size = len(self._ids)
        return self._ids[row] if row < size else self._staged[row - size]

    def id(self, row: int) -> str:
        """The user id, or the anonymous id of a visitor (`is_anonymous` tells which)."""
        return super().id(row).removeprefix(_ANONYMOUS).removeprefix(PREFIX)


class Vocabularies:
    """The four vocabularies of a shop. `users` holds registered users and those known only from events."""

    def __init__(self, users: UserVocabulary, items: Vocabulary, stores: Vocabulary, event_types: Vocabulary) -> None:
        self.users = users
        self.items = items
        self.stores = stores
        self.event_types = event_types

    @classmethod
    def load(cls, db: Database) -> Vocabularies:
        """Reads all rows and takes part in the database's writes. Raises Unavailable when rows are missing."""
        users = schema.users.c
        with db.read() as connection:
            people = connection.execute(select(users.row, users.user_id, users.kind).order_by(users.row)).all()
            ids = _dense("users", [_person(*person) for person in people])
            loaded = cls(
                UserVocabulary(ids, _redirected(connection, ids)),
                *(
                    Vocabulary(_dense(key.table.name, list(connection.execute(select(row, key).order_by(row)).all())))
                    for row, key in _PLAIN_KEYS
                ),
            )
        for vocabulary in (loaded.users, loaded.items, loaded.stores, loaded.event_types):
            db.writer.join(vocabulary)
        db.writer.join(loaded.users.redirects)
        db.writer.join(loaded.users.erasures)
        return loaded


_PLAIN_KEYS: tuple[tuple[Column[int], Column[str]], ...] = (
    (schema.items.c.row, schema.items.c.item_id),
    (schema.shops.c.row, schema.shops.c.store_id),
    (schema.event_types.c.row, schema.event_types.c.name),
)


def _person(row: int, user_id: str, kind: str) -> tuple[int, str]:
    if kind == "erased":
        return row, PREFIX + user_id
    return row, UserVocabulary.anonymous_key(user_id) if kind == "anonymous" else user_id


def _redirected(connection: Connection, ids: Sequence[str]) -> list[tuple[str, int]]:
    """(key, row) of merged users and bound visitors; chains are followed to their end."""
    merges, identities = schema.merges.c, schema.identities.c
    into: dict[int, int] = dict(connection.execute(select(merges.from_row, merges.into_row)).all())
    bound = connection.execute(select(identities.anonymous_id, identities.user_row)).all()

    def end(row: int) -> int:
        while row in into:
            row = into[row]
        return row

    visitors = [(UserVocabulary.anonymous_key(anonymous_id), end(row)) for anonymous_id, row in bound]
    return [*((ids[row], end(row)) for row in into), *visitors]


def _dense(table: str, pairs: list[tuple[int, str]]) -> list[str]:
    """Ids by row. Rows that are not 0, 1, 2 ... would make every array wrong."""
    if any(row != expected for expected, row in enumerate(map(itemgetter(0), pairs))):
        raise Unavailable(f"table {table} lacks rows; restore the home from a backup", code="damaged")
    return [key for _, key in pairs]
