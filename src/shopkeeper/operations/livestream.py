"""The live stream of the bundled shop: releases the withheld orders when the shop clock passes them.

It does what a till would do: appends each event to the log, a new customer gets a record. The position is kept after
the events are durable; events released twice by a kill in between are duplicates to the log. The shop clock stands
still while the shop is closed: its position is kept too. Hours without an event (nights, holidays) are skipped.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from shopkeeper.core.clock import MINUTE, ReplayClock, SkippingClock
from shopkeeper.core.records import Event, User
from shopkeeper.operations.streaming import LIMIT, LiveState, Stream, registered
from shopkeeper.stores import withheld
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.meta import Meta, set_in
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore

_LOG = logging.getLogger(__name__)
_POSITION_EVERY_US = 2_000_000
_LONGEST_GAP_US = 30 * MINUTE


def shop_clock(meta: Meta, speed: float) -> ReplayClock:
    """The clock of the bundled shop, from where it stood when the shop was closed."""
    position = meta.get("clock.position")
    assert position is not None, "open_retail comes first"
    return ReplayClock(int(position), speed)


class LiveStream(Stream):
    """Releases the withheld events in order, until there are none left."""

    def __init__(
        self, db: Database, log: EventLog, users: UserStore, meta: Meta, clock: SkippingClock, *, speed: float
    ) -> None:
        super().__init__(db, clock, speed=speed)
        self._log = log
        self._users = users
        self._released = int(meta.get("live.released") or 0)
        with db.read() as connection:
            self._total = withheld.count(connection)
        self._kept_at = clock.wall()

    @property
    def state(self) -> LiveState:
        return LiveState(self._released, self._total, self._clock.now(), self._speed)

    def step(self, limit: int = LIMIT) -> int:
        events = self._due(limit)
        if events:
            for user in _newcomers(events):
                if not registered(self._users, user.user_id):
                    self._users.put(user).result()
            self._log.append(events).result()
        else:
            self._skip_closed_hours()
        self._keep(len(events))
        return len(events)

    def _skip_closed_hours(self) -> None:
        with self._db.read() as connection:
            coming = withheld.time_at(connection, self._released)
        if coming is not None and coming - self._clock.now() > _LONGEST_GAP_US:
            self._clock.skip_to(coming - MINUTE)

    def _due(self, limit: int) -> list[Event]:
        if self._released >= self._total:
            return []
        with self._db.read() as connection:
            return withheld.due(connection, position=self._released, until=self._clock.now(), limit=limit)

    def _keep(self, released: int) -> None:
        wall = self._clock.wall()
        if not released and wall - self._kept_at < _POSITION_EVERY_US:
            return
        self._released += released
        self._kept_at = wall
        self._db.writer.submit(self._write_position).result()
        if released and self._released >= self._total:
            _LOG.info("the live stream has released all its %d events", self._total)

    def _write_position(self, connection: Connection) -> None:
        set_in(connection, "live.released", str(self._released))
        set_in(connection, "clock.position", str(self._clock.now()))


def _newcomers(events: list[Event]) -> list[User]:
    """Customers whose first event this is: it carries the country."""
    found = []
    for event in events:
        country = event.context.get("country")
        if country is not None and event.user_id is not None and event.time is not None:
            first_order = event.time.date().isoformat()
            found.append(User(user_id=event.user_id, attributes={"country": country, "first_order": first_order}))
    return found
