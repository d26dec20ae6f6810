"""Events as they come in: one or a list, durable before the answer."""

from __future__ import annotations

import asyncio

from shopkeeper.api.many import parse
from shopkeeper.core.records import Accepted, Event
from shopkeeper.stores.events import EventLog


async def take(log: EventLog, body: bytes) -> Accepted:
    """Raises Malformed when the body is neither an event nor a list of 1 to 1000, Overloaded, Unavailable."""
    found = parse(body, Event, one=True)
    if not found.records:
        return Accepted(accepted=0, duplicates=0, rejected=found.rejected)
    done = await asyncio.wrap_future(log.append(found.records))
    rejected = found.with_rejected(done.rejected)
    return Accepted(accepted=done.accepted, duplicates=done.duplicates, rejected=rejected)
