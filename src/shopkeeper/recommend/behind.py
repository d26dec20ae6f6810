"""Writing behind the answers: one task that writes what was noted a moment ago, and rests longer while SQL refuses."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from shopkeeper.core.errors import Overloaded, Unavailable
from shopkeeper.stores.sql import Database

_LOGGER = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 10.0
_BATCH = 200


class WrittenBehind(ABC):
    """On one loop. `gather_s`: seconds in which notes come together; `idle_s`: seconds after which it looks though
    nothing was noted, None: it does not."""

    name: ClassVar[str]
    gather_s: ClassVar[float]
    idle_s: ClassVar[float | None] = None

    def __init__(self) -> None:
        self._noted = asyncio.Event()
        self._ending = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to write what waits. On the loop."""
        self._ending.clear()
        self._running = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Writes what waits, once; the database is open still."""
        running, self._running = self._running, None
        if running is not None:
            self._ending.set()
            self._noted.set()
            await running
        await self._try()

    @abstractmethod
    def _anything(self) -> bool:
        """Is there something to write?"""

    @abstractmethod
    async def _try(self) -> bool:
        """Writes all. Whether SQL took it; what it never will take is given up."""

    async def _run(self) -> None:
        pause_s = self.gather_s
        while not self._ending.is_set():
            if not self._anything():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.idle_s):
                        await self._noted.wait()
            self._noted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._ending.wait()
            pause_s = self.gather_s if await self._try() else min(2 * pause_s, _LONGEST_PAUSE_S)


class OfSomebody(Protocol):
    """A row of SQL about a person, by row; None: nobody known."""

    @property
    def user_row(self) -> int | None: ...


Row = TypeVar("Row", bound=OfSomebody)


class InBatches(WrittenBehind, Generic[Row]):
    """Rows that wait in a list and are written some hundred at a time."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db
        self._pending: list[Row] = []
        self._writing: list[Row] = []

    @property
    def waiting(self) -> int:
        """Slates that are not written yet."""
        return len(self._pending) + len(self._writing)

    def forget(self, row: int) -> None:
        """Of an erased person nothing waits any more."""
        self._pending = [one for one in self._pending if one.user_row != row]
        self._writing = [one for one in self._writing if one.user_row != row]

    @abstractmethod
    def _add(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Inside a write; how many were new."""

    @abstractmethod
    def _count(self, added: int, lost: int, /) -> None:
        """So many were written, so many given up."""

    def _anything(self) -> bool:
        return self.waiting > 0

    async def _try(self) -> bool:
        try:
            while self.waiting:
                if not self._writing:
                    self._writing, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
                added = await asyncio.wrap_future(self._db.writer.submit(partial(self._add, rows=self._writing)))
                self._writing = []
                self._count(added, 0)
                if len(self._pending) < _BATCH and not self._ending.is_set():
                    break  # what came meanwhile is gathered again
        except (Unavailable, Overloaded) as error:
            _LOGGER.warning("%s of %d slates wait to be logged: %s", self.name, self.waiting, error.message)
            return False
        except Exception:  # an edge: what cannot be written must not keep what comes after it from being written
            _LOGGER.exception("%s of %d slates could not be logged", self.name, len(self._writing))
            self._count(0, len(self._writing))
            self._writing = []
        return True
