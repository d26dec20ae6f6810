"""Where forecasts are made: in threads of their own, so that nobody else waits for a slow model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from shopkeeper.core.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")
MOST_WAITING = 32


class ForecastThreads:
    """`threads` work at once, `waiting` may wait for them. Belongs to the event loop."""

    def __init__(self, threads: int = 1, waiting: int = MOST_WAITING) -> None:
        self._most = threads + waiting
        self._under_way = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="forecast")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives or raises. Raises Overloaded when too many wait; whoever leaves waits no more."""
        if self._under_way >= self._most:
            raise Overloaded(
                f"{self._under_way} forecasts are under way; try again in a moment", code="too_many_forecasts"
            )
        self._under_way += 1
        future = self._pool.submit(work, *args, **kwargs)
        future.add_done_callback(partial(self._tell, asyncio.get_running_loop()))
        return await asyncio.wrap_future(future)

    def _tell(self, loop: asyncio.AbstractEventLoop, _: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody counts any more
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self._under_way -= 1

    def close(self) -> None:
        """What has not begun is not done any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
