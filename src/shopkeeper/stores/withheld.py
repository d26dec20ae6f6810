"""The events of the bundled shop that the live stream still has to release, in order of time.

Every function works inside the caller's transaction. Position 0, 1, 2 ... is the order of release.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from shopkeeper.core.clock import micros
from shopkeeper.core.records import Event
from shopkeeper.stores import schema

_TABLE = schema.withheld.c


def replace_all(connection: Connection, events: Sequence[Event]) -> None:
    """The whole stream, in order of time; every event has a time and an id."""
    connection.execute(delete(schema.withheld))
    rows = []
    for position, event in enumerate(events):
        assert event.time is not None
        rows.append({"position": position, "time": micros(event.time), "event": msgspec.to_builtins(event)})
    if rows:
        connection.execute(insert(schema.withheld), rows)


def due(connection: Connection, *, position: int, until: int, limit: int) -> list[Event]:
    """At most `limit` events from `position` on whose time (us) is `until` at the latest."""
    query = (
        select(_TABLE.event)
        .where(_TABLE.position >= position, _TABLE.time <= until)
        .order_by(_TABLE.position)
        .limit(limit)
    )
    return [msgspec.convert(event, Event) for event in connection.scalars(query)]


def time_at(connection: Connection, position: int) -> int | None:
    """The time (us) of the event at a position; None beyond the end."""
    return connection.scalar(select(_TABLE.time).where(_TABLE.position == position))


def count(connection: Connection) -> int:
    """Events of the whole stream, released ones included."""
    return connection.scalar(select(func.count()).select_from(schema.withheld)) or 0
