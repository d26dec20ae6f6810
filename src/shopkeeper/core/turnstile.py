"""Lets callers in one by one, and holds those who come while what is behind it is being changed for another."""

from __future__ import annotations

import asyncio

from shopkeeper.core.errors import Unavailable

HOLD_S = 60.0


class Turnstile:
    """`enter` and `leave` on one loop; `close` from any thread. Whoever is in when it closes may finish."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._inside = 0
        self.closed = False

    @property
    def inside(self) -> int:
        return self._inside

    def enter(self) -> None:
        """Only while it is not `closed`: see `wait`."""
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    async def wait(self, hold_s: float = HOLD_S) -> None:
        """Returns when it is open. Raises Unavailable when that takes too long."""
        try:
            async with asyncio.timeout(hold_s):
                while self.closed:
                    await self._opened.wait()
        except TimeoutError:
            raise Unavailable(
                "the shop's data is being changed for other; try again in a moment", code="changing"
            ) from None

    def close(self) -> None:
        self._opened.clear()
        self.closed = True

    def open(self) -> None:
        self.closed = False
        self._opened.set()

    async def empty(self, patience_s: float) -> bool:
        """Whether everybody has left; waits for them, but not longer than that."""
        self._empty.clear()
        if self._inside:
            try:
                await asyncio.wait_for(self._empty.wait(), patience_s)
            except TimeoutError:
                return False
        return True
