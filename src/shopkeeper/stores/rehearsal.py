"""Events as the log would take them, without its taking them: checked, in rows, with the rows that they would make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Event
from shopkeeper.stores import event_rows
from shopkeeper.stores.appending import bulk_row
from shopkeeper.stores.event_check import validate_event
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary


@dataclass(frozen=True)
class Rehearsal:
    """`batch`: the events that would be new, numbered from 1. `duplicates`: how many would change nothing.

    `types`: names of event types by row, the new ones too. `items`: (id, kind) of those that the shop does not know
    yet; their rows follow on its last one.
    """

    batch: EventBatch
    types: NamesAndMore
    items: Sequence[tuple[str, str]]
    duplicates: int


class NamesAndMore:
    """A vocabulary as it was when this was made, and ids that it did not have, with the rows that they would get."""

    def __init__(self, known: Vocabulary) -> None:
        self._known = known
        self._size = len(known)
        self.more: dict[str, int] = {}

    def row(self, id: str, /) -> int | None:
        found = self._known.row(id)
        return found if found is not None and found < self._size else self.more.get(id)

    def id(self, row: int) -> str:
        return self._known.id(row) if row < self._size else list(self.more)[row - self._size]

    def give(self, id: str) -> int:
        """The row of an id; the next one when it has none."""
        found = self.row(id)
        if found is None:
            found = self.more[id] = self._size + len(self.more)
        return found


def rehearse(db: Database, names: Vocabularies, clock: Clock, events: Sequence[Event]) -> Rehearsal:
    """What an append of these events would bring, all of them by known users.

    Raises Invalid with the number of the first event that the log would refuse.
    """
    rows = [bulk_row(_checked(number, event, clock)) for number, event in enumerate(events)]
    items, types, users = NamesAndMore(names.items), NamesAndMore(names.event_types), NamesAndMore(names.users)
    kinds: dict[str, str] = {}
    for _, _, _, _, kind, target, *_ in rows:
        if kind != "user":
            kinds.setdefault(target, kind)
    at = {target: items.give(target) for target in kinds}
    stored = [
        (
            id,
            None if user is None else names.users.row(user),
            visitor,
            types.give(type),
            kind,
            None if kind == "user" else at[target],
            users.give(target) if kind == "user" else None,
            None if store is None else names.stores.row(store),
            *rest,
            None,
        )
        for id, user, visitor, type, kind, target, store, *rest in rows
    ]
    with db.read() as connection:
        new = event_rows.new_among(connection, stored)
    batch = event_rows.as_columns([stored[place] for place in new], 1)
    return Rehearsal(batch, types, [(id, kinds[id]) for id in items.more], len(events) - len(new))


def _checked(number: int, event: Event, clock: Clock) -> Event:
    checked = validate_event(event, clock)
    if isinstance(checked, str):
        raise Invalid(f"events[{number}]: {checked}", code="bad_event", field=f"events[{number}]")
    return checked
