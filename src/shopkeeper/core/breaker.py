"""A circuit breaker: what fails too often is left alone for a while, so that nobody waits for it.

closed: everything is let through and what came of it is counted over a window. open: nothing is let through. After
`recover_s` it is half open: one caller may probe; what came of that closes it, or opens it again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal

from shopkeeper.core.clock import SECOND, Clock

State = Literal["closed", "open", "half_open"]
_SLOTS = 10


class Breaker:
    """Opens when at least `least` outcomes lie in the last `window_s` seconds and `share` of them or more failed.

    The window moves in tenths, so an outcome counts for 0.9 to 1 of its length. Times are the clock's `wall`, and one
    that steps back costs at most `recover_s` more. Any thread may use it.
    """

    def __init__(
        self, clock: Clock, *, window_s: float = 60.0, share: float = 0.5, least: int = 10, recover_s: float = 30.0
    ) -> None:
        self._clock = clock
        self._slot = max(1, int(window_s * SECOND / _SLOTS))
        self._share, self._least = share, least
        self._recover = int(recover_s * SECOND)
        self._counted: deque[list[int]] = deque()  # [slot, outcomes, failures], the newest last
        self._opened: int | None = None
        self._probed: int | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        with self._lock:
            if self._opened is None:
                return "closed"
            return "half_open" if self._recovered(self._clock.wall()) else "open"

    @property
    def retry_after_s(self) -> float:
        """Seconds until a probe may be made, 0 when it may be now."""
        with self._lock:
            if self._opened is None or self._recovered(now := self._clock.wall()):
                return 0.0
            return (self._opened + self._recover - now) / SECOND

    def allows(self) -> bool:
        """May it be tried now? Who is told yes tells `note` what came of it.

        A probe of which nothing was heard for `recover_s` is given up, and another may be made.
        """
        if self._opened is None:  # read without the lock: this is asked on every request
            return True
        with self._lock:
            if self._opened is None:
                return True
            now = self._clock.wall()
            if not self._recovered(now):
                return False
            if self._probed is not None and 0 <= now - self._probed < self._recover:
                return False
            self._probed = now
            return True

    def note(self, ok: bool) -> None:
        """What came of a try. While it is open, what was let through before says nothing new."""
        with self._lock:
            now = self._clock.wall()
            if self._opened is None:
                if self._fails(now, ok):
                    self._open(now)
            elif self._recovered(now):
                if ok:
                    self._opened = self._probed = None
                else:
                    self._open(now)

    def _open(self, now: int) -> None:
        self._opened, self._probed = now, None
        self._counted.clear()

    def _recovered(self, now: int) -> bool:
        """Whether it has been open long enough."""
        assert self._opened is not None
        self._opened = min(self._opened, now)  # the clock was set back: the wait begins now
        return now - self._opened >= self._recover

    def _fails(self, now: int, ok: bool) -> bool:
        """Counts an outcome, and says whether too many of the window have failed."""
        counted, slot = self._counted, now // self._slot
        while counted and not slot - _SLOTS < counted[0][0] <= slot:
            counted.popleft()
        if not counted or counted[-1][0] != slot:
            if counted and counted[-1][0] > slot:
                counted.clear()
            counted.append([slot, 0, 0])
        counted[-1][1] += 1
        if ok:
            return False
        counted[-1][2] += 1
        outcomes = sum(each[1] for each in counted)
        return outcomes >= self._least and sum(each[2] for each in counted) >= self._share * outcomes
