"""What every live stream of a shop does: steps until it is told to end, rests after an error, stands still when asked.

A stream follows the shop clock and appends what has happened by then to the log. While it is paused the shop clock
stands still too, so that nothing piles up; the clock's position is kept, so it stands still while the shop is closed.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from shopkeeper.core.clock import SkippingClock
from shopkeeper.core.errors import NotFound, Overloaded, ShopkeeperError
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore

_LOG = logging.getLogger(__name__)
LIMIT = 500  # events a step, so that a clock that ran ahead is caught up with in bounded pieces
_TICK_S = 0.5
_REST_S = 5.0


@dataclass(frozen=True)
class LiveState:
    """`released` events are in the log, of `total` (None: it has no end); the shop's present in microseconds."""

    released: int
    total: int | None
    now: int
    speed: float

    @property
    def ended(self) -> bool:
        return self.total is not None and self.released >= self.total


class Stream(ABC):
    """One per process. `step` from one thread or task at a time; never on the writer's thread. `pause` and `resume`
    belong to the loop on which it runs.

    `problem` says why the stream rests: the last step's error, None when it went well.
    """

    def __init__(self, db: Database, clock: SkippingClock, *, speed: float) -> None:
        """`speed`: shop seconds a second."""
        self._db = db
        self._clock = clock
        self._speed = speed
        self._going = asyncio.Event()
        self._going.set()
        self.running = False
        self.problem: str | None = None

    @property
    @abstractmethod
    def state(self) -> LiveState: ...

    @abstractmethod
    def step(self, limit: int = LIMIT) -> int:
        """Releases what is due, at most `limit` events. Returns how many; waits until they are durable."""

    @abstractmethod
    def _write_position(self, connection: Connection) -> None:
        """Writes down what is released and where the shop clock stands."""

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def pause(self) -> bool:
        """Releases nothing more, and stops the shop clock, until `resume`. False: it was paused already."""
        if self.paused:
            return False
        self._going.clear()
        self._clock.pace(0.0)
        return True

    def resume(self) -> bool:
        """Goes on where it was paused. False: it was not paused."""
        if not self.paused:
            return False
        self._clock.pace(self._speed)
        self._going.set()
        return True

    async def run(self, tick_s: float = _TICK_S, rest_s: float = _REST_S) -> None:
        """Steps until cancelled. A full write queue is waited for; after any other error it rests and tries again."""
        self.running = True
        try:
            while True:
                await self._going.wait()
                released = await self._try()
                if self.problem is not None:
                    await asyncio.sleep(rest_s)
                elif released < LIMIT:
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


def registered(users: UserStore, user_id: str) -> bool:
    """There is a record of that id, which may say more than a stream knows."""
    try:
        users.get(user_id)
    except NotFound:
        return False
    return True
