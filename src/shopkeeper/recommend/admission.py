"""Who may use the loop for a slate, and when: first come first served, in turns between those who ask much.

A slate takes the loop for about a millisecond. When many are asked for at once they wait here and not in the loop,
which answers from caches, sockets and health checks between them: slates get about as much of its time as all others
together, so that a crowd that is sent away does not keep those who were let in from their answers. Who would wait in
vain is sent away at the door, after a moment: it may have got shorter by then, and a client that asks again at once
would take more time to send away than its answer takes to make.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from shopkeeper.core.errors import Overloaded
from shopkeeper.telemetry import metrics

MOST_WAITING = 2000
_BREATH_S = 0.001
"""So much work is done before the loop may look after others."""
_LONGEST_S = 0.1
"""So much at most, however long the others took."""
_FIRST_GUESS_S = 0.001
_SMOOTH = 0.05
_PACE_SMOOTH = 0.2
_GLANCE_S = 0.01
_PAUSE_S = 0.1
"""So long, and at most half of its patience, a request that cannot be let in waits before it is sent away."""


class Admission:
    """Belongs to one event loop. A turn is one stretch of work without an `await`: `turn` is awaited, the work is done,
    and `done` is told how long it took. `now` in seconds."""

    def __init__(
        self,
        most_waiting: int = MOST_WAITING,
        now: Callable[[], float] = time.perf_counter,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._most = most_waiting
        self._pause_s = pause_s
        self._now = now
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0
        self._paused = 0  # who will be sent away in a moment, unless the queue gets short
        self._granted: set[asyncio.Future[None]] = set()
        self._spent = 0.0  # seconds of work since the loop last went round
        self._breathing = False
        self._usual = _FIRST_GUESS_S  # seconds of work of a slate
        self._pace = _FIRST_GUESS_S  # seconds from one slate to the next while some wait
        self._others = 0.0  # seconds that the loop was with others between the last two rounds of slates
        self._round = 0  # slates of the round that goes on
        self._left_at: float | None = None  # when the last round was over, while slates wait

    @property
    def waiting(self) -> int:
        return self._count

    def wait_s(self, whose: Hashable = None) -> float:
        """Seconds that one more request of `whose` would wait, by how fast slates are made these moments."""
        mine = len(self._waiting.get(whose, ())) + 1
        ahead = min(self._count, mine * (len(self._waiting) + 1))
        return ahead * max(self._usual, self._pace)

    async def turn(self, patience_s: float, whose: Hashable = None) -> None:
        """Comes back when it is this request's turn; `done` must follow. `whose`: the socket or batch that asks, which
        takes turns with the others however much it asks at once; None: somebody who asks once.

        Raises Overloaded, after a pause, when the queue is full or the wait would be longer than `patience_s`.
        """
        if not self._count and not self._granted and self._spent < _BREATH_S:
            self._pace, self._left_at = self._usual, None  # nobody waits: what was slow is over
            return
        if self._hopeless(patience_s, whose):
            pause = min(self._pause_s, max(patience_s, 0.0) / 2)
            await self._pause(pause)
            patience_s -= pause
            if self._hopeless(patience_s, whose):
                self._refuse(self.wait_s(whose), patience_s)
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(mine if whose is None else whose, deque()).append(mine)
        self._count += 1
        self._breathe()
        try:
            await mine
        except asyncio.CancelledError:
            if mine in self._granted:  # it was this one's turn already: the next one's, then
                self._granted.discard(mine)
                self._breathe()
            raise
        self._granted.discard(mine)
        if not self._round and self._left_at is not None:
            self._others = self._now() - self._left_at
        self._round += 1

    def _hopeless(self, patience_s: float, whose: Hashable) -> bool:
        return self._count >= self._most or self.wait_s(whose) > patience_s

    async def _pause(self, seconds: float) -> None:
        """None for more at once than may wait: memory is bounded."""
        if seconds <= 0 or self._paused >= self._most:
            return
        self._paused += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._paused -= 1

    def done(self, seconds: float) -> None:
        """The work of a turn took so long."""
        self._spent += seconds
        self._usual += _SMOOTH * (min(seconds, _GLANCE_S) - self._usual)
        if not self._granted:
            self._end_round()
        self._breathe()

    def _end_round(self) -> None:
        now = self._now()
        if self._round and self._left_at is not None:
            pace = (now - self._left_at) / self._round
            self._pace += _PACE_SMOOTH * (pace - self._pace)
        self._round, self._left_at = 0, now

    def _breathe(self) -> None:
        if not self._breathing:
            self._breathing = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """The loop has been round: the turns of others, for about as long as it was away."""
        self._breathing, self._spent = False, 0.0
        if self._granted:
            return
        for _ in range(max(1, int(min(self._others, _LONGEST_S) / self._usual))):
            first = self._first()
            if first is None:
                return
            self._granted.add(first)
            first.set_result(None)

    def _first(self) -> asyncio.Future[None] | None:
        """Takes the next of those who wait out of the queue; who asks much goes to the end with the rest."""
        while self._waiting:
            whose, queue = next(iter(self._waiting.items()))
            first = queue.popleft()
            self._count -= 1
            if queue:
                self._waiting.move_to_end(whose)
            else:
                del self._waiting[whose]
            if not first.done():  # else its client went away
                return first
        return None

    def _refuse(self, wait: float, patience_s: float) -> None:
        metrics.recommend_refused_total.inc()
        error = Overloaded(
            f"{self._count} slates are waiting, which would take {wait * 1000:.0f} ms, longer than the "
            f"{patience_s * 1000:.0f} ms that are left; ask again in a moment, or allow a longer deadline_ms",
            code="queue_full",
        )
        error.retry_after_s = max(1, math.ceil(wait))
        raise error
