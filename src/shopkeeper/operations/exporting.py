"""Everything that a shop holds of one person: as one JSON document, and as a count of what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, String, func, select, type_coerce

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import UserProfile
from shopkeeper.operations.erasing_files import imports_naming
from shopkeeper.stores import schema
from shopkeeper.stores.event_rows import all_fields, stored_event
from shopkeeper.stores.holdings import HOLDINGS, PIECE, Person, count_of, lines_of, person_at
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

_E = schema.events.c
_EVENT_BYTES = 96  # of one event without its texts


class Usage(msgspec.Struct):
    """`categories`: pieces by store. `storage_bytes` is an estimate of what the pieces take in the database."""

    user_id: str
    data_points: int
    storage_bytes: int
    last_updated: str | None
    categories: dict[str, int]


class Exporting:
    """Reads only. May be used on any thread."""

    def __init__(self, db: Database, home: Home, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._home = home
        self._vocabularies = vocabularies
        self._clock = clock

    def export(self, user_id: str, profile: UserProfile | None) -> Iterator[bytes]:
        """The document in pieces; memory is bounded whatever the number of events. Raises NotFound at once."""
        return self._pieces(user_id, profile, self._person(user_id))

    def usage(self, user_id: str) -> Usage:
        """Raises NotFound."""
        person = self._person(user_id)
        with self._db.read() as connection:
            mine = _E.user_row.in_(person.rows)
            texts = func.length(_E.event_id) + func.coalesce(func.length(type_coerce(_E.context, String)), 0)
            counted = select(func.count(), func.coalesce(func.sum(texts), 0), func.max(_E.received_at)).where(mine)
            events, letters, newest = connection.execute(counted).one()
            records = _records(connection, person)
            categories = {"events": events, "record": len(records)}
            size = letters + events * _EVENT_BYTES + len(msgspec.json.encode(records))
            for holding in HOLDINGS:
                categories[holding.name] = count_of(connection, holding, person)
                size += sum(len(msgspec.json.encode(line)) for line in lines_of(connection, holding, person))
            users = schema.users.c
            changed = connection.scalar(select(func.max(users.updated_at)).where(users.row.in_(person.rows)))
        times = [time for time in (newest, changed) if time is not None]
        last = rfc3339(max(times)) if times else None
        return Usage(user_id, sum(categories.values()), size, last, categories)

    def _person(self, user_id: str) -> Person:
        row = self._vocabularies.users.row(user_id)
        with self._db.read() as connection:
            person = None if row is None else person_at(connection, row)
        if person is None:
            raise NotFound(f"no user {user_id!r}", code="unknown_user", field="user_id")
        return person

    def _pieces(self, user_id: str, profile: UserProfile | None, person: Person) -> Iterator[bytes]:
        with self._db.read() as connection:
            head: dict[str, Any] = {
                "user_id": user_id,
                "exported_at": rfc3339(self._clock.wall()),
                "records": _records(connection, person),
                "anonymous_ids": list(person.anonymous_ids),
                "profile": profile,
            }
            plans = dict(connection.execute(select(schema.imports.c.import_id, schema.imports.c.mapping)).all())
            names = dict(connection.execute(select(schema.imports.c.import_id, schema.imports.c.filename)).all())
        found = imports_naming(self._home.path, person, plans)
        head["imports"] = [{"import_id": one, "filename": names.get(one)} for one in found]
        yield msgspec.json.encode(head)[:-1]
        for holding in HOLDINGS:
            yield b"," + msgspec.json.encode(holding.name) + b":["
            with self._db.read() as connection:
                for at, line in enumerate(lines_of(connection, holding, person)):
                    yield (b"," if at else b"") + msgspec.json.encode(line)
            yield b"]"
        yield b',"events":['
        yield from self._events(person)
        yield b"]}"

    def _events(self, person: Person) -> Iterator[bytes]:
        """In log order, a few thousand at a time, each time in a transaction of its own: writers are not kept from
        emptying the log of writes."""
        after, between = 0, b""
        while True:
            mine = all_fields().where(_E.user_row.in_(person.rows), _E.seq > after).order_by(_E.seq).limit(PIECE)
            with self._db.read() as connection:
                found = [stored_event(row, self._vocabularies) for row in connection.execute(mine)]
            if not found:
                return
            after = found[-1].seq
            yield between + msgspec.json.encode(found)[1:-1]
            between = b","


def _records(connection: Connection, person: Person) -> list[dict[str, Any]]:
    """The record of each row: registered or known from events only, merged ones and visitors too."""
    users = schema.users.c
    rows = connection.execute(select(schema.users).where(users.row.in_(person.rows)).order_by(users.row))
    return [
        {
            "kind": row.kind,
            "id": row.user_id,
            "registered": row.listed,
            "attributes": row.attributes,
            "created_at": rfc3339(row.created_at),
            "updated_at": rfc3339(row.updated_at),
        }
        for row in rows
    ]
