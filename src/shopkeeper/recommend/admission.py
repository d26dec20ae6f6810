"""Who may use the loop for a slate, and when: first come first served, in turns between those who ask much.

A slate takes the loop for about a millisecond. When many are asked for at once they wait here and not in the loop,
which answers from caches, sockets and health checks between them. Who would wait in vain is sent away at the door.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Hashable

from shopkeeper.core.errors import Overloaded
from shopkeeper.telemetry import metrics

MOST_WAITING = 2000
_BREATH_S = 0.001
"""So much work is done before the loop may look after others."""
_FIRST_GUESS_S = 0.001
_SMOOTH = 0.05
_GLANCE_S = 0.01


class Admission:
    """Belongs to one event loop. A turn is one stretch of work without an `await`: `turn` is awaited, the work is done,
    and `done` is told how long it took."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = most_waiting
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0
        self._granted: asyncio.Future[None] | None = None
        self._spent = 0.0  # seconds of work since the loop last went round
        self._breathing = False
        self._usual = _FIRST_GUESS_S

    @property
    def waiting(self) -> int:
        return self._count

    def wait_s(self, whose: Hashable = None) -> float:
        """Seconds that one more request of `whose` would wait, by what a slate usually takes."""
        mine = len(self._waiting.get(whose, ())) + 1
        return min(self._count, mine * (len(self._waiting) + 1)) * self._usual

    async def turn(self, patience_s: float, whose: Hashable = None) -> None:
        """Comes back when it is this request's turn; `done` must follow. `whose`: the socket or batch that asks, which
        takes turns with the others however much it asks at once; None: somebody who asks once.

        Raises Overloaded when the queue is full, or the wait would be longer than `patience_s`.
        """
        if not self._count and self._granted is None and self._spent < _BREATH_S:
            return
        wait = self.wait_s(whose)
        if self._count >= self._most or wait > patience_s:
            self._refuse(wait, patience_s)
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(mine if whose is None else whose, deque()).append(mine)
        self._count += 1
        self._breathe()
        try:
            await mine
        except asyncio.CancelledError:
            if self._granted is mine:  # it was this one's turn already: the next one's, then
                self._granted = None
                self._breathe()
            raise
        self._granted = None

    def done(self, seconds: float) -> None:
        """The work of a turn took so long."""
        self._spent += seconds
        self._usual += _SMOOTH * (min(seconds, _GLANCE_S) - self._usual)
        self._breathe()

    def _breathe(self) -> None:
        if not self._breathing:
            self._breathing = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """The loop has been round: somebody else's turn."""
        self._breathing, self._spent = False, 0.0
        if self._granted is not None:
            return
        while self._waiting:
            whose, queue = next(iter(self._waiting.items()))
            first = queue.popleft()
            self._count -= 1
            if queue:
                self._waiting.move_to_end(whose)
            else:
                del self._waiting[whose]
            if not first.done():  # else its client went away
                self._granted = first
                first.set_result(None)
                return

    def _refuse(self, wait: float, patience_s: float) -> None:
        metrics.recommend_refused_total.inc()
        error = Overloaded(
            f"{self._count} slates are waiting, which would take {wait * 1000:.0f} ms, longer than the "
            f"{patience_s * 1000:.0f} ms that are left; ask again in a moment, or allow a longer deadline_ms",
            code="queue_full",
        )
        error.retry_after_s = max(1, math.ceil(wait))
        raise error
