"""The shop changes over to other data while it runs, see `operations/regeneration.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shopkeeper.core.records import FINISHED, Job
from shopkeeper.core.turnstile import Turnstile

_LOG = logging.getLogger(__name__)
_CHANGE_S = 60.0  # for what ends within seconds


class Changeover:
    """`wait(job_id, seconds)` blocks until a job has ended; `reopen` halts the shop and starts it with its new data."""

    def __init__(
        self,
        turnstile: Turnstile,
        *,
        wait: Callable[[str, float], Job],
        reopen: Callable[[], Awaitable[None]],
        drain_s: float,
    ) -> None:
        self._turnstile, self._wait, self._reopen, self._drain_s = turnstile, wait, reopen, drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[tuple[Callable[[], None], Callable[[], None]]] = []

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def listen(self, interrupt: Callable[[], None], go_on: Callable[[], None]) -> None:
        """Called on the loop: `interrupt` ends what listens to the shop for long, `go_on` comes when it is back."""
        self._listeners.append((interrupt, go_on))

    def begin(self, job_id: str) -> None:
        """On a thread of the jobs. From now on nobody new is let in, so nobody sees the job done and the old data."""
        assert self._loop is not None, "jobs run in a shop that is started"
        self._turnstile.close()
        self._loop.call_soon_threadsafe(self._begin, job_id)

    async def end(self) -> None:
        """No change begins from now on; one that has begun is waited for, but by itself."""
        self._stopping = True
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task})

    def _begin(self, job_id: str) -> None:
        if not self._stopping:  # else the next start changes over
            self._task = asyncio.create_task(self._change(job_id), name="change of the data")

    async def _change(self, job_id: str) -> None:
        """What stops it is told in the log; the next start goes on with it."""
        try:
            job = await asyncio.to_thread(self._wait, job_id, _CHANGE_S)
            while job.status not in FINISHED and not self._stopping:  # its end cannot be stored yet
                job = await asyncio.to_thread(self._wait, job_id, _CHANGE_S)
            if job.status not in FINISHED:
                return
            if job.status == "done":
                for interrupt, _ in self._listeners:
                    interrupt()
                await self._turnstile.empty(self._drain_s)
                await self._reopen()
        except Exception:
            _LOG.exception("the shop could not change over to other data")
            self._turnstile.give_up("the shop could not change over to other data, see its log; start it again")
            raise
        for _, go_on in self._listeners:
            go_on()
        self._turnstile.open()
