"""How events come in: by the shop's own live source, which can stand still, and by whoever sends them.

What others send comes in whatever is said here. Lives on the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import Conflict, ShopkeeperError
from shopkeeper.operations.streaming import Stream
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.following import Following
from shopkeeper.stores.vocabulary import Vocabularies

_LOG = logging.getLogger(__name__)
_EVERY_S = 1.0


class Intake:
    """`live` None: this shop has no source of its own."""

    def __init__(
        self, live: Stream | None, log: EventLog, following: Following, vocabularies: Vocabularies, clock: Clock
    ) -> None:
        self._live = live
        self._log = log
        self._following = following
        self._vocabularies = vocabularies
        self._clock = clock
        self._started_at: int | None = None
        self._stopped_at: int | None = None

    def open(self) -> None:
        """The shop has started."""
        self._started_at = self._clock.wall()

    def start(self) -> bool:
        """Whether the live source did not run already. Raises Conflict in a shop without one."""
        if self._live is None:
            raise Conflict(
                "this shop has no live source to start; events come in by POST /api/v1/events", code="no_live_source"
            )
        if not self._live.resume():
            return False
        self._started_at, self._stopped_at = self._clock.wall(), None
        return True

    def stop(self) -> bool:
        """Whether it ran. The next start of the shop starts it again."""
        if self._live is None or not self._live.pause():
            return False
        self._stopped_at = self._clock.wall()
        return True

    def state(self) -> dict[str, Any]:
        """The live source and the log behind it; `pending_events` are not in the derived state yet."""
        live, log, known = self._live, self._log, self._vocabularies
        newest = log.recent(limit=1)
        return {
            "running": live is not None and not live.paused and not live.state.ended,
            "pending_events": log.last_seq - self._following.position,
            "cached_users": len(known.users),
            "events": log.last_seq,
            "users": len(known.users),
            "items": len(known.items),
            "last_event_at": newest[0].time if newest else None,
            "started_at": _told(self._started_at),
            "stopped_at": _told(self._stopped_at),
            "shop_time": rfc3339(self._clock.now()),
        }

    async def watch(self, tell: Callable[[int], None]) -> None:
        """Calls `tell(how many)` when events have come, at most once a second, until it is cancelled."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()

        def ring(*_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(came.set)

        unsubscribe = self._log.subscribe(ring)
        seen = self._log.last_seq
        try:
            while True:
                await came.wait()
                came.clear()
                now = self._log.last_seq
                if now > seen:
                    try:
                        tell(now - seen)
                    except ShopkeeperError as error:  # what comes later is told all the same
                        _LOG.warning("%d new events could not be told of: %s", now - seen, error.message)
                    seen = now
                    await asyncio.sleep(_EVERY_S)
        finally:
            unsubscribe()


def _told(us: int | None) -> str | None:
    return None if us is None else rfc3339(us)
