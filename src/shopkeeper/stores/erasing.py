"""Taking one person out of every table, in transactions that can be cut off and begun again.

name_visitors   first: what only the events tell of who the person is, is written down
erase_events    piece by piece, until none is left
erase_person    last, in one transaction: everything else, and the ids by which all of it was found
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import (
    Connection,
    String,
    Table,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from shopkeeper.core.clock import DAY
from shopkeeper.core.records import Event
from shopkeeper.stores import audit, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.event_rows import ERASED_KIND
from shopkeeper.stores.holdings import HOLDINGS, Person
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.vocabulary import Vocabularies
from shopkeeper.stores.words import Words

Mode: TypeAlias = Literal["erase", "anonymise"]
ERASED_TYPE = "erased"
_PIECE = 20_000
_AT_ONCE = 500
_E = schema.events.c
_NEW_NAME = literal("erased-").concat(func.lower(func.hex(func.randomblob(12))))

# Where an id may stand inside of text: what was asked of jobs and what they said, notes about files, about others.
_TEXTS: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (schema.jobs, ("work_key", "params", "progress", "result", "error")),
    (schema.job_events, ("data",)),
    (schema.schedules, ("params", "condition", "state")),
    (schema.imports, ("filename", "columns", "mapping")),
    (schema.experiments, ("plan", "state")),
    (schema.deliveries, ("payload", "error")),
    (schema.audit, ("before", "after")),
)
# What others said, in their own words: searched for ids that cannot be mistaken for a word or a number.
_WORDS_OF_OTHERS: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (schema.events, ("context",)),
    (schema.users, ("attributes",)),
    (schema.preferences, ("stated",)),
    (schema.items, ("attributes",)),
)


def name_visitors(connection: Connection, person: Person, now: int) -> None:
    """Notes every anonymous id as the person's own, so that a second try finds them when the events are gone."""
    table = schema.identities
    known = set(connection.scalars(select(table.c.anonymous_id).where(table.c.anonymous_id.in_(person.anonymous_ids))))
    missing = [
        {"anonymous_id": id, "anonymous_row": None, "user_row": person.rows[0], "bound_at": now}
        for id in person.anonymous_ids
        if id not in known
    ]
    if missing:
        connection.execute(insert(table), missing)


def erase_events(connection: Connection, give: RowGiver, person: Person, mode: Mode, limit: int = _PIECE) -> int:
    """Takes the person out of at most `limit` events; how many that were, 0: none is left.

    `anonymise`: they stay, as sales of nobody. `erase`: only their numbers stay, so that the log has no gaps.
    """
    found = connection.execute(select(_E.seq, _E.event_id).where(_E.user_row.in_(person.rows)).limit(limit)).all()
    if not found:
        return 0
    nobody: dict[Any, Any] = {"user_row": None, "anonymous_id": None, "context": null()}
    if mode == "erase":
        empty = ("item_row", "other_row", "store_row", "quantity", "unit_price", "value", "promotion")
        nobody |= dict.fromkeys(empty) | {"type_row": give.event_types(connection, [ERASED_TYPE])[ERASED_TYPE]}
        nobody |= {"target_kind": ERASED_KIND, "time": _E.time - _E.time % DAY, "received_at": _E.time - _E.time % DAY}
    _change(connection, [seq for seq, _ in found], nobody | ({"event_id": _NEW_NAME} if mode == "erase" else {}))
    if mode == "anonymise":
        words = Words(person.ids)
        named = [seq for seq, id in found if words.in_text(id) or _holds(id, person.ids)]
        _change(connection, named, {"event_id": _NEW_NAME})
    return len(found)


def _change(connection: Connection, seqs: Sequence[int], values: Mapping[Any, Any]) -> None:
    """Many events a statement: one by one takes twenty times as long under foreign keys and a savepoint."""
    for start in range(0, len(seqs), _AT_ONCE):
        some = _E.seq.in_(seqs[start : start + _AT_ONCE])
        connection.execute(update(schema.events).where(some).values(values))


def erase_person(
    connection: Connection,
    vocabularies: Vocabularies,
    give: RowGiver,
    person: Person,
    mode: Mode,
    actor: Actor,
    now: int,
) -> int:
    """Everything but the events that are gone already; how many events came in meanwhile and went too."""
    late = 0
    while count := erase_events(connection, give, person, mode):
        late += count
    if person.anonymous_ids:  # also on events of others, where a device is shared
        shared = update(schema.events).where(_E.anonymous_id.in_(person.anonymous_ids))
        connection.execute(shared.values(anonymous_id=None))
    for holding in HOLDINGS:
        about = holding.about(person)
        if holding.kept:
            connection.execute(update(holding.table).where(about).values(user_row=None, before=null(), after=null()))
        else:
            connection.execute(delete(holding.table).where(about))
    ways = schema.merges.c, schema.identities.c
    connection.execute(delete(schema.merges).where(ways[0].from_row.in_(person.rows)))
    named = or_(ways[1].anonymous_row.in_(person.rows), ways[1].anonymous_id.in_(person.anonymous_ids))
    connection.execute(delete(schema.identities).where(named))
    words = Words(person.ids)
    _blot_texts(connection, words, _TEXTS)
    _blot_texts(connection, words.unmistakable(), _WORDS_OF_OTHERS)
    _blot_withheld(connection, person, words)
    for row in person.rows:
        name = _new_name()
        gone = {
            "kind": "erased",
            "user_id": name,
            "attributes": {},
            "listed": False,
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(update(schema.users).where(schema.users.c.row == row).values(**gone))
        vocabularies.users.erase(row, name)
    audit.note(connection, actor, mode, time=now)
    return late


def drop_stragglers(connection: Connection) -> None:
    """What was on its way to these tables while its person was erased."""
    gone = select(schema.users.c.row).where(schema.users.c.kind == "erased")
    for holding in HOLDINGS:
        if not holding.kept:
            connection.execute(delete(holding.table).where(holding.column.in_(gone)))


def _blot_texts(connection: Connection, words: Words, where: Sequence[tuple[Table, tuple[str, ...]]]) -> None:
    for table, names in where if words.ids else ():
        keys = list(table.primary_key.columns)
        for name in names:
            query = select(*keys, table.c[name].label("said"))
            for *key, said in connection.execute(query.where(_any(type_coerce(table.c[name], String), words))).all():
                this = [one == part for one, part in zip(keys, key, strict=True)]
                fresh = words.out_of(said)
                if fresh != said:
                    connection.execute(update(table).where(*this).values({table.c[name]: fresh}))


def _blot_withheld(connection: Connection, person: Person, words: Words) -> None:
    """What the bundled shop has still to release stays to be released, as sales of nobody."""
    table = schema.withheld
    query = select(table.c.position, table.c.event)
    for position, event in connection.execute(query.where(_any(type_coerce(table.c.event, String), words))).all():
        found = msgspec.convert(event, Event)
        if found.user_id not in person.user_ids and found.anonymous_id not in person.anonymous_ids:
            continue
        name = _new_name() if _holds(found.event_id or "", person.ids) else found.event_id
        nobody = msgspec.structs.replace(found, user_id=None, anonymous_id=None, context={}, event_id=name)
        connection.execute(update(table).where(table.c.position == position).values(event=msgspec.to_builtins(nobody)))


def _any(column: Any, words: Words) -> Any:
    """Whether one of the ids may stand there. There may be thousands: as one list, as SQL has a bound on its terms."""
    form = func.json_each(json.dumps(words.forms)).table_valued("value")
    return exists(select(literal(1)).select_from(form).where(func.instr(column, form.c.value) > 0))


def _holds(text: str, ids: Sequence[str]) -> bool:
    return any(id in text for id in ids)


def _new_name() -> str:
    """Nobody can guess it, so nobody can ask for it."""
    return f"erased-{secrets.token_hex(12)}"
