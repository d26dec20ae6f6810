"""Events: taken on the fast lane, listed newest first, streamed live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response

from shopkeeper.api.door import EVENT_STREAM, Cursor, Doors, Limit, Page, ShopDep, reply
from shopkeeper.api.errors import Malformed
from shopkeeper.api.stream import KEEP_ALIVE_S, Bell, Message, last_event_id, serve
from shopkeeper.core.clock import micros
from shopkeeper.core.records import Accepted, Event, StoredEvent
from shopkeeper.stores.events import EventLog

doors = Doors("Events")
doors.hot(
    "POST", "/api/v1/events", "/api/v1/personalization/events",
    scope="p", summary="Take an event, or a list of 1 to 1000; durable before the answer",
    status=202, body=Event | list[Event], answer=Accepted, errors=(429,),
)  # fmt: skip

_SLICE = 200
_BEHIND = 2000  # a reader that is further behind than this gets a gap instead of old news
_Id = Annotated[str | None, Query(min_length=1, max_length=128)]
_Number = Annotated[int | None, Query(ge=0, le=2**62)]


@doors.add("GET", "/api/v1/events", "/api/v1/personalization/events", scope="r", answer=Page[StoredEvent])
async def list_events(
    shop: ShopDep,
    user_id: _Id = None,
    item_id: _Id = None,
    event_type: Annotated[str | None, Query(max_length=64)] = None,
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: datetime | None = None,
    after_seq: _Number = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Events, newest first."""
    before = None if cursor is None else _sequence(cursor)
    found = await asyncio.to_thread(
        shop.log.recent,
        user_id,
        item_id,
        event_type,
        None if from_ is None else micros(from_),
        None if to is None else micros(to),
        after_seq,
        before,
        limit + 1,
    )
    more = len(found) > limit
    return reply(Page(found[:limit], str(found[limit - 1].seq) if more else None))


@doors.add("GET", "/api/v1/events/stream", scope="r", answer=EVENT_STREAM)
async def stream_events(request: Request, shop: ShopDep) -> Response:
    """Events as they come (SSE), resumed by Last-Event-ID."""
    after = last_event_id(request)
    start = shop.log.last_seq if after is None else min(after, shop.log.last_seq)
    return serve(_live(shop.log, start, Bell(request.app.state.closing)))


async def _live(log: EventLog, after: int, bell: Bell) -> AsyncIterator[Message | None]:
    read = _reader(log, after)
    unsubscribe = log.subscribe(bell.ring)
    try:
        while not bell.closing.is_set():
            found = await asyncio.to_thread(read)
            for message in found:
                yield message
            if not found and not await bell.wait(KEEP_ALIVE_S):
                yield None
    finally:
        unsubscribe()


def _reader(log: EventLog, after: int) -> Callable[[], list[Message]]:
    """The next events after the last number that was read; a gap first when the reader fell far behind."""

    def read() -> list[Message]:
        nonlocal after
        last = log.last_seq
        found = []
        if last - after > _BEHIND:
            found.append(Message({"from": after + 1, "to": last - _SLICE}, "gap", last - _SLICE))
            after = last - _SLICE
        events: list[StoredEvent] = []
        while last > after and not events:  # a whole slice may be of erased events
            events = log.recent(after_seq=after, before_seq=after + _SLICE + 1, limit=_SLICE)
            after = events[0].seq if events else min(last, after + _SLICE)
        return found + [Message(event, "event", event.seq) for event in reversed(events)]

    return read


def _sequence(cursor: str) -> int:
    if not cursor.isdecimal() or not cursor.isascii() or len(cursor) > 18:
        raise Malformed("the cursor is not one that this list gave out", code="bad_cursor")
    return int(cursor)
