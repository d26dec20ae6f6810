"""What each user has agreed to. In memory beside the table, as every answer and every event asks for it.

A user who was never asked has the shop's default. `profiling` false: no scores, no segments, nothing learned;
`personalization` false: suggestions as for a stranger; `marketing` false: no webhooks, not in segment exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, Literal, TypeAlias

from msgspec import to_builtins
from sqlalchemy import Connection, Row, delete, insert, select

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Consent
from shopkeeper.stores import audit, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.etags import later
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

Purpose: TypeAlias = Literal["personalization", "profiling", "marketing"]
Listener: TypeAlias = Callable[[list[int]], None]
PURPOSES: Final[tuple[Purpose, ...]] = ("personalization", "profiling", "marketing")
_T = schema.consents
_NOBODY = Actor()


class ConsentStore:
    """Reads answer at once, from memory, on any thread. Changes answer a Future that is done when they are durable.

    `default` is what counts for a user who has said nothing: true where a shop may begin and stops when asked (opt
    out), false where it has to be asked for first (opt in).
    """

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock, *, default: bool = True) -> None:
        self._db = db
        self._users = vocabularies.users
        self._give = RowGiver(vocabularies, clock)
        self._clock = clock
        self._unasked = Consent(personalization=default, profiling=default, marketing=default)
        with db.read() as connection:
            self._said = {row.user_row: _consent(row) for row in connection.execute(select(_T))}
        self._listeners: tuple[Listener, ...] = ()
        self._refused: dict[str, tuple[tuple[int, int], frozenset[int]]] = {}
        self.version = 0

    def of(self, row: int) -> Consent:
        """What the user of a row agreed to; the default (`updated_at` null) when nothing is stored."""
        return self._said.get(row, self._unasked)

    def allows(self, row: int, purpose: Purpose) -> bool:
        allowed: bool = getattr(self._said.get(row, self._unasked), purpose)
        return allowed

    def refused(self, purpose: Purpose) -> frozenset[int]:
        """Rows of all who do not agree. Kept until a consent changes (default false: or a new user comes)."""
        state, size = self.version, 0 if getattr(self._unasked, purpose) else len(self._users)
        kept = self._refused.get(purpose)
        if kept is not None and kept[0] == (state, size):
            return kept[1]
        said = dict(self._said)
        silent = {row for row in range(size) if row not in said}
        found = frozenset(silent | {row for row, consent in said.items() if not getattr(consent, purpose)})
        self._refused[purpose] = ((state, size), found)
        return found

    def change(
        self, user_id: str, changes: Mapping[Purpose, bool], actor: Actor = _NOBODY, *, make: bool = False
    ) -> Future[Consent]:
        """Says what is in `changes`, the rest stays. NotFound comes by the future for an id that nothing has named;
        with `make` that id gets a row: who refuses before the first visit is not forgotten."""

        said: dict[int, Consent] = {}

        def write(connection: Connection) -> Consent:
            row = self._users.staged_row(user_id)
            if row is None and make:
                row = self._give.users(connection, [user_id])[user_id]
            if row is None:
                raise NotFound(
                    f"no user {user_id!r}: there is no record and no event; put a record or send an event first",
                    code="unknown_user",
                    field="user_id",
                )
            said[row] = self.put_in(connection, row, changes, actor)
            return said[row]

        return self._db.writer.submit(write, after=lambda _: self.show(said))

    def put_in(
        self, connection: Connection, row: int, changes: Mapping[Purpose, bool], actor: Actor = _NOBODY
    ) -> Consent:
        """`change` inside a write of the caller's, who calls `show` after the commit."""
        stored = connection.execute(select(_T).where(_T.c.user_row == row)).first()
        before = self._unasked if stored is None else _consent(stored)
        now = later(self._clock.wall(), None if stored is None else stored.updated_at)
        said = {purpose: changes.get(purpose, getattr(before, purpose)) for purpose in PURPOSES}
        after = Consent(**said, updated_at=moment(now))
        connection.execute(delete(_T).where(_T.c.user_row == row))
        connection.execute(insert(_T).values(user_row=row, **said, updated_at=now, updated_by=actor.who[:128]))
        audit.note(connection, actor, "consent", time=now, user_row=row, before=_told(before), after=_told(after))
        return after

    def merge_in(self, connection: Connection, source: int, target: int, actor: Actor = _NOBODY) -> Consent | None:
        """Two rows turn out to be one person: what either has refused stays refused. None: the source said nothing.

        Inside a write of the caller's, who calls `show({target: consent, source: None})` after the commit.
        """
        stored = connection.execute(select(_T).where(_T.c.user_row == source)).first()
        if stored is None:
            return None
        connection.execute(delete(_T).where(_T.c.user_row == source))
        other = connection.execute(select(_T).where(_T.c.user_row == target)).first()
        both = _consent(stored), _consent(stored if other is None else other)
        agreed: dict[Purpose, bool] = {p: all(getattr(one, p) for one in both) for p in PURPOSES}
        return self.put_in(connection, target, agreed, actor)

    def show(self, said: Mapping[int, Consent | None]) -> None:
        """After a commit, on the writer's thread: what is stored now (None: nothing). Tells the listeners."""
        for row, consent in said.items():
            if consent is None:
                self._said.pop(row, None)
            else:
                self._said[row] = consent
        self.version += 1
        for listener in self._listeners:
            listener(list(said))

    def subscribe(self, listener: Listener) -> None:
        """`listener(rows)` after consents changed, on the writer's thread; it must not wait."""
        self._listeners = (*self._listeners, listener)


def _consent(row: Row[Any]) -> Consent:
    return Consent(
        personalization=row.personalization,
        profiling=row.profiling,
        marketing=row.marketing,
        updated_at=moment(row.updated_at),
    )


def _told(consent: Consent) -> dict[str, Any]:
    told: dict[str, Any] = to_builtins(consent)
    return told
