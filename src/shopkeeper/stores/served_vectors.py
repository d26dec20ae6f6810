"""What rankers saw of the items that were shown, in SQL. They go with the slates that they belong to, see slates.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from shopkeeper.stores import schema

_V = schema.served_vectors.c
_E = schema.events.c


class ServedVectors(msgspec.Struct, kw_only=True):
    """One slate of m items: `item_rows` int32 (m,), best first, `vectors` float32 (m, len(names)), bytes in C order."""

    slate_id: str
    user_row: int | None
    made_at: int
    model: str
    model_version: int
    names: list[str]
    item_rows: bytes
    vectors: bytes

    @property
    def items(self) -> NDArray[np.int32]:
        return np.frombuffer(self.item_rows, dtype=np.int32)

    @property
    def values(self) -> NDArray[np.float32]:
        return np.frombuffer(self.vectors, dtype=np.float32).reshape(-1, len(self.names))


class Reaction(msgspec.Struct, kw_only=True):
    """An event about an item: `request_id` of the answer that it names, where it names one."""

    user_row: int | None
    item_row: int
    type_row: int
    time: int
    request_id: str | None


def add(connection: Connection, rows: Sequence[ServedVectors]) -> int:
    """Inside a write; how many were new. Those of people who were erased meanwhile are left out."""
    asked = {row.user_row for row in rows} - {None}
    users = schema.users.c
    gone = set(connection.scalars(select(users.row).where(users.row.in_(asked), users.kind == "erased")))
    known = set(connection.scalars(select(_V.slate_id).where(_V.slate_id.in_([row.slate_id for row in rows]))))
    new = [msgspec.structs.asdict(row) for row in rows if row.slate_id not in known and row.user_row not in gone]
    if new:
        connection.execute(insert(schema.served_vectors), new)
    return len(new)


def read(connection: Connection, *, model: str | None = None, since: int = 0) -> Iterator[ServedVectors]:
    """In order of shop time, made at `since` (us) or later; of one model or of all."""
    query = select(schema.served_vectors).where(_V.made_at >= since).order_by(_V.made_at, _V.slate_id)
    if model is not None:
        query = query.where(_V.model == model)
    for line in connection.execute(query.execution_options(yield_per=1000)):
        yield ServedVectors(**{str(name): value for name, value in line._mapping.items()})


def reactions(connection: Connection, types: Sequence[int], since: int, until: int) -> Iterator[Reaction]:
    """Events of these types about items in [since, until], us."""
    query = select(_E.user_row, _E.item_row, _E.type_row, _E.time, _E.context).where(
        _E.time >= since, _E.time <= until, _E.item_row.is_not(None), _E.type_row.in_(types)
    )
    for user, item, type_row, time, context in connection.execute(query.execution_options(yield_per=5000)):
        named = context.get("request_id") if isinstance(context, dict) else None
        yield Reaction(
            user_row=user,
            item_row=item,
            type_row=type_row,
            time=time,
            request_id=named if isinstance(named, str) else None,
        )
