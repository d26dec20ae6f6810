"""Writing down who enters and leaves: spans, and in the same transaction what webhooks shall hear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.profiles.members import Members, News
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.spans import Change, SpanStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.stores.webhooks import Announcement

Announce: TypeAlias = Callable[[Connection, Sequence[Announcement]], int]
Inside: TypeAlias = dict[int, tuple[bool, int, bool]]
"""User row -> (inside, since, news)."""

_REST_S = 2.0
"""Between two tries to make up for writes that failed."""


class Stays:
    """What cannot be written (a full queue, a full disk) is made up for later, by `resolve`."""

    def __init__(self, db: Database, users: UserVocabulary, consents: ConsentStore | None) -> None:
        self._db = db
        self._users = users
        self._consents = consents
        self.spans = SpanStore(db)
        self._announce: Announce | None = None
        self._wake: Callable[[], None] = lambda: None
        self._lost = threading.Event()  # SQL lacks changes
        self._resolved_at = 0.0

    def tell(self, announce: Announce, wake: Callable[[], None]) -> None:
        """Who hears of changes: `announce` within the write, `wake` after its commit."""
        self._announce, self._wake = announce, wake

    def write(self, changes: Sequence[News]) -> None:
        """In the background, in the order of the calls."""
        if not changes:
            return
        told = self._announcements(changes)
        self._submit(lambda connection: self._write(connection, [change for change, _ in changes], told))

    @property
    def incomplete(self) -> bool:
        """A write failed, and it is time to `resolve`."""
        return self._lost.is_set() and time.monotonic() >= self._resolved_at + _REST_S

    def resolve(self, segments: Mapping[str, Members], now: int) -> None:
        """Makes the stored spans those that are known, behind all writes that wait already."""
        stored = self.spans.open()
        self._resolved_at = time.monotonic()
        self._lost.clear()
        wanted = {name: _standing(members, stored.get(name)) for name, members in segments.items()}

        def write(connection: Connection) -> None:
            changes = self._differences(connection, wanted, now)
            self._write(connection, [change for change, _ in changes], self._announcements(changes))

        self._submit(write)

    def _differences(self, connection: Connection, wanted: Mapping[str, Inside], now: int) -> list[News]:
        changes: list[News] = []
        stored = self.spans.open_in(connection)
        for name in wanted.keys() | stored.keys():
            rows, times = stored.get(name, ((), ()))
            there = dict(zip(map(int, rows), map(int, times), strict=True))
            known = wanted.get(name, {})
            for row, entered in there.items():
                inside, since, news = known.get(row, (False, now, False))
                if not inside or since != entered:
                    changes.append((Change(name, row, False, max(since, entered)), news))
            for row, (inside, since, news) in known.items():
                if inside and there.get(row) != since:
                    changes.append((Change(name, row, True, since), news))
        return changes

    def _announcements(self, changes: Sequence[News]) -> list[Announcement]:
        """Nobody hears of who refuses marketing."""
        if self._announce is None:
            return []
        return [
            Announcement(
                "segment.entered" if change.entered else "segment.left",
                change.segment,
                change.user_row,
                self._users.id(change.user_row),
                change.time,
            )
            for change, is_news in changes
            if is_news and (self._consents is None or self._consents.allows(change.user_row, "marketing"))
        ]

    def _write(self, connection: Connection, changes: Sequence[Change], told: Sequence[Announcement]) -> None:
        self.spans.write(connection, changes)
        if told and self._announce is not None:
            self._announce(connection, told)

    def _submit(self, write: Callable[[Connection], None]) -> None:
        try:
            self._db.writer.submit(write, after=lambda _: self._wake()).add_done_callback(self._written)
        except ShopkeeperError:  # the queue is full
            self._lost.set()

    def _written(self, done: Future[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._lost.set()


def _standing(members: Members, stored: tuple[np.ndarray, np.ndarray] | None) -> Inside:
    """Of who is inside, and of who was by the stored spans."""
    rows = np.flatnonzero(members.inside)
    if stored is not None:
        rows = np.union1d(rows, stored[0][stored[0] < len(members.inside)])
    columns = members.inside[rows], members.since[rows], ~members.quiet[rows]
    return dict(zip(rows.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))
