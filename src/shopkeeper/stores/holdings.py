"""Which tables hold something of a person: one list for export, use of data and erasure. A test compares it with the
schema: a table that points to a user's row has to be here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Table, func, or_, select

from shopkeeper.core.clock import rfc3339
from shopkeeper.stores import schema

PIECE = 2_000


@dataclass(frozen=True)
class Holding:
    """`column` is the row of the person that a line is about; `hidden` columns are numbers of this database only.
    `named`: where an id stands instead, of one who had no row when the line was written: a user's, or a visitor's who
    was asked for as one."""

    name: str
    table: Table
    column: Column[Any]
    hidden: tuple[str, ...]
    kept: bool = False  # erasing strips these lines, their being there is still of use
    named: Column[Any] | None = None

    def about(self, person: Person) -> ColumnElement[bool]:
        """Which lines are about a person."""
        mine = self.column.in_(person.rows)
        return mine if self.named is None else or_(mine, self.named.in_(person.ids))


HOLDINGS = (
    Holding("consent", schema.consents, schema.consents.c.user_row, ("user_row",)),
    Holding("preferences", schema.preferences, schema.preferences.c.user_row, ("user_row",)),
    Holding("identities", schema.identities, schema.identities.c.user_row, ("user_row", "anonymous_row")),
    Holding("merges", schema.merges, schema.merges.c.into_row, ("from_row", "into_row")),
    Holding("segments", schema.segment_spans, schema.segment_spans.c.user_row, ("position", "user_row")),
    Holding("slates", schema.slates, schema.slates.c.user_row, ("user_row",), named=schema.slates.c.user_id),
    Holding("served_vectors", schema.served_vectors, schema.served_vectors.c.user_row, ("user_row", "item_rows")),
    Holding("experiments", schema.experiment_units, schema.experiment_units.c.user_row, ("user_row", "exposed_seq")),
    Holding(
        "experiment_events", schema.experiment_events, schema.experiment_events.c.user_row, ("position", "user_row")
    ),
    Holding(
        "explored",
        schema.explored,
        schema.explored.c.user_row,
        ("user_row", "drawn", "pools"),
        named=schema.explored.c.user_id,
    ),
    Holding(
        "agent_visits",
        schema.agent_visits,
        schema.agent_visits.c.user_row,
        ("user_row", "shown"),
        named=schema.agent_visits.c.user_id,
    ),
    Holding("deliveries", schema.deliveries, schema.deliveries.c.user_row, ("user_row",)),
    Holding("audit", schema.audit, schema.audit.c.user_row, ("position", "user_row"), kept=True),
)


@dataclass(frozen=True)
class Person:
    """Everything by which one person is known: `rows` begins with the row that stands for all of them."""

    rows: tuple[int, ...]
    user_ids: tuple[str, ...]
    anonymous_ids: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return (*self.user_ids, *self.anonymous_ids)


def person_at(connection: Connection, row: int) -> Person | None:
    """The person of a row: merged users, bound visitors, and visitors that only this person's events name. Of a row
    that was merged into another: that one's person, whose the events are. None for a row that was erased."""
    users, merges, identities = schema.users.c, schema.merges.c, schema.identities.c
    while (into := connection.scalar(select(merges.into_row).where(merges.from_row == row))) is not None:
        row = into
    rows, wave = [row], [row]
    while wave:
        found = set(connection.scalars(select(merges.from_row).where(merges.into_row.in_(wave))))
        bound = set(connection.scalars(select(identities.anonymous_row).where(identities.user_row.in_(wave)))) - {None}
        wave = sorted((found | bound).difference(rows))
        rows += wave
    known = connection.execute(select(users.kind, users.user_id).where(users.row.in_(rows)).order_by(users.row)).all()
    if not any(kind != "erased" for kind, _ in known):
        return None
    anonymous = [id for kind, id in known if kind == "anonymous"]
    anonymous += connection.scalars(select(identities.anonymous_id).where(identities.user_row.in_(rows)))
    anonymous += _seen_with(connection, rows)
    visitors = select(users.row).where(users.kind == "anonymous", users.user_id.in_(anonymous))
    rows += sorted(set(connection.scalars(visitors)).difference(rows))
    user_ids = tuple(id for kind, id in known if kind == "user")
    return Person(tuple(rows), user_ids, tuple(dict.fromkeys(anonymous)))


def _seen_with(connection: Connection, rows: Sequence[int]) -> list[str]:
    """Anonymous ids on events of these rows that no event of somebody else names."""
    events, users = schema.events.c, schema.users.c
    mine = set(
        connection.scalars(
            select(events.anonymous_id).where(events.user_row.in_(rows), events.anonymous_id.is_not(None)).distinct()
        )
    )
    if not mine:
        return []
    others = (
        select(events.anonymous_id)
        .join(schema.users, users.row == events.user_row)
        .where(events.anonymous_id.in_(mine), users.kind == "user", users.row.not_in(rows))
        .distinct()
    )
    return sorted(mine.difference(connection.scalars(others)))


def lines_of(connection: Connection, holding: Holding, person: Person) -> Iterator[dict[str, Any]]:
    """The lines of a table about a person, readable: moments as text, no row numbers."""
    for line in connection.execute(select(holding.table).where(holding.about(person))):
        yield shown(line._mapping, holding.table, holding.hidden)


def shown(line: Any, table: Table, hidden: Sequence[str]) -> dict[str, Any]:
    """One line without the hidden columns."""
    out = {}
    for column in table.columns:
        if column.name not in hidden:
            value = line[column.name]
            moment = isinstance(column.type, BigInteger) and not column.primary_key
            out[column.name] = rfc3339(value) if moment and value is not None else value
    return out


def count_of(connection: Connection, holding: Holding, person: Person) -> int:
    return connection.scalar(select(func.count()).select_from(holding.table).where(holding.about(person))) or 0
