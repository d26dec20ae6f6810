"""The users' records as profiles need them: attributes by row, read again when they changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, select

from shopkeeper.core.clock import MINUTE
from shopkeeper.stores import schema
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.identities import final_row
from shopkeeper.stores.sql import Database

_C = schema.users.c
_CHUNK = 500
_LATE_S = 60.0
"""After so many seconds a record is committed, or never."""
_APART_S = 1.0


@dataclass(frozen=True, slots=True)
class Person:
    """`removed`: the record was deleted and no new one put. Neither listed nor removed: known from events only."""

    row: int
    user_id: str
    attributes: dict[str, Any]
    listed: bool
    removed: bool


class People:
    """Everybody's record in memory; `version` grows when one changed. Anonymous visitors are not people here."""

    def __init__(self, db: Database, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._seconds = seconds
        self._people: dict[int, Person] = {}
        self._readings: list[tuple[float, int]] = []  # (begun, newest time of a record)
        self._newest = -1
        self._complete = -1  # every record up to this time was read
        self.version = 0

    def refresh(self) -> None:
        """Reads what changed. A record may be committed later than its time says, so what is new is read again for a
        while; what was imported at once an hour ago is not."""
        begun = self._seconds()
        with self._db.read() as connection:
            since = max(self._complete, self._newest - MINUTE)
            rows = connection.execute(_users().where(_C.updated_at > since)).all()
        self._take(rows)
        self._newest = max([self._newest, *(row.updated_at for row in rows)])
        old = [reading for reading in self._readings if reading[0] <= begun - _LATE_S]
        if old:
            self._complete = max(self._complete, old[-1][1])
        del self._readings[: len(old)]
        if not self._readings or begun >= self._readings[-1][0] + _APART_S:
            self._readings.append((begun, self._newest))

    def reread(self, rows: Iterable[int]) -> None:
        """Reads these rows again."""
        wanted = sorted(rows)
        with self._db.read() as connection:
            for start in range(0, len(wanted), _CHUNK):
                part = _users().where(_C.row.in_(wanted[start : start + _CHUNK]))
                self._take(connection.execute(part).all())

    def forget(self, rows: Iterable[int]) -> None:
        """They are nobody any more."""
        for row in rows:
            if self._people.pop(row, None) is not None:
                self.version += 1

    def at(self, row: int) -> Person | None:
        """As of the last reading; None: a visitor, or known from events only and not read yet."""
        return self._people.get(row)

    def _take(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            person = _person(row)
            if self._people.get(person.row) != person:
                self._people[person.row] = person
                self.version += 1

    def find(self, user_id: str) -> Person | None:
        """The record as it is now; of a merged id the other user's. None for an id that nothing has named."""
        with self._db.read() as connection:
            row = connection.execute(_users().where(_C.user_id == user_id)).first()
            if row is not None and _person(row).removed:  # deleted, or merged
                row = connection.execute(_users().where(_C.row == final_row(connection, row.row))).one()
        return None if row is None else _person(row)

    def all(self) -> list[Person]:
        """In order of row, as of the last refresh."""
        return [self._people[row] for row in sorted(self._people)]

    @property
    def n(self) -> int:
        """One more than the highest row, as of the last refresh."""
        return max(self._people, default=-1) + 1

    def ids(self) -> dict[int, str]:
        """Row -> user id, as of the last refresh."""
        return {row: person.user_id for row, person in self._people.items()}

    def members(self, n: int, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool (n,): rows that count as customers: listed, or `seen` in events and not removed."""
        out = np.zeros(n, dtype=np.bool_)
        for row, person in self._people.items():
            if row < n:
                out[row] = person.listed or (bool(seen[row]) and not person.removed)
        return out


def customers_among(
    people: Sequence[Person | None], seen: NDArray[np.bool_], consents: ConsentStore | None
) -> NDArray[np.bool_]:
    """bool (n,): who counts as a customer: listed, or `seen` in events and not removed, and agrees to profiling."""
    counts = (
        person is not None
        and (person.listed or (was_seen and not person.removed))
        and (consents is None or consents.allows(person.row, "profiling"))
        for person, was_seen in zip(people, seen.tolist(), strict=True)
    )
    return np.fromiter(counts, dtype=np.bool_, count=len(people))


def _users() -> Select[Any]:
    return select(schema.users).where(_C.kind == "user")


def _person(row: Row[Any]) -> Person:
    # A row that only events made is never touched again: a later change without a record is a deletion.
    removed = not row.listed and row.updated_at > row.created_at
    return Person(row.row, row.user_id, row.attributes, row.listed, removed)
