"""The table `events`: how rows go in, and how they come back as columns or as events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
import numpy as np
from sqlalchemy import Connection, Dialect, Row, Select, func, insert, select
from sqlalchemy.exc import IntegrityError

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import moment
from shopkeeper.core.records import StoredEvent
from shopkeeper.stores import schema
from shopkeeper.stores.savepoint import savepoint
from shopkeeper.stores.vocabulary import Vocabularies

StoredRow: TypeAlias = tuple[Any, ...]
"""One row without its seq, in the order of COLUMNS[1:]. `context` is JSON text or None."""

ERASED_KIND = ""
"""The target kind of an event whose person was erased; no event that comes in can have it. Only its number is left."""

_TABLE = schema.events.c
COLUMNS = tuple(column.name for column in schema.events.columns)
_READ = select(
    _TABLE.seq,
    func.coalesce(_TABLE.user_row, -1),
    func.coalesce(_TABLE.item_row, -1),
    func.coalesce(_TABLE.other_row, -1),
    _TABLE.type_row,
    func.coalesce(_TABLE.store_row, -1),
    _TABLE.time,
    _TABLE.quantity,
    _TABLE.unit_price,
    _TABLE.value,
    func.coalesce(_TABLE.promotion, "") != "",
).order_by(_TABLE.seq)
# What followers see of a stored row, in the order of EventBatch without its seq.
_SEEN = itemgetter(
    *(
        COLUMNS.index(name) - 1
        for name in (
            "user_row", "item_row", "other_row", "type_row", "store_row",
            "time", "quantity", "unit_price", "value", "promotion",
        )
    )
)  # fmt: skip
_ROW = np.dtype([(name, getattr(EventBatch.empty(), name).dtype) for name in EventBatch.__slots__])


def insert_new(connection: Connection, rows: Sequence[StoredRow], first_seq: int) -> list[int]:
    """Inserts the rows whose event id is new, numbered densely from `first_seq`. Returns their positions in `rows`.

    Most ids are new, so all rows are tried at once; only when that fails are the known ones looked up.
    """
    positions = _first_of_each(rows)
    chosen = rows if len(positions) == len(rows) else [rows[at] for at in positions]
    try:
        with savepoint(connection, "new_events"):
            _insert(connection, chosen, first_seq)
    except IntegrityError:
        known = _known(connection, [row[0] for row in chosen])
        positions = [at for at in positions if rows[at][0] not in known]
        _insert(connection, [rows[at] for at in positions], first_seq)
    return positions


def new_among(connection: Connection, rows: Sequence[StoredRow]) -> list[int]:
    """The positions in `rows` that `insert_new` would insert."""
    positions = _first_of_each(rows)
    known = _known(connection, [rows[at][0] for at in positions])
    return [at for at in positions if rows[at][0] not in known]


def read_columns(connection: Connection, after_seq: int, limit: int) -> EventBatch:
    """Events after a number as columns, at most `limit`. Reads by the driver's cursor: half the time of result rows."""
    return _columns(connection, _READ.where(_TABLE.seq > after_seq).limit(limit))


def read_people(connection: Connection, rows: Sequence[int]) -> EventBatch:
    """All events of some rows of users as columns, in log order."""
    return _columns(connection, _READ.where(_TABLE.user_row.in_(rows)))


def _columns(connection: Connection, query: Select[Any]) -> EventBatch:
    sql = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql)
        rows = np.fromiter(iter(cursor.fetchone, None), dtype=_ROW)
    finally:
        cursor.close()
    columns: list[Any] = [np.ascontiguousarray(rows[name]) for name in EventBatch.__slots__]
    return EventBatch(*columns)


def as_columns(rows: Sequence[StoredRow], first_seq: int) -> EventBatch:
    """Rows that were just inserted, as followers see them."""
    return EventBatch.from_rows([(seq, *_SEEN(row)) for seq, row in enumerate(rows, first_seq)])


def all_fields() -> Select[Any]:
    """`SELECT` of every column, for `stored_event`; what is left of erased events is passed over."""
    return select(schema.events).where(_TABLE.target_kind != ERASED_KIND)


def stored_event(row: Row[Any], vocabularies: Vocabularies) -> StoredEvent:
    """The event of one row."""
    visitor = row.user_row is None or vocabularies.users.is_anonymous(row.user_row)
    person = row.other_row is not None
    target = vocabularies.users.id(row.other_row) if person else vocabularies.items.id(row.item_row)
    return StoredEvent(
        seq=row.seq,
        event_id=row.event_id,
        event_type=vocabularies.event_types.id(row.type_row),
        user_id=None if visitor else vocabularies.users.id(row.user_row),
        anonymous_id=row.anonymous_id,
        target_kind=row.target_kind,
        target_id=target,
        item_id=target if row.target_kind == "product" else None,
        store_id=None if row.store_row is None else vocabularies.stores.id(row.store_row),
        time=moment(row.time),
        quantity=row.quantity,
        unit_price=row.unit_price,
        value=row.value,
        promotion=row.promotion,
        context=row.context or {},
    )


def context_text(context: dict[str, Any]) -> str | None:
    """The stored form of a context."""
    return msgspec.json.encode(context).decode() if context else None


def _insert(connection: Connection, rows: Sequence[StoredRow], first_seq: int) -> None:
    if not rows:
        return
    numbered = [(seq, *row) for seq, row in enumerate(rows, first_seq)]
    if connection.dialect.positional:
        connection.exec_driver_sql(_statement(connection.dialect), numbered)  # several times as fast as the way below
        return
    decoded = [dict(zip(COLUMNS, row, strict=True)) for row in numbered]
    for row in decoded:
        row["context"] = None if row["context"] is None else msgspec.json.decode(row["context"])
    connection.execute(insert(schema.events), decoded)


@cache
def _statement(dialect: Dialect) -> str:
    return str(insert(schema.events).compile(dialect=dialect))


def _first_of_each(rows: Sequence[StoredRow]) -> list[int]:
    """Positions of the rows whose event id did not come earlier in the list."""
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        first.setdefault(row[0], at)
    return list(first.values())


def _known(connection: Connection, event_ids: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(event_ids), 500):
        query = select(_TABLE.event_id).where(_TABLE.event_id.in_(event_ids[start : start + 500]))
        found.update(connection.execute(query).scalars())
    return found
