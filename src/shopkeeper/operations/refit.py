"""A rule has changed: its effect on the rules' side is there at once, and what was learned beside it is learned anew.

One training of `fusion` is queued when the rules have been left alone for `debounce_s`, and not while one is queued or
running: then it is tried again. Nothing is trained for rules with which the newest version was trained already, nor
where no version serves. The gate decides whether the new version takes over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shopkeeper.core.errors import Busy, NotFound, Overloaded, ShopkeeperError
from shopkeeper.core.records import Job, Version
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.profiles.fusing import NAME
from shopkeeper.profiles.fusion.past import signature
from shopkeeper.profiles.rulebook import RuleBook

BY = "rules changed"
log = logging.getLogger(__name__)


class Refit:
    """Lives on the loop, where the rule book is read; jobs are submitted beside it."""

    def __init__(
        self,
        rulebook: RuleBook,
        registry: Registry,
        releases: Releases,
        *,
        debounce_s: float = 5.0,
        again_s: float = 10.0,
    ) -> None:
        self._rulebook = rulebook
        self._registry = registry
        self._releases = releases
        self.debounce_s = debounce_s
        self.again_s = again_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None
        self._working: asyncio.Task[Job | None] | None = None

    def start(self) -> None:
        """Call it on the loop. What changed while nobody looked is made up for."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._rulebook.subscribe(self._heard)
        self._wait(self.debounce_s)

    def stop(self) -> None:
        """A second call does nothing."""
        self._unsubscribe()
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self._working is not None:
            self._working.cancel()

    async def look(self) -> Job | None:
        """Queues the training that is due, now. None: none is. Raises Busy while one of the model runs."""
        wanted = signature(self._rulebook.compiled())
        return await asyncio.to_thread(self._submit, wanted)

    def _submit(self, wanted: str) -> Job | None:
        try:
            champion = self._registry.version(NAME)
        except NotFound:
            return None
        newest: Version = self._registry.versions(NAME, limit=1)[0][0]
        if newest.data.get("rules_signature") == wanted:
            return None
        return self._releases.train(NAME, champion.algorithm, params=champion.params, requested_by=BY)

    def _heard(self) -> None:
        """On any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wait, self.debounce_s)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._timer = self._loop.call_later(seconds, self._due)

    def _due(self) -> None:
        if self._working is not None and not self._working.done():
            self._wait(self.again_s)
            return
        self._working = asyncio.ensure_future(self.look())
        self._working.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Job | None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Busy | Overloaded):
            self._wait(self.again_s)
        elif isinstance(error, ShopkeeperError):
            log.warning("the rules have changed, and %s cannot be trained: %s", NAME, error.message)
        elif error is not None:
            log.error("the rules have changed, and %s could not be trained", NAME, exc_info=error)
