"""Followers of the log: whatever keeps derived state catches up from its last number, then follows live.

following = Following(log, [features, panel])
following.catch_up()              # at start, or in a command without a server
following.attach(loop)            # on the loop's thread: from now on live, without a gap and without a repeat
following.at(change)              # what changes the log's rows has its place among the events
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Conflict, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import Follower
from shopkeeper.core.records import StoredEvent
from shopkeeper.stores.events import EventLog
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
_BULK = 200_000  # events a slice while nobody waits
_LIVE = 5_000  # events a turn of the loop, so that requests are answered in between
_INBOX = 500_000  # events that wait; beyond that only the log holds them, and they are read from there
_RETRY_S = 1.0
_CHANGE_S = 30.0


@dataclass(frozen=True)
class Change:
    """In one transaction the events numbered `moved` (n,), all up to `seq`, came to name another user than `source`.

    `act` does to derived state what that means: once, on the followers' thread, when it holds the events up to `seq`,
    with the rows from before the change, and none beyond.
    """

    seq: int
    source: int
    moved: NDArray[np.int64]
    act: Callable[[], None]


class Following:
    """One thread at a time: the caller's until `attach`, the loop's from then on.

    `broken` maps the name of a follower that failed to its error. It gets nothing more (its state would be wrong); the
    others go on.
    """

    def __init__(self, log: EventLog, followers: Sequence[Follower], *, inbox: int = _INBOX) -> None:
        self._log = log
        self._room = inbox
        self._followers = list(followers)
        self._position = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._detach: Callable[[], None] | None = None
        self._inbox: deque[tuple[EventBatch, float]] = deque()
        self._held = 0  # events in the inbox
        self._newest = 0  # the number of the last committed event that was heard of
        self._lock = threading.Lock()
        self._scheduled = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._changes: list[tuple[int, int, Change, Future[None]]] = []
        self._begun = 0  # changes that a transaction has begun, in all
        self._open = 0  # those whose transaction has not ended, or was not told of
        self._ended = threading.Condition(self._lock)
        self.broken: dict[str, str] = {}

    @property
    def position(self) -> int:
        """The number of the last event that every follower has seen."""
        return self._position

    def catch_up(self) -> int:
        """Applies what the log holds after `position`. Returns how many events that was."""
        start = self._position
        while self._read_slice(_BULK):
            pass
        self._release()
        return self._position - start

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Follows live on `loop`; call it on the loop's own thread. Raises Conflict when attached already."""
        if self._loop is not None:
            raise Conflict("the followers are attached to a loop already; detach them first")
        self._empty_inbox()
        self._loop = loop
        self._detach = self._log.subscribe(self._committed)
        self.catch_up()  # after subscribing: an event committed in between arrives twice and is applied once

    def detach(self) -> None:
        """Stops following; `wait_for` fails for those who still wait. A second call does nothing."""
        if self._detach is not None:
            self._detach()
        self._detach = self._loop = None
        self._empty_inbox()
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(Unavailable("the shop is closing", code="closing"))
        self._waiting.clear()
        for _, _, _, done in self._changes:
            done.cancel()

    async def wait_for(self, seq: int) -> None:
        """Returns when every follower has seen the event with this number."""
        if seq <= self._position:
            return
        if self._loop is None:
            raise Unavailable("nothing follows the log; attach first", code="not_following")
        future: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._waiting, (seq, next(self._order), future))
        await future

    # -- changes of the log's rows, told on the writer's thread

    def begin_change(self) -> None:
        """Inside the transaction that changes rows, before it is committed: slices of the log wait for its end."""
        with self._lock:
            self._begun += 1
            self._open += 1

    def end_change(self) -> None:
        """The transaction was undone; or it is durable, and `at` was told before the log told of its events."""
        with self._ended:
            self._open -= 1
            self._ended.notify_all()

    def at(self, change: Change) -> Future[None] | None:
        """Takes over a durable change. The future is done when it was acted on, cancelled when the followers are
        detached first. None: nothing follows now, so nobody should wait. (What was never read will be read as it is.)
        """
        done: Future[None] = Future()
        with self._lock:
            loop = self._loop
            if loop is None and self._position == 0:
                return None
            heapq.heappush(self._changes, (change.seq, next(self._order), change, done))
            if loop is None:
                return None
            wake, self._scheduled = not self._scheduled, True
        if wake:
            _call(loop, self._turn)
        return done

    # -- inside

    def _committed(self, batch: EventBatch, _events: list[StoredEvent] | None) -> None:
        """On the writer's thread: hands the batch over. One wake-up serves all that wait."""
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            self._newest = int(batch.seq[-1])
            if self._held + len(batch) <= self._room:
                self._inbox.append((batch, time.perf_counter()))
                self._held += len(batch)
            wake, self._scheduled = not self._scheduled, True
        if wake:
            _call(loop, self._turn)

    def _empty_inbox(self) -> None:
        with self._lock:
            self._inbox.clear()
            self._held = 0
            self._scheduled = False

    def _turn(self) -> None:
        """One turn of the loop: applies up to _LIVE events, then lets others run."""
        if self._loop is None:
            return
        self._act_up_to(self._position)
        committed_at, batch = self._take()
        try:
            if batch is not None:
                self._deliver(batch)
                metrics.event_visible_seconds.observe(time.perf_counter() - committed_at)
            elif self._behind():
                self._read_slice(_LIVE)
                self._release()
        except ShopkeeperError as error:  # the log could not be read: what is missing is read at the next turn
            _LOGGER.error("the followers stand still at event %d: %s", self._position, error.message)
            self._loop.call_later(_RETRY_S, self._turn)
            return
        with self._lock:
            due = bool(self._changes) and self._changes[0][0] <= self._position
            self._scheduled = again = due or bool(self._inbox) or self._behind()
        if again:
            self._loop.call_soon(self._turn)

    def _take(self) -> tuple[float, EventBatch | None]:
        """(when the first was committed, up to _LIVE events from the inbox or None)."""
        batches: list[EventBatch] = []
        events = 0
        with self._lock:
            committed_at = self._inbox[0][1] if self._inbox else time.perf_counter()
            while self._inbox and events < _LIVE:
                batch, _ = self._inbox.popleft()
                batches.append(batch)
                events += len(batch)
            if events > _LIVE:  # the rest of a large batch waits for its turn
                whole = batches.pop()
                keep = _LIVE - (events - len(whole))
                batches.append(whole.take(slice(0, keep)))
                self._inbox.appendleft((whole.take(slice(keep, None)), committed_at))
                events = _LIVE
            self._held -= events
        return committed_at, EventBatch.join(batches) if batches else None

    def _behind(self) -> bool:
        return self._newest > self._position

    def _deliver(self, batch: EventBatch) -> None:
        """Skips what was applied already. After a gap the batch is left to the log, which is read slice by slice."""
        if int(batch.seq[0]) > self._position + 1:
            self._read_slice(_LIVE)
        elif len(fresh := batch.take(batch.seq > self._position)):
            self._apply(fresh)
        self._release()

    def _read_slice(self, limit: int) -> bool:
        batch = self._read(min(limit, _BULK))
        self._act_up_to(self._position)
        self._apply(batch)
        return len(batch) > 0

    def _read(self, limit: int) -> EventBatch:
        """A slice with the rows that its events came with: changes that wait for their place are taken back.

        It is read while no change is on its way here. Raises Unavailable when one does not arrive.
        """
        while True:
            with self._ended:
                if not self._ended.wait_for(lambda: self._open == 0, _CHANGE_S):
                    raise Unavailable("two users are being merged; the log is read again when that has ended")
                begun = self._begun
                waiting = [change for _, _, change, _ in sorted(self._changes, key=_place)]
            batch = self._log.read(self._position, limit)
            if begun != self._begun:
                continue
            for change in reversed(waiting):
                mine = np.isin(batch.seq, change.moved)
                if mine.any():
                    batch = replace(batch, user=np.where(mine, np.int32(change.source), batch.user))
            return batch

    def _apply(self, batch: EventBatch) -> None:
        """Hands a batch over in parts, so that each change comes where it belongs."""
        while len(batch):
            self._act_up_to(int(batch.seq[0]) - 1)
            end = len(batch)
            if self._changes:
                end = int(np.searchsorted(batch.seq, self._changes[0][0], "right"))
            self._hand_over(batch.take(slice(0, end)) if end < len(batch) else batch)
            batch = batch.take(slice(end, None))
        self._act_up_to(self._position)

    def _act_up_to(self, seq: int) -> None:
        """The changes that come before the events after `seq`."""
        while self._changes and self._changes[0][0] <= seq:
            with self._lock:
                _, _, change, done = heapq.heappop(self._changes)
            try:
                change.act()
            except Exception:  # an edge, as for a follower that fails; the change itself is durable
                _LOGGER.exception("derived state could not take a change after event %d", change.seq)
            if not done.cancelled():
                done.set_result(None)

    def _hand_over(self, batch: EventBatch) -> None:
        for follower in self._followers:
            if follower.name in self.broken:
                continue
            try:
                follower.apply(batch)
            except Exception as error:  # an edge: whatever a follower raises must not stop the others or the loop
                self.broken[follower.name] = f"{type(error).__name__}: {error}"
                metrics.follower_broken.labels(follower.name).set(1)
                _LOGGER.exception("follower %s failed at event %d and is out of date", follower.name, batch.seq[0])
        self._position = int(batch.seq[-1])

    def _release(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._position:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)


def _place(waiting: tuple[int, int, Change, Future[None]]) -> tuple[int, int]:
    """In the order of the transactions."""
    return waiting[:2]


def _call(loop: asyncio.AbstractEventLoop, fn: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(fn)
