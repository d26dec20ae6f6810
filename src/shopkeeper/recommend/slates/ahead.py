"""Slates before they are asked for, while nothing else is to do: those that were asked most often once all had to be
dropped (a start, another model), and the pages of the items that were just shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from shopkeeper.core.records import Record, RecRequest
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.slates.front import Front

_LOGGER = logging.getLogger(__name__)
_PAUSE_S: Final = 0.05
_BUSY: Final = 0.5  # of one core, for others than this
_PAGES_SEEN: Final = 20  # pages that were asked for before any is made ready
_TRIAL: Final = 500  # pages made ready before it is asked whether that helps
_HELPS: Final = 0.02  # of them, to go on
_GIVEN_UP_S: Final = 600.0


class AheadFacts(Record, kw_only=True):
    """`computed` ahead since the start; `used`: of them somebody was given; `waiting` in the queue."""

    computed: int
    used: int
    waiting: int


class Ahead:
    """Used on the loop. `pages`: items of a slate whose pages are made ready, 0: none; `most` requests wait at most."""

    def __init__(
        self, front: Front, *, pages: int = 3, most: int = 1000, idle: Callable[[], bool] | None = None
    ) -> None:
        self._front, self._pages = front, pages
        self._queue: deque[RecRequest] = deque(maxlen=most)
        self._wanted = asyncio.Event()
        self._idle = idle or self._at_rest
        self._running: asyncio.Task[None] | None = None
        self._page: RecRequest | None = None
        self._pages_seen = 0
        self._pages_made = 0
        self._used_before = 0
        self._not_before = 0.0
        self._own_s = 0.0
        self._looked = (time.monotonic(), time.process_time())
        self.computed = 0
        front.shown = self._shown
        front.emptied = self.queue

    def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name="slates ahead")

    async def stop(self) -> None:
        """A second call does nothing."""
        running, self._running = self._running, None
        self._queue.clear()
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    def queue(self, requests: Iterable[RecRequest]) -> None:
        """To be computed when there is time, the first first. Of too many the oldest are forgotten."""
        self._queue.extend(requests)
        if self._queue:
            self._wanted.set()

    def facts(self) -> AheadFacts:
        return AheadFacts(computed=self.computed, used=self._front.used_ahead, waiting=len(self._queue))

    # -- inside

    def _shown(self, request: RecRequest, made: Made) -> None:
        """What was shown somebody looks at next: the page of one of the items, asked for as pages are here."""
        item = request.context.get("item_id")
        if isinstance(item, str):
            if len(request.context) == 1 and request.filters is None:
                self._page, self._pages_seen = request, self._pages_seen + 1
            return
        page = self._page
        if page is None or not self._pages or self._pages_seen < _PAGES_SEEN or not self._helps():
            return
        for shown in made.items[: self._pages]:
            context = {"item_id": shown.item_id}
            self._queue.append(msgspec.structs.replace(page, user_id=request.user_id, context=context))
            self._pages_made += 1
        self._wanted.set()

    def _helps(self) -> bool:
        """Pages that nobody looks at are not made ready: after a trial it rests for a while, and tries again."""
        now = time.monotonic()
        if now < self._not_before:
            return False
        if self._pages_made >= _TRIAL:
            used, self._used_before = self._front.used_ahead - self._used_before, self._front.used_ahead
            helped, self._pages_made = used >= _HELPS * self._pages_made, 0
            if not helped:
                self._not_before = now + _GIVEN_UP_S
            return helped
        return True

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            while self._queue:
                if not self._idle():
                    await asyncio.sleep(_PAUSE_S)
                    continue
                await self._one(self._queue.popleft())
                await asyncio.sleep(0)
            self._wanted.clear()

    async def _one(self, request: RecRequest) -> None:
        began = time.process_time()
        try:
            self.computed += await self._front.ahead(request)
        except Exception:  # an edge: nobody waits for it
            _LOGGER.exception("a slate could not be computed ahead")
        self._own_s += time.process_time() - began

    def _at_rest(self) -> bool:
        """Whether the process has had time of a core left since the last look, its own work here aside."""
        now, cpu = time.monotonic(), time.process_time()
        since, before = self._looked
        if now - since < _PAUSE_S:
            return cpu - before - self._own_s < _BUSY * _PAUSE_S
        used = cpu - before - self._own_s
        self._looked, self._own_s = (now, cpu), 0.0
        return used < _BUSY * (now - since)
