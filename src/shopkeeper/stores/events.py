"""The event log: append-only, numbered without gaps, each event id once, durable before it is acknowledged.

SQL is the log. Followers (`following.py`) read it by number; live ones are told of each commit.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from sqlalchemy import Connection, func, select

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Overloaded, ShopkeeperError
from shopkeeper.core.records import Event, StoredEvent
from shopkeeper.stores import event_rows, schema
from shopkeeper.stores.appending import Appended, Entry, EventRow, Group, bulk_row, numbered
from shopkeeper.stores.event_check import validate_event
from shopkeeper.stores.event_rows import StoredRow
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies
from shopkeeper.stores.writer import Outcome
from shopkeeper.telemetry import metrics

__all__ = ["Appended", "EventLog", "EventRow", "validate_event"]

Listener: TypeAlias = Callable[[EventBatch, list[StoredEvent] | None], None]
_WAITING_LISTS = 10_000


class EventLog:
    """One per process and database."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._vocabularies = vocabularies
        self._clock = clock
        self._rows = RowGiver(vocabularies, clock)
        self._lock = threading.Lock()
        self._open: Group | None = None
        self._staged: list[tuple[EventBatch, list[StoredEvent] | None]] = []
        self._listeners: list[Listener] = []
        self._last_seq = self._stored_last()
        db.writer.join(self)

    # -- writing

    def append(self, events: list[Event]) -> Future[Appended]:
        """Checks and appends a list; a bad event is rejected alone. Done when the rest is durable.

        Raises Overloaded when too much waits, Unavailable when the shop closes.
        """
        entry = Entry(events, self._clock)
        if entry.rejected:
            metrics.events_rejected_total.inc(len(entry.rejected))
        if not entry.events:
            entry.future.set_result(entry.answer([], 0))
            return entry.future
        with self._lock:
            group = self._open
            if group is not None:
                if len(group.entries) >= _WAITING_LISTS:
                    raise Overloaded(f"{_WAITING_LISTS} lists of events wait already; try again in a second")
                group.entries.append(entry)
                return entry.future
            group = self._open = Group(entry)
        self._submit(group)
        return entry.future

    def append_columns(self, rows: Sequence[EventRow]) -> Future[Appended]:
        """Appends many checked rows in one transaction; rows whose event id is known are counted as duplicates."""
        return self._db.writer.submit(lambda connection: self.insert_rows(connection, rows))

    def insert_rows(self, connection: Connection, rows: Sequence[EventRow]) -> Appended:
        """`append_columns` inside a write of the caller's: committed, or undone, together with the rest of it."""
        stored = self._with_rows(connection, rows)
        first = self._next_seq()
        new = event_rows.insert_new(connection, stored, first)
        if not new:
            return Appended(accepted=0, duplicates=len(rows))
        inserted = stored if len(new) == len(stored) else [stored[at] for at in new]
        self._staged.append((event_rows.as_columns(inserted, first), None))
        return Appended(
            accepted=len(new), duplicates=len(rows) - len(new), first_seq=first, last_seq=first + len(new) - 1
        )

    def head(self) -> int:
        """Inside a write, on the writer's thread: the newest number that this transaction holds, 0: none."""
        return self._next_seq() - 1

    # -- reading

    @property
    def last_seq(self) -> int:
        """The newest number; 0 for an empty log."""
        return self._stored_last() if self._db.read_only else self._last_seq

    def count(self) -> int:
        """Events in the log."""
        return self.last_seq

    def read(self, after_seq: int = 0, limit: int = 200_000) -> EventBatch:
        """Events after a number in log order, at most `limit`; empty at the end."""
        with self._db.read() as connection:
            return event_rows.read_columns(connection, after_seq, limit)

    def recent(
        self,
        user_id: str | None = None,
        item_id: str | None = None,
        event_type: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        after_seq: int | None = None,
        before_seq: int | None = None,
        limit: int = 50,
    ) -> list[StoredEvent]:
        """Newest first. `from_` is inclusive, `to` exclusive, both microseconds; the numbers are exclusive."""
        c = schema.events.c
        query = event_rows.all_fields().order_by(c.seq.desc()).limit(limit)
        names = self._vocabularies
        for column, vocabulary, wanted in (
            (c.user_row, names.users, user_id),
            (c.item_row, names.items, item_id),
            (c.type_row, names.event_types, event_type),
        ):
            if wanted is not None:
                row = vocabulary.row(wanted)
                if row is None:
                    return []
                query = query.where(column == row)
        for column, compare, bound in (
            (c.time, operator.ge, from_),
            (c.time, operator.lt, to),
            (c.seq, operator.gt, after_seq),
            (c.seq, operator.lt, before_seq),
        ):
            if bound is not None:
                query = query.where(compare(column, bound))
        with self._db.read() as connection:
            return [event_rows.stored_event(row, names) for row in connection.execute(query)]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener(batch, events)` after each commit on the writer's thread, in log order without gaps.

        `events` is None for bulk appends. The listener must not wait. Returns what ends it.
        """
        self._listeners = [*self._listeners, listener]

        def unsubscribe() -> None:
            self._listeners = [other for other in self._listeners if other is not listener]

        return unsubscribe

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        del self._staged[mark:]

    def publish(self) -> None:
        staged, self._staged = self._staged, []
        for batch, events in staged:
            self._last_seq = int(batch.seq[-1])
            metrics.events_accepted_total.inc(len(batch))
            for listener in self._listeners:
                with Outcome() as outcome:
                    listener(batch, events)
                outcome.log("a listener of the event log failed")

    # -- inside

    def _submit(self, group: Group) -> None:
        try:
            future = self._db.writer.submit(lambda connection: self._write(connection, group), after=group.settle)
        except ShopkeeperError as error:
            self._close(group)
            group.fail(error)
            raise
        future.add_done_callback(lambda written: self._written(group, written))

    def _close(self, group: Group) -> None:
        """Whoever comes from now on belongs to the next group."""
        with self._lock:
            if self._open is group:
                self._open = None

    def _written(self, group: Group, future: Future[list[tuple[list[bool], int]]]) -> None:
        error = future.exception()
        if error is not None:
            self._close(group)  # its transaction may have ended before `_write` was reached
            group.fail(error)  # `settle` was never reached, so every list still waits

    def _write(self, connection: Connection, group: Group) -> list[tuple[list[bool], int]]:
        """Inserts all lists of a group at once. Returns for each list which events are new, and its first number."""
        self._close(group)
        events = [event for entry in group.entries for event in entry.events]
        stored = self._with_rows(connection, [bulk_row(event) for event in events])
        first = self._next_seq()
        new = event_rows.insert_new(connection, stored, first)
        if new:
            self._stage([events[at] for at in new], [stored[at] for at in new], first)
        return group.shares(new, first)

    def _stage(self, events: list[Event], rows: list[StoredRow], first: int) -> None:
        live = [numbered(event, seq) for seq, event in enumerate(events, first)] if self._listeners else None
        self._staged.append((event_rows.as_columns(rows, first), live))

    def _with_rows(self, connection: Connection, events: Sequence[EventRow]) -> list[StoredRow]:
        """Replaces ids by rows, making the rows that are missing."""
        give = self._rows
        received = self._clock.wall()
        others = [e[5] for e in events if e[4] == "user"]
        users = give.users(connection, dict.fromkeys([e[1] for e in events if e[1] is not None] + others))
        lone = [e[2] for e in events if e[2] is not None and e[1] is None]
        visitors = give.visitors(connection, dict.fromkeys(lone)) if lone else {}
        kinds: dict[str, str] = {}
        for e in events:
            if e[4] != "user":
                kinds.setdefault(e[5], e[4])
        items = give.items(connection, kinds)
        types = give.event_types(connection, dict.fromkeys(e[3] for e in events))
        stores = give.stores(connection, dict.fromkeys(e[6] for e in events if e[6] is not None))
        return [
            (
                id,
                users[user] if user is not None else (None if visitor is None else visitors[visitor]),
                visitor,
                types[type],
                kind,
                None if kind == "user" else items[target],
                users[target] if kind == "user" else None,
                None if store is None else stores[store],
                *rest,
                received,
            )
            for id, user, visitor, type, kind, target, store, *rest in events
        ]

    def _next_seq(self) -> int:
        return (int(self._staged[-1][0].seq[-1]) if self._staged else self._last_seq) + 1

    def _stored_last(self) -> int:
        with self._db.read() as connection:
            return connection.execute(select(func.max(schema.events.c.seq))).scalar() or 0
