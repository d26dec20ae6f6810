"""Rankers at work: within their time, and left alone for a while when they fail.

A ranker that declares how many rows it scores in a moment (`loop_rows`) works where it is asked. Any other works on a
thread of its own, so that one that hangs costs a slate its ranking and nobody their slate.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.breaker import Breaker
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Unavailable
from shopkeeper.recommend.bound import BoundRanker
from shopkeeper.recommend.ranking.model import TellsTasks

log = logging.getLogger(__name__)

Scores: TypeAlias = NDArray[np.float32]

MOST_QUEUED = 32
QUICKENING = "quicker ranker"
"""Name of the threads after which a ranker scores by its quicker form: to the seventh digit the same."""
MOST_LOST = 3
"""So many threads of a ranker may hang; then it is not tried any more."""


class Scoring:
    """A desk for each ranker in use. Belongs to the thread that owns the feature state."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._desks: weakref.WeakKeyDictionary[BoundRanker, Desk] = weakref.WeakKeyDictionary()

    def desk(self, ranker: BoundRanker) -> Desk:
        found = self._desks.get(ranker)
        if found is None:
            found = self._desks[ranker] = Desk(ranker, self._clock)
        return found

    def left_alone(self) -> int:
        """Rankers that are not asked now, as they failed too often."""
        return sum(desk.breaker.state != "closed" for desk in list(self._desks.values()))


class Desk:
    """One ranker. All three ways to score give (k,) finite numbers for `rows` (k, f), or (k, 1 + t) where it tells
    several `tasks`, or raise what went wrong and count it: after too many failures the ranker is left alone for a
    while."""

    def __init__(self, ranker: BoundRanker, clock: Clock) -> None:
        model = ranker.model
        self.tasks = model.output_names if isinstance(model, TellsTasks) else ()
        self._score: Callable[[Scores], Scores] = model.score_tasks if isinstance(model, TellsTasks) else model.score
        """A quicker one from the moment on when it is ready."""
        self._slow = self._score
        if hasattr(model, "quickened"):
            threading.Thread(target=_quicken, args=(weakref.ref(self), model), name=QUICKENING, daemon=True).start()
        self._loop_rows = int(getattr(model, "loop_rows", 0))
        self._worker: _Worker | None = None
        self._lost = 0
        self.breaker = Breaker(clock)

    def quick(self, rows: Scores) -> bool:
        """May it be asked by `at_once`?"""
        return len(rows) <= self._loop_rows

    def at_once(self, rows: Scores) -> Scores:
        """Here and now, however long it takes."""
        self._check()
        return self._noted(lambda: self._checked(self._score(rows), len(rows)))

    async def aside(self, rows: Scores, seconds: float) -> Scores:
        """On the ranker's thread. Raises Unavailable (`deadline`) after `seconds`, too."""
        work = self._handed(rows)
        try:
            async with asyncio.timeout(seconds):
                scores = await asyncio.wrap_future(work)
        except TimeoutError:
            self.breaker.note(False)
            raise Unavailable(_LATE, code="deadline") from None
        except Exception:
            self.breaker.note(False)
            raise
        return self._noted(lambda: self._checked(scores, len(rows)))

    def waited_for(self, rows: Scores, seconds: float) -> Scores:
        """The same for a caller that may stand still so long."""
        work = self._handed(rows)
        try:
            scores = work.result(seconds)
        except TookTooLong:
            work.cancel()
            self.breaker.note(False)
            raise Unavailable(_LATE, code="deadline") from None
        except Exception:
            self.breaker.note(False)
            raise
        return self._noted(lambda: self._checked(scores, len(rows)))

    def _noted(self, work: Callable[[], Scores]) -> Scores:
        try:
            scores = work()
        except Exception:
            self.breaker.note(False)
            raise
        self.breaker.note(True)
        return scores

    def _checked(self, scores: Scores, size: int) -> Scores:
        found = np.asarray(scores, dtype=np.float32)
        if found.shape != ((size, 1 + len(self.tasks)) if self.tasks else (size,)):
            raise Unavailable(f"the ranker gave numbers of shape {found.shape} for {size} items", code="bad_output")
        if not np.isfinite(found).all():
            raise Unavailable("the ranker gave numbers that are not finite", code="bad_output")
        return found

    def _check(self) -> None:
        if not self.breaker.allows():
            again = math.ceil(self.breaker.retry_after_s)
            raise Unavailable(f"the ranker failed too often; it is tried again in {again} s", code="breaker_open")

    def _handed(self, rows: Scores) -> Future[Scores]:
        self._check()
        if self._worker is not None and self._worker.queued() and self.breaker.state != "closed":
            # It hangs since the breaker opened. Behind that work nobody would ever learn that the ranker works again.
            self._worker, self._lost = None, self._lost + 1
        if self._lost > MOST_LOST:
            raise Unavailable(f"the ranker never came back from its work, {self._lost} times now", code="hangs")
        if self._worker is None:
            self._worker = _Worker(self._slow)
        if self._worker.queued() >= MOST_QUEUED:
            self.breaker.note(False)
            raise Unavailable(f"the ranker has {MOST_QUEUED} slates to rank already", code="queue_full")
        return self._worker.take(rows)


def _quicken(desk: weakref.ref[Desk], model: Any) -> None:
    try:
        quicker = model.quickened()
    except Exception:  # the ranker works as it is
        log.exception("a ranker could not be made quicker")
        return
    found = desk()
    if quicker is not None and found is not None:
        found._score = quicker


class _Worker:
    """One thread that scores what it is handed, in order. It keeps neither the process nor a dropped ranker alive."""

    def __init__(self, score: Callable[[Scores], Scores]) -> None:
        self._taken: deque[Future[Scores]] = deque()
        self._queue: SimpleQueue[tuple[Future[Scores], Scores] | None] = SimpleQueue()
        threading.Thread(target=_work, args=(self._queue, score), name="ranker", daemon=True).start()
        weakref.finalize(self, self._queue.put, None)

    def queued(self) -> int:
        """How many somebody waits for or the thread is busy with; the oldest of them first."""
        while self._taken and self._taken[0].done():
            self._taken.popleft()
        return len(self._taken)

    def take(self, rows: Scores) -> Future[Scores]:
        work: Future[Scores] = Future()
        self._taken.append(work)
        self._queue.put((work, rows))
        return work


def _work(queue: SimpleQueue[tuple[Future[Scores], Scores] | None], score: Callable[[Scores], Scores]) -> None:
    while (handed := queue.get()) is not None:
        work, rows = handed
        if not work.set_running_or_notify_cancel():
            continue
        try:
            work.set_result(score(rows))
        except BaseException as error:  # noqa: BLE001  whoever waits for it is told
            work.set_exception(error)


_LATE = "the ranker did not answer in time"
