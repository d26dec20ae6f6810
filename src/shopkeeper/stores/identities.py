"""Who is who: anonymous visitors that turned out to be a user, and users that turned out to be one person.

Each change is one transaction: the record of it, the events' rows, attributes, consent, preferences, and the ids, which
mean the other's row from the commit on, for events that wait to be written too.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Row, case, delete, insert, select, update

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Consent, Identified, Identity
from shopkeeper.stores import audit, event_rows, jobs, schema
from shopkeeper.stores.attributes import check_attributes
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.etags import later
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.experiments import move_units
from shopkeeper.stores.preferences import PreferenceStore, merged, stated_in
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary, Vocabularies

_NOBODY = Actor()
_IDS, _MERGES, _USERS = schema.identities.c, schema.merges.c, schema.users.c


@dataclass
class Moved:
    """What was of the user row `source` is of `target`. `events` are all events of both, up to number `seq`, with their
    rows from before. `shown` is done when derived state has taken it; None: nobody follows."""

    source: int
    target: int
    seq: int
    events: EventBatch
    consent: Consent | None
    shown: Future[None] | None = None


class Done(NamedTuple):
    """What a change answers, and what moved (None: nothing)."""

    identity: Identified
    moved: Moved | None


class Audience(Protocol):
    """Who is told of changes, on the writer's thread: that one is begun, that it is durable, that it is over."""

    def begun(self) -> None: ...

    def moved(self, moved: Moved) -> None: ...

    def ended(self) -> None: ...


class IdentityStore:
    """Takes part in the writes before the log does: who follows hears of a change before the events after it."""

    def __init__(
        self, db: Database, vocabularies: Vocabularies, clock: Clock, log: EventLog, consents: ConsentStore
    ) -> None:
        self._db = db
        self._users = vocabularies.users
        self._clock = clock
        self._log = log
        self._consents = consents
        self._preferences = PreferenceStore(db, vocabularies, clock)
        self._give = RowGiver(vocabularies, clock)
        self._staged: list[Moved] = []
        self._audience: Audience | None = None
        db.writer.join(self, first=True)

    def tell(self, audience: Audience) -> None:
        self._audience = audience

    # -- reading

    def get(self, user_id: str) -> Identity:
        """Of a merged id: that of the user it was merged into. Raises NotFound."""
        row = self._users.row(user_id)
        if row is None:
            raise _unknown(user_id, "user_id")
        with self._db.read() as connection:
            found = self._identity(connection, row)
        return Identity(user_id=found.user_id, anonymous_ids=found.anonymous_ids, merged_from=found.merged_from)

    # -- changes

    def bind(self, anonymous_id: str, user_id: str, actor: Actor = _NOBODY) -> Future[Done]:
        """From now on the visitor is this user, with all that it did. A user or visitor that is new here gets known.

        Raises Invalid for an id that cannot be one. Conflict comes by the future: it is another user's visitor.
        """
        check_id(anonymous_id, "anonymous_id")
        check_id(user_id, "user_id")
        return self._db.writer.submit(
            lambda connection: self._bind(connection, anonymous_id, user_id, actor), after=self._show
        )

    def merge(self, from_user_id: str, into_user_id: str, actor: Actor = _NOBODY) -> Future[Done]:
        """Two users are one: all of the first is of the second, and the first's id means the second from now on.

        Raises Invalid for a user with itself. NotFound comes by the future, and Conflict: the first is merged into
        somebody else, or the second is merged into the first.
        """
        if from_user_id == into_user_id:
            raise Invalid(f"{from_user_id!r} is one user already; give two ids", code="same_user", field="into_user_id")
        return self._db.writer.submit(
            lambda connection: self._merge(connection, from_user_id, into_user_id, actor), after=self._show
        )

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        for _ in self._staged[mark:]:
            if self._audience is not None:
                self._audience.ended()
        del self._staged[mark:]

    def publish(self) -> None:
        staged, self._staged = self._staged, []
        audience = self._audience
        if audience is None:
            return
        for moved in staged:
            try:
                audience.moved(moved)
            finally:
                audience.ended()

    # -- inside a write

    def _bind(self, connection: Connection, anonymous_id: str, user_id: str, actor: Actor) -> Done:
        key = UserVocabulary.anonymous_key(anonymous_id)
        known = connection.execute(select(schema.identities).where(_IDS.anonymous_id == anonymous_id)).first()
        target = self._users.staged_row(user_id)
        if known is not None:
            if target is None or known.user_row != target:
                raise Conflict(
                    f"visitor {anonymous_id!r} is bound to another user already; a visitor belongs to one: merge the "
                    "two users if they are the same person",
                    code="bound_to_another",
                    field="anonymous_id",
                )
            return Done(self._identity(connection, target), None)
        if target is None:
            target = self._give.users(connection, [user_id])[user_id]
        _demand_at_rest(connection, target)
        source = self._users.staged_row(key)
        now = self._clock.wall()
        row = {"anonymous_id": anonymous_id, "anonymous_row": source, "user_row": target, "bound_at": now}
        connection.execute(insert(schema.identities), [row])
        audit.note(connection, actor, "identity_bound", time=now, user_row=target, after={"anonymous_id": anonymous_id})
        if source is None:
            self._users.redirects.aim(key, target)
            return Done(self._identity(connection, target), None)
        moved, count = self._move(connection, source, target, actor)
        return Done(self._identity(connection, target, count), moved)

    def _merge(self, connection: Connection, from_user_id: str, into_user_id: str, actor: Actor) -> Done:
        source = self._own_row(connection, from_user_id, "from_user_id")
        into = self._own_row(connection, into_user_id, "into_user_id")
        end, target = final_row(connection, source.row), final_row(connection, into.row)
        if end != source.row:
            if end != target:
                raise Conflict(
                    f"user {from_user_id!r} is merged into {self._id(connection, end)!r} already; merge that one",
                    code="merged_already",
                    field="from_user_id",
                )
            return Done(self._identity(connection, target), None)
        if target == source.row:
            raise Conflict(
                f"user {into_user_id!r} is merged into {from_user_id!r} already; the other way round is a circle",
                code="merge_circle",
                field="into_user_id",
            )
        _demand_at_rest(connection, source.row, target)
        now = self._clock.wall()
        record = {"from_row": source.row, "into_row": target, "merged_at": now, "merged_by": actor.who[:128]}
        connection.execute(insert(schema.merges), [record])
        audit.note(connection, actor, "identity_merged", time=now, user_row=target, after={"user_id": from_user_id})
        _join_records(connection, source, target, now)
        connection.execute(update(schema.identities).where(_IDS.user_row == source.row).values(user_row=target))
        moved, count = self._move(connection, source.row, target, actor)
        others = schema.events.c.other_row
        connection.execute(update(schema.events).where(others == source.row).values(other_row=target))
        return Done(self._identity(connection, target, count), moved)

    def _move(self, connection: Connection, source: int, target: int, actor: Actor) -> tuple[Moved, int]:
        """Everything that is kept by the row of a person; the count of events that moved."""
        if self._audience is not None:
            self._audience.begun()
        moved = Moved(source, target, self._log.head(), EventBatch.empty(), None)
        self._staged.append(moved)  # at once: whatever fails from here on is undone with it
        moved.events = event_rows.read_people(connection, (source, target))
        events = schema.events.c
        count = connection.execute(update(schema.events).where(events.user_row == source).values(user_row=target))
        moved.consent = self._consents.merge_in(connection, source, target, actor)
        self._join_preferences(connection, source, target, actor)
        _close_spans(connection, source, self._clock.now())
        move_units(connection, source, target)
        self._users.redirect(source, target)
        return moved, count.rowcount

    def _join_preferences(self, connection: Connection, source: int, target: int, actor: Actor) -> None:
        other = stated_in(connection, source)
        if not other.fields:
            return
        own = stated_in(connection, target)
        connection.execute(delete(schema.preferences).where(schema.preferences.c.user_row == source))
        self._preferences.merge_in(connection, target, merged(other.fields, own.fields), actor)

    def _show(self, done: Done) -> None:
        moved = done.moved
        if moved is not None and moved.consent is not None:
            self._consents.show({moved.source: None, moved.target: moved.consent})

    def _own_row(self, connection: Connection, user_id: str, field: str) -> Row[Any]:
        """The user's own row, whoever it was merged into."""
        found = connection.execute(select(schema.users).where(_USERS.kind == "user", _USERS.user_id == user_id)).first()
        if found is None:
            raise _unknown(user_id, field)
        return found

    def _identity(self, connection: Connection, row: int, moved_events: int = 0) -> Identified:
        bound = select(_IDS.anonymous_id).where(_IDS.user_row == row).order_by(_IDS.anonymous_id)
        merged_rows = _merged(connection, row)
        return Identified(
            user_id=self._id(connection, row),
            anonymous_ids=list(connection.scalars(bound)),
            merged_from=sorted(self._id(connection, one) for one in merged_rows),
            moved_events=moved_events,
        )

    def _id(self, connection: Connection, row: int) -> str:
        user_id: str = connection.execute(select(_USERS.user_id).where(_USERS.row == row)).scalar_one()
        return user_id


def final_row(connection: Connection, row: int) -> int:
    """The row of the user into whom a row was merged in the end; itself when it was not."""
    while (into := connection.scalar(select(_MERGES.into_row).where(_MERGES.from_row == row))) is not None:
        row = into
    return row


def _merged(connection: Connection, row: int) -> list[int]:
    """Rows that were merged into a row, directly or through others."""
    found: list[int] = []
    before = [row]
    while before:
        before = list(connection.scalars(select(_MERGES.from_row).where(_MERGES.into_row.in_(before))))
        found += before
    return found


def _join_records(connection: Connection, source: Row[Any], target: int, now: int) -> None:
    """The target's attributes win, the source's others are added; the source's own record goes."""
    into = connection.execute(select(schema.users).where(_USERS.row == target)).one()
    if source.listed:
        attributes = {**source.attributes, **into.attributes}
        check_attributes(attributes)
        born = min(source.created_at, into.created_at) if into.listed else source.created_at
        joined = {"attributes": attributes, "listed": True, "created_at": born}
        change = update(schema.users).where(_USERS.row == target)
        connection.execute(change.values(**joined, updated_at=later(now, into.updated_at)))
    gone = {"attributes": {}, "listed": False, "updated_at": later(now, source.updated_at)}
    connection.execute(update(schema.users).where(_USERS.row == source.row).values(**gone))


def _demand_at_rest(connection: Connection, *rows: int) -> None:
    """Who is being erased is joined with nobody: files have been searched for the ids that the person had then."""
    for row in rows:
        if jobs.under_way(connection, jobs.erasing(row)) is not None:
            raise Conflict(
                "the user is being erased; wait for that job to end, an id that comes again is then somebody new",
                code="being_erased",
            )


def _close_spans(connection: Connection, source: int, now: int) -> None:
    spans = schema.segment_spans.c
    left = case((spans.entered_at > now, spans.entered_at), else_=now)
    mine = update(schema.segment_spans).where(spans.user_row == source, spans.left_at.is_(None))
    connection.execute(mine.values(left_at=left))


def _unknown(user_id: str, field: str) -> NotFound:
    return NotFound(
        f"no user {user_id!r}: there is no record and no event; put a record or send an event first",
        code="unknown_user",
        field=field,
    )
