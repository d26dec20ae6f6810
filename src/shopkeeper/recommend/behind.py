"""Writing behind the answers: one task that writes what was noted a moment ago, and rests longer while SQL refuses."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar

_LONGEST_PAUSE_S = 10.0


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
