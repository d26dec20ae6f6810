"""Lets callers in one by one, and holds those who come while what is behind it is being changed for another."""

from __future__ import annotations

import asyncio
from types import TracebackType

from shopkeeper.core.errors import Unavailable

HOLD_S = 60.0


class Turnstile:
    """`inside` and `empty` on one loop, `close` on any thread. Whoever is in when it closes may finish."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._left = asyncio.Event()
        self._count = 0
        self._why = ""
        self.closed = False

    def inside(self) -> Turnstile:
        """`with` it for as long as somebody is in. Comes after a look at `closed`: see `wait`."""
        return self

    # Not a generator: every request passes here, and this costs a fifth of one.

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._count -= 1
        self._left.set()

    async def wait(self, hold_s: float = HOLD_S) -> None:
        """Returns when it is open. Raises Unavailable when that takes too long, or will never be."""
        try:
            async with asyncio.timeout(hold_s):
                while self.closed:
                    if self._why:
                        raise Unavailable(self._why, code="changing")
                    await self._opened.wait()
        except TimeoutError:
            raise Unavailable(
                "the shop's data is being changed for other; try again in a moment", code="changing"
            ) from None

    def close(self) -> None:
        self._opened.clear()
        self.closed = True

    def give_up(self, why: str) -> None:
        """It stays closed: who waits and who comes is told why."""
        self._why = why
        self._opened.set()

    def open(self) -> None:
        self.closed = False
        self._opened.set()

    async def empty(self, patience_s: float) -> bool:
        """Whether everybody has left; waits for them, but not longer than that."""
        try:
            async with asyncio.timeout(patience_s):
                while self._count:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return False
        return True
