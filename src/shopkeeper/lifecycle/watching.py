"""Watching jobs: whoever subscribes hears every numbered event after its commit, and can go on where it stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from shopkeeper.core.records import JobEvent

Listener: TypeAlias = Callable[[JobEvent], None]
_WAITING = 1000  # events that a slow reader may leave waiting


class Watchers:
    """Listeners by job. They are called on the writer's thread, in order, and must not block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str | None, list[Listener]] = {}

    def subscribe(self, job_id: str | None, listener: Listener) -> Callable[[], None]:
        """`job_id` None: all jobs. Returns what ends the subscription."""
        with self._lock:
            self._listeners.setdefault(job_id, []).append(listener)

        def unsubscribe() -> None:
            with self._lock:
                listeners = self._listeners.get(job_id, [])
                with suppress(ValueError):
                    listeners.remove(listener)
                if not listeners:
                    self._listeners.pop(job_id, None)

        return unsubscribe

    def tell(self, events: Sequence[JobEvent]) -> None:
        for event in events:
            with self._lock:
                listeners = [*self._listeners.get(event.job_id, ()), *self._listeners.get(None, ())]
            for listener in listeners:
                with suppress(RuntimeError):  # its event loop has closed: nobody is there to hear
                    listener(event)


async def follow(
    watchers: Watchers,
    read: Callable[[str, int], tuple[list[JobEvent], bool]],
    job_id: str,
    after_seq: int,
    idle_s: float | None,
) -> AsyncIterator[JobEvent | None]:
    """Stored events after `after_seq`, then live ones, without gap or repeat; ends after `done`.

    `read` gives the stored events and whether `done` is stored, from one snapshot.

    With `idle_s`, None comes whenever nothing happened for so long: time for a keep-alive.
    """
    heard = _Heard()
    unsubscribe = watchers.subscribe(job_id, partial(_hand_over, asyncio.get_running_loop(), heard))
    seen, finished = after_seq, False
    try:
        while not finished:
            if heard.missed:
                heard.missed = False
                stored, finished = await asyncio.to_thread(read, job_id, seen)
                for event in stored:
                    seen = event.seq
                    yield event
                continue
            live = await _next(heard.queue, idle_s)
            if live is None:
                yield None
            elif live.seq > seen:
                seen = live.seq
                yield live
                finished = live.type == "done"
    finally:
        unsubscribe()


class _Heard:
    """Live events that one reader has not taken yet; for a slow one what does not fit is `missed`: it is stored."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[JobEvent] = asyncio.Queue(_WAITING)
        self.missed = True  # nothing was read yet

    def put(self, event: JobEvent) -> None:
        if self.missed:
            return
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.missed = True  # what is in the queue stays: it wakes the reader, who then reads what is stored


def _hand_over(loop: asyncio.AbstractEventLoop, heard: _Heard, event: JobEvent) -> None:
    loop.call_soon_threadsafe(heard.put, event)


async def _next(queue: asyncio.Queue[JobEvent], idle_s: float | None) -> JobEvent | None:
    try:
        async with asyncio.timeout(idle_s):
            return await queue.get()
    except TimeoutError:
        return None
