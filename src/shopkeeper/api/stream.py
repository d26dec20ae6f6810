"""Server-sent events: numbered messages, resumed by Last-Event-ID, a comment every 15 s so that proxies stay awake.

A source is anything that has messages after a number and can wake a waiter. Live and resumed reading are one path:
the stream remembers the last number sent and reads on from there, so it can neither miss nor repeat one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from shopkeeper.api.errors import Malformed

KEEP_ALIVE_S = 15.0
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass(frozen=True, slots=True)
class Message:
    """`event` None: no name, old clients listen to `message`. `id` None: nothing to resume from."""

    data: Any
    event: str | None = None
    id: int | None = None

    def encode(self) -> bytes:
        lines = []
        if self.id is not None:
            lines.append(b"id: %d" % self.id)
        if self.event is not None:
            lines.append(b"event: " + self.event.encode())
        lines.append(b"data: " + msgspec.json.encode(self.data))
        return b"\n".join(lines) + b"\n\n"


class Bell:
    """Wakes waiters on the loop; `ring` may be called from any thread. The closing of the server rings it too."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self.closing = closing

    def ring(self, *_: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout_s: float) -> bool:
        """True when it was rung, False when time is over or the server closes."""
        rung = asyncio.ensure_future(self._rung.wait())
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({rung, closing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
            closing.cancel()
        was = self._rung.is_set()
        self._rung.clear()
        return was


def last_event_id(request: Request) -> int | None:
    """The number after which the client wants to go on. Raises Malformed."""
    given = request.headers.get("last-event-id")
    if given is None:
        return None
    if not given.isdecimal() or not given.isascii() or len(given) > 18:
        raise Malformed("Last-Event-ID must be the number of a message", code="bad_last_event_id")
    return int(given)


def serve(messages: AsyncIterator[Message | None]) -> StreamingResponse:
    """Messages as an event stream; None is a keep-alive."""
    return StreamingResponse(_lines(messages), media_type="text/event-stream", headers=_HEADERS)


async def _lines(messages: AsyncIterator[Message | None]) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for message in messages:
        yield b": keep-alive\n\n" if message is None else message.encode()
