"""The live stream of the bundled shop: releases the withheld orders when the shop clock passes them.

It does what a till would do: appends each event to the log, a new customer gets a record. The position is kept after
the events are durable; events released twice by a kill in between are duplicates to the log. The shop clock stands
still while the shop is closed: its position is kept too. Hours without an event (nights, holidays) are skipped.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from shopkeeper.core.clock import MINUTE, ReplayClock, SkippingClock
from shopkeeper.core.errors import NotFound, Overloaded, ShopkeeperError
from shopkeeper.core.records import Event, User
from shopkeeper.stores import withheld
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.meta import Meta, set_in
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore

_LOG = logging.getLogger(__name__)
_LIMIT = 500  # events a step, so that a clock that ran ahead is caught up with in bounded pieces
_TICK_S = 0.5
_REST_S = 5.0
_POSITION_EVERY_US = 2_000_000
_LONGEST_GAP_US = 30 * MINUTE


@dataclass(frozen=True)
class LiveState:
    """`released` of `total` events are in the log; the shop's present in microseconds."""

    released: int
    total: int
    now: int
    speed: float

    @property
    def ended(self) -> bool:
        return self.released >= self.total


def shop_clock(meta: Meta, speed: float) -> ReplayClock:
    """The clock of the bundled shop, from where it stood when the shop was closed."""
    position = meta.get("clock.position")
    assert position is not None, "open_retail comes first"
    return ReplayClock(int(position), speed)


class LiveStream:
    """One per process. `step` from one thread or task at a time; never on the writer's thread.

    `problem` says why the stream rests: the last step's error, None when it went well.
    """

    def __init__(
        self, db: Database, log: EventLog, users: UserStore, meta: Meta, clock: SkippingClock, *, speed: float
    ) -> None:
        self._db = db
        self._log = log
        self._users = users
        self._clock = clock
        self._speed = speed
        self._released = int(meta.get("live.released") or 0)
        with db.read() as connection:
            self._total = withheld.count(connection)
        self._kept_at = clock.wall()
        self.running = False
        self.problem: str | None = None

    @property
    def state(self) -> LiveState:
        return LiveState(self._released, self._total, self._clock.now(), self._speed)

    def step(self, limit: int = _LIMIT) -> int:
        """Releases what is due, at most `limit` events. Returns how many; waits until they are durable."""
        events = self._due(limit)
        if events:
            for user in _newcomers(events):
                if not self._registered(user.user_id):
                    self._users.put(user).result()
            self._log.append(events).result()
        else:
            self._skip_closed_hours()
        self._keep(len(events))
        return len(events)

    async def run(self, tick_s: float = _TICK_S, rest_s: float = _REST_S) -> None:
        """Steps until cancelled. A full write queue is waited for; after any other error it rests and tries again."""
        self.running = True
        try:
            while True:
                released = await self._try()
                if self.problem is not None:
                    await asyncio.sleep(rest_s)
                elif released < _LIMIT:
                    await asyncio.sleep(tick_s)
        except Exception:
            _LOG.exception("the live stream has ended")
            raise
        finally:
            self.running = False
            with suppress(ShopkeeperError):  # the database is closed or broken: the next start repeats a few seconds
                self.keep_position()

    async def _try(self) -> int:
        try:
            released = await asyncio.to_thread(self.step)
        except Overloaded:
            return 0
        except ShopkeeperError as error:
            if self.problem != error.message:
                _LOG.warning("the live stream rests: %s", error.message)
            self.problem = error.message
            return 0
        self.problem = None
        return released

    def keep_position(self) -> None:
        """Writes down where the shop clock stands, for the next start."""
        self._db.writer.submit(self._write_position)

    def _skip_closed_hours(self) -> None:
        with self._db.read() as connection:
            coming = withheld.time_at(connection, self._released)
        if coming is not None and coming - self._clock.now() > _LONGEST_GAP_US:
            self._clock.skip_to(coming - MINUTE)

    def _registered(self, user_id: str) -> bool:
        try:
            self._users.get(user_id)
        except NotFound:
            return False
        return True

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
