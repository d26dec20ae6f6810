"""Slates in SQL: what was shown to whom, for a day or so.

The id of a slate is a ULID, so ids sort by the real time of their making: what is old is found by the primary key, and
a step of the shop's clock neither keeps nor takes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from shopkeeper.core.ids import ulid
from shopkeeper.stores import schema

_S = schema.slates.c
_TABLES: tuple[Table, ...] = (schema.served_vectors, schema.slates)


class SlateRow(msgspec.Struct, kw_only=True):
    """`user_row` None: nobody knew who asked, then `user_id` says what they called themselves. `items` are
    `[item id, score, channels]`, best first; `served` counts the answers that it made."""

    slate_id: str
    user_row: int | None
    user_id: str | None
    scenario: str
    scenario_version: int
    made_at: int
    served: int
    degraded: bool
    items: list[Any]
    versions: dict[str, int]


def add(connection: Connection, rows: Sequence[SlateRow]) -> int:
    """Inside a write; how many were new. Those of people who were erased meanwhile are left out."""
    asked = {row.user_row for row in rows} - {None}
    users = schema.users.c
    gone = set(connection.scalars(select(users.row).where(users.row.in_(asked), users.kind == "erased")))
    known = set(connection.scalars(select(_S.slate_id).where(_S.slate_id.in_([row.slate_id for row in rows]))))
    new = [
        msgspec.structs.asdict(row)
        for row in rows
        if row.slate_id not in known and (row.user_row is None or row.user_row not in gone)
    ]
    if new:
        connection.execute(insert(schema.slates), new)
    return len(new)


def most_asked(connection: Connection, n: int, *, of: int = 20_000) -> list[tuple[int | None, str | None, str, int]]:
    """`(user row, user id, scenario, number of items)` of what has been answered most often, that first; by the newest
    `of` slates, as a million of them take too long to read for a start to wait for that."""
    number = func.json_array_length(_S["items"]).label("number")
    newest = (
        select(_S.user_row, _S.user_id, _S.scenario, number, _S.served)
        .order_by(_S.slate_id.desc())
        .limit(of)
        .subquery()
        .c
    )
    by = (newest.user_row, newest.user_id, newest.scenario, newest.number)
    times = func.sum(newest.served)
    found = connection.execute(select(*by).group_by(*by).order_by(times.desc()).limit(n))
    return [(row[0], row[1], row[2], row[3]) for row in found]


def count_served(connection: Connection, served: Mapping[str, int]) -> None:
    """Inside a write: adds to the answers that slates made; those that are gone are passed over."""
    if served:
        more = update(schema.slates).where(_S.slate_id == bindparam("slate"))
        counts = [{"slate": slate_id, "more": count} for slate_id, count in served.items()]
        connection.execute(more.values(served=_S.served + bindparam("more")), counts)


def read(connection: Connection, slate_id: str) -> SlateRow | None:
    found = connection.execute(select(schema.slates).where(_S.slate_id == slate_id)).first()
    return None if found is None else SlateRow(**{str(name): value for name, value in found._mapping.items()})


def oldest_kept(connection: Connection, since_ms: int, most: int) -> str:
    """The id before which slates may go: those made before `since_ms` (real time), and all but the newest `most`."""
    beyond = connection.scalar(select(_S.slate_id).order_by(_S.slate_id.desc()).offset(most - 1).limit(1))
    return max(ulid(max(since_ms, 0))[:10], beyond or "")


def drop_before(connection: Connection, slate_id: str, limit: int) -> int:
    """Inside a write: takes at most `limit` slates that are older than an id, and what rankers saw of them; how many
    rows went, 0: none is left."""
    taken = 0
    for table in _TABLES:
        old = select(table.c.slate_id).where(table.c.slate_id < slate_id).order_by(table.c.slate_id).limit(limit)
        taken += connection.execute(delete(table).where(table.c.slate_id.in_(old))).rowcount
    return taken
