"""Online learners in SQL: what each is to do, what it has learned, and of which slates.

A slate is learned of once: its id is written in the transaction that writes the state it has changed. `saves` counts
these: whoever saves says which it has read, so that of two processes one loses. No order of time is relied on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, not_, or_, select, update

from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.stores import schema
from shopkeeper.stores.served_vectors import ServedVectors

_O = schema.online_learners.c
_D = schema.online_learned.c
_V = schema.served_vectors.c
_E = schema.events.c
_CHUNK = 500
_NEWEST = 200_000


class LearnerRow(msgspec.Struct, kw_only=True):
    """`facts`: what is told of the learner, written with the state. `state` None: it has not begun."""

    model: str
    settings: OnlineSettings
    state: bytes | None
    saves: int
    facts: dict[str, Any]
    changed_at: int
    changed_by: str


class Told(msgspec.Struct, kw_only=True):
    """An event about an item."""

    event_id: str
    type_row: int
    user_row: int | None
    item_row: int
    time: int
    value: float | None
    context: dict[str, Any]


def put(connection: Connection, model: str, settings: OnlineSettings, *, now: int, by: str) -> LearnerRow:
    """Inside a write: a new learner, or other settings for one; what it has learned stays."""
    said = {"settings": msgspec.to_builtins(settings), "changed_at": now, "changed_by": by}
    if not connection.execute(update(schema.online_learners).where(_O.model == model).values(said)).rowcount:
        connection.execute(insert(schema.online_learners).values(model=model, saves=0, facts={}, **said))
    return get(connection, model)


def remove(connection: Connection, model: str) -> None:
    """Inside a write: with all that it has learned. Raises NotFound."""
    get(connection, model)
    connection.execute(delete(schema.online_learned).where(_D.model == model))
    connection.execute(delete(schema.online_learners).where(_O.model == model))


def get(connection: Connection, model: str) -> LearnerRow:
    """Raises NotFound."""
    row = connection.execute(select(schema.online_learners).where(_O.model == model)).one_or_none()
    if row is None:
        raise NotFound(
            f"no learner {model[:80]!r}; begin one: PUT /api/v1/learning/{model[:80]}", code="unknown_learner"
        )
    return _learner(row)


def everything(connection: Connection) -> list[LearnerRow]:
    """By name."""
    return [_learner(row) for row in connection.execute(select(schema.online_learners).order_by(_O.model))]


def ready(connection: Connection, model: str, until: int, limit: int) -> list[ServedVectors]:
    """The oldest slates made up to `until` (us) of which the learner has not learned."""
    learned = select(_D.slate_id).where(_D.model == model, _D.slate_id == _V.slate_id).exists()
    query = (
        select(schema.served_vectors)
        .where(_V.made_at <= until, not_(learned))
        .order_by(_V.made_at, _V.slate_id)
        .limit(limit)
    )
    return [_slate(row) for row in _of(connection, query)]


def held_of(connection: Connection, model: str) -> list[ServedVectors]:
    """Those that were held out, as far as they are kept, in order of time."""
    query = (
        select(schema.served_vectors)
        .join(schema.online_learned, _D.slate_id == _V.slate_id)
        .where(_D.model == model, _D.held)
        .order_by(_V.made_at, _V.slate_id)
    )
    return [_slate(row) for row in _of(connection, query)]


def told(
    connection: Connection, types: Sequence[int], users: Sequence[int], since: int, until: int, *, strangers: bool
) -> Iterator[Told]:
    """Events of these types about items in [since, until] us, by these users; with `strangers` also what anybody did of
    late, as who was a stranger when a slate was made may have a row since."""
    columns = (_E.event_id, _E.type_row, _E.user_row, _E.item_row, _E.time, _E.value, _E.context)
    wanted = select(*columns).where(
        _E.time >= since, _E.time <= until, _E.item_row.is_not(None), _E.type_row.in_(types)
    )
    queries = [wanted.where(_E.user_row.in_(users[at : at + _CHUNK])) for at in range(0, len(users), _CHUNK)]
    if strangers:
        newest = connection.scalar(select(func.max(_E.seq))) or 0
        other = or_(_E.user_row.is_(None), _E.user_row.not_in(users))
        queries.append(wanted.where(_E.seq > newest - _NEWEST, other))
    for query in queries:
        for row in _of(connection, query):
            fields = dict(row._mapping)
            fields["context"] = fields["context"] if isinstance(fields["context"], dict) else {}
            yield Told(**{str(name): value for name, value in fields.items()})


def save(
    connection: Connection, row: LearnerRow, state: bytes, facts: dict[str, Any], slates: Mapping[str, bool]
) -> LearnerRow:
    """Inside a write: the state after `row` and the slates that are done with since, true for those held out. Raises
    Conflict (`moved_on`) when another process has saved meanwhile, or the learner was taken away."""
    same = (_O.model == row.model, _O.saves == row.saves)
    changed = {"state": state, "facts": facts, "saves": row.saves + 1}
    if not connection.execute(update(schema.online_learners).where(*same).values(changed)).rowcount:
        raise Conflict(f"another process has learned for {row.model!r} meanwhile; its state counts", code="moved_on")
    if slates:
        connection.execute(insert(schema.online_learned), _done(row.model, slates))
    return msgspec.structs.replace(row, state=state, facts=facts, saves=row.saves + 1)


def note(connection: Connection, row: LearnerRow, facts: dict[str, Any]) -> LearnerRow:
    """Inside a write: what is told of the learner beside its state. Raises Conflict as `save`."""
    same = (_O.model == row.model, _O.saves == row.saves)
    changed = {"facts": facts, "saves": row.saves + 1}
    if not connection.execute(update(schema.online_learners).where(*same).values(changed)).rowcount:
        raise Conflict(f"another process has learned for {row.model!r} meanwhile", code="moved_on")
    return msgspec.structs.replace(row, facts=facts, saves=row.saves + 1)


def drop_gone(connection: Connection, model: str) -> int:
    """Inside a write: forgets the ids of slates that are not kept any more. How many went."""
    there = select(_V.slate_id).where(_V.slate_id == _D.slate_id).exists()
    gone = delete(schema.online_learned).where(_D.model == model, not_(there))
    return connection.execute(gone).rowcount


def erased(connection: Connection, rows: Sequence[int]) -> set[int]:
    """Which of these users were erased."""
    users = schema.users.c
    found: set[int] = set()
    for at in range(0, len(rows), _CHUNK):
        some = rows[at : at + _CHUNK]
        found |= set(connection.scalars(select(users.row).where(users.row.in_(some), users.kind == "erased")))
    return found


def _done(model: str, slates: Mapping[str, bool]) -> list[dict[str, Any]]:
    return [{"model": model, "slate_id": slate_id, "held": held} for slate_id, held in slates.items()]


def _of(connection: Connection, query: Any) -> Iterator[Row[Any]]:
    yield from connection.execute(query.execution_options(yield_per=2000))


def _slate(row: Row[Any]) -> ServedVectors:
    return ServedVectors(**{str(name): value for name, value in row._mapping.items()})


def _learner(row: Row[Any]) -> LearnerRow:
    return LearnerRow(
        model=row.model,
        settings=msgspec.convert(row.settings, OnlineSettings),
        state=row.state,
        saves=row.saves,
        facts=row.facts,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )
