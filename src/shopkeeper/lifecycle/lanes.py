"""Lanes: how requests reach one loaded version. Bounded queues, batches, deadlines.

Rows of a model that declares `loop_rows` are scored on the event loop, together with all that arrived in the same tick:
one call for many requests costs a fraction of one call each, and a hand-over to a thread costs more than the work.
Everything else waits in a bounded queue for the one thread of its version, where batches form only while it is busy.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from shopkeeper.core.errors import Overloaded, ShopkeeperError, Unavailable
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.telemetry import metrics

Rows: TypeAlias = list[dict[str, Any]]
Outcome: TypeAlias = "list[Any] | Exception"


@dataclass(frozen=True)
class LaneLimits:
    """Of each version. `queue_rows` may wait (one request always may); `batch_rows` at most go into one call of the
    thread; after `deadline_s` a request is given up, and dropped when it was not begun."""

    queue_rows: int = 20_000
    batch_rows: int = 2048
    deadline_s: float = 30.0


class Lane:
    """Belongs to the event loop: call it there only, while holding the version that it leads to.

    It does not hold the version itself: that holds it, and memory and thread of a dropped one are free at once.
    """

    def __init__(self, loaded: Loaded, limits: LaneLimits) -> None:
        self._loaded = weakref.ref(loaded)
        self._name = f"{loaded.version.model} v{loaded.version.version}"
        self._limits = limits
        self._loop_rows = int(getattr(loaded.model, "loop_rows", 0))
        self._soon: list[_Ask] = []
        self._queue: deque[_Ask] = deque()
        self._waiting_rows = 0
        self._busy = False
        self._thread: ThreadPoolExecutor | None = None

    async def score(self, rows: Rows, *, aside: bool = False, until: float | None = None) -> list[Any]:
        """One output a row. `aside`: in the thread whatever the model says, so that nobody else waits for it. `until`
        (loop time): another end than `deadline_s` from now.

        Raises Invalid (rows), Overloaded (queue full), Unavailable (`deadline`, outputs).
        """
        if self._waiting_rows and self._waiting_rows + len(rows) > self._limits.queue_rows:
            raise Overloaded(
                f"{self._waiting_rows} rows wait for {self._name} already; try again in a moment, or send less",
                code="queue_full",
            )
        loop = asyncio.get_running_loop()
        ask = _Ask(rows, loop.create_future(), loop.time() + self._limits.deadline_s if until is None else until)
        self._waiting_rows += len(rows)
        try:
            if len(rows) <= self._loop_rows and not aside:
                if not self._soon:
                    loop.call_soon(self._flush)
                self._soon.append(ask)
                return await ask.future
            ask.timer = loop.call_at(ask.until, ask.expire)
            self._drop_given_up()
            self._queue.append(ask)
            self._pump()
            return await ask.future
        finally:
            self._waiting_rows -= len(rows)
            if ask.timer is not None:
                ask.timer.cancel()

    def _flush(self) -> None:
        """Score what came in this tick, at most `loop_rows` rows at once; the loop breathes between two batches."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for ask in self._soon:
            if ask.until < now:
                ask.expire()
        batch, rest = _first([ask for ask in self._soon if not ask.future.done()], self._loop_rows)
        self._soon = rest
        if rest:
            loop.call_soon(self._flush)
        loaded = self._loaded()
        if batch and loaded is not None:
            _settle(batch, _outcomes(loaded, [ask.rows for ask in batch]))

    def _pump(self) -> None:
        if self._busy:
            return
        batch, loaded = self._next_batch(), self._loaded()
        if not batch or loaded is None:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"score-{loaded.version.model}")
        rows = [ask.rows for ask in batch]
        try:
            work = asyncio.get_running_loop().run_in_executor(self._thread, _outcomes, loaded, rows)
        except RuntimeError as error:  # the system gives no thread
            self._thread = None
            _settle(batch, [Unavailable(f"{self._name} cannot work: {error}", code="no_thread")] * len(batch))
            return
        self._busy = True
        work.add_done_callback(lambda done: self._finished(batch, done))

    def _drop_given_up(self) -> None:
        """While the thread hangs nobody takes from the queue: what expired, or lost its client, must not pile up."""
        while self._queue and self._queue[0].future.done():
            self._queue.popleft()

    def _next_batch(self) -> list[_Ask]:
        waiting = [ask for ask in self._queue if not ask.future.done()]
        batch, rest = _first(waiting, self._limits.batch_rows)
        self._queue = deque(rest)
        return batch

    def _finished(self, batch: list[_Ask], done: asyncio.Future[list[Outcome]]) -> None:
        self._busy = False
        if not done.cancelled():
            _settle(batch, done.result())
        self._pump()


class _Ask:
    """One request's rows, the future of its outputs, and until when (loop time) somebody waits for them."""

    __slots__ = ("future", "rows", "timer", "until")

    def __init__(self, rows: Rows, future: asyncio.Future[list[Any]], until: float) -> None:
        self.rows = rows
        self.future = future
        self.until = until
        self.timer: asyncio.TimerHandle | None = None

    def expire(self) -> None:
        if not self.future.done():
            text = "the model did not answer in time; try again, or send fewer rows"
            self.future.set_exception(Unavailable(text, code="deadline"))


def _first(asks: Sequence[_Ask], rows: int) -> tuple[list[_Ask], list[_Ask]]:
    """Whole requests up to `rows` rows, at least one, and the rest."""
    taken = 0
    for place, ask in enumerate(asks):
        taken += len(ask.rows)
        if place and taken > rows:
            return list(asks[:place]), list(asks[place:])
    return list(asks), []


def _settle(batch: list[_Ask], outcomes: list[Outcome]) -> None:
    for ask, outcome in zip(batch, outcomes, strict=True):
        if ask.future.done():
            continue
        if isinstance(outcome, Exception):
            ask.future.set_exception(outcome)
        else:
            ask.future.set_result(outcome)


def _outcomes(loaded: Loaded, requests: list[Rows]) -> list[Outcome]:
    """Outputs or an error for each request. When a batch fails, each request is scored alone: one must not fail
    another."""
    if len(requests) == 1:
        return [_alone(loaded, requests[0])]
    joined = [row for rows in requests for row in rows]
    outputs = _alone(loaded, joined)
    if isinstance(outputs, Exception):
        return [_alone(loaded, rows) for rows in requests]
    parts: list[Outcome] = []
    at = 0
    for rows in requests:
        parts.append(outputs[at : at + len(rows)])
        at += len(rows)
    return parts


def _alone(loaded: Loaded, rows: Rows) -> Outcome:
    metrics.model_predict_batch_size.observe(len(rows))
    try:
        return loaded.score(rows)
    except ShopkeeperError as error:
        return error
    except Exception as error:  # noqa: BLE001  the edge: a stranger's model may raise anything, and only its request fails
        text = f"model {loaded.version.model!r} failed: {type(error).__name__}"
        return Unavailable(text, code="model_failed")
