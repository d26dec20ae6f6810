"""The incremental loop: a few milliseconds of work a turn, and a look around when there is time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Busy, Conflict, ShopkeeperError
from shopkeeper.profiles.graph.answers import LoopState
from shopkeeper.profiles.graph.drift import Watch
from shopkeeper.profiles.graph.spaces import Spaces

_LOGGER = logging.getLogger(__name__)
_TURN_S = 0.005
"""Seconds that a turn of the loop may take, a step more at most."""
_LOOK_S = 10.0
"""Seconds between looks around while there is always work."""


class Loop:
    """`take_up`: records and consents that changed, true while there was something. `outdated`: whether all is to be
    embedded for a newer version; `embed(why)` has it done, from a thread. `idle_s`: how often it looks around when no
    event comes."""

    def __init__(
        self,
        spaces: Spaces,
        watch: Watch,
        clock: Clock,
        *,
        take_up: Callable[[], bool],
        outdated: Callable[[], bool],
        embed: Callable[[str], object],
        idle_s: float,
    ) -> None:
        self._spaces = spaces
        self._watch = watch
        self._clock = clock
        self._take_up = take_up
        self._outdated = outdated
        self._embed = embed
        self._idle_s = idle_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._running = True
        self._begins = False
        self._started_at: int | None = None
        self._stopped_at: int | None = None
        self._last_batch_at: int | None = None
        self._batches = self._events = self._waiting = 0
        self.alive = False
        """Whether somebody turns it."""

    def attach(self) -> None:
        """On the thread of the loop. What was heard before is past."""
        self._loop = asyncio.get_running_loop()
        self._started_at = self._clock.wall()
        self._waiting = 0
        self._watch.reset()

    def detach(self) -> None:
        self._loop = None

    def heard(self, events: int) -> None:
        """So many more events are in the graph."""
        self._waiting += events
        self._watch.heard(events)

    def wake(self) -> None:
        """On the thread of the loop."""
        self._wake.set()

    def call(self, act: Callable[[], None]) -> bool:
        """On the thread of the loop, from any thread. False: nobody is there."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return False
        loop.call_soon_threadsafe(act)
        return True

    # -- paused and going on

    @property
    def running(self) -> bool:
        return self._running

    def start(self) -> bool:
        """It goes on. False: it did already."""
        if self._running:
            return False
        self._running, self._started_at = True, self._clock.wall()
        self._wake.set()
        return True

    def stop(self) -> bool:
        """It pauses: events, records and consents are taken into the graph, vectors wait. False: it did already."""
        if not self._running:
            return False
        self._running, self._stopped_at = False, self._clock.wall()
        return True

    def state(self) -> LoopState:
        living = self._spaces.living
        return LoopState(
            running=self._running and self._loop is not None,
            started_at=None if self._started_at is None else moment(self._started_at),
            stopped_at=None if self._stopped_at is None else moment(self._stopped_at),
            processed_batches=self._batches,
            processed_events=self._events,
            last_batch_at=None if self._last_batch_at is None else moment(self._last_batch_at),
            pending=0 if living is None else living.engine.pending,
            drift=self._watch.drift_of(living),
        )

    # -- turning

    async def run(self, *, begins: bool) -> None:
        """Until it is cancelled. `begins`: computations of all vectors, when they are due."""
        self.alive, self._begins = True, begins
        try:
            await self._live()
        finally:
            self.alive = False
            self._spaces.switch()  # who waits for the next should not wait for nobody

    async def _live(self) -> None:
        look_at = 0.0
        while True:
            more = self._turned()
            if more and time.monotonic() < look_at:
                await asyncio.sleep(0)
                continue
            await self._look_around()
            look_at = time.monotonic() + _LOOK_S
            if more:
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle_s):
                    await self._wake.wait()

    def _turned(self) -> bool:
        try:
            return self._turn()
        except ShopkeeperError as error:  # the database does not answer: the next turn tries again
            _LOGGER.error("the vectors of the graph stand still: %s", error.message)
        except Exception:  # an edge: whatever one node does must not end the loop
            _LOGGER.exception("the vectors of the graph stand still")
        return False

    def _turn(self) -> bool:
        """A few milliseconds of work. False: nothing waits."""
        worked = self._take_up()
        if not self._running:
            return self._spaces.bring_up() or worked  # who has asked for a new space waits for it
        living, until = self._spaces.living, time.monotonic() + _TURN_S
        if living is not None:
            stepped = False
            while time.monotonic() < until and living.engine.step():
                stepped = True
            if stepped:
                living.as_of = self._clock.wall()
            worked |= stepped
        if self._waiting:
            self._batches += 1
            self._events += self._waiting
            self._waiting = 0
            self._last_batch_at = self._clock.wall()
        return self._spaces.bring_up() or worked

    async def _look_around(self) -> None:
        """Is something to be written, has the space drifted, is there a newer version?"""
        try:
            if self._spaces.dirty and (space := self._spaces.snapshot()) is not None:
                self._spaces.dirty = False
                await asyncio.to_thread(self._spaces.write, space)
            if not self._running or not self._begins:
                return
            due = self._watch.due(self._spaces.living)
            if due or self._outdated():
                await asyncio.to_thread(self._have_embedded, "drift" if due else "release")
        except Exception:  # an edge: a full disk, a queue that is full; the next look tries again
            _LOGGER.exception("the graph's space is not looked after")

    def _have_embedded(self, why: str) -> None:
        try:
            self._embed(why)
        except (Busy, Conflict):
            return
