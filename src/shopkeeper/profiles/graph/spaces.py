"""The space that serves, the one that is to serve next, and what of them is on the disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.known import Known
from shopkeeper.profiles.graph.living import SPACE, Living
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.snapshot import Shelf, Space, placed

_LOGGER = logging.getLogger(__name__)
_CATCH_UP_S = 30.0
"""After so long a new space serves although some of what came meanwhile is not taken in."""


class Spaces:
    """On the followers' thread, but for `left` and `write`. `living` serves; `seq` is the last event that the graph
    holds; `dirty`: the files hold what they should not, or not what they should."""

    def __init__(self, graph: LiveGraph, known: Known, shelf: Shelf, clock: Clock, *, data: str, pace: Pace) -> None:
        self._graph = graph
        self._known = known
        self._shelf = shelf
        self._clock = clock
        self._data = data
        self._pace = pace
        self._next: tuple[Living, Future[None], float] | None = None
        self.living: Living | None = None
        self.seq = 0
        self.dirty = False

    @property
    def changing(self) -> bool:
        """Whether another is to serve next."""
        return self._next is not None

    def both(self) -> list[Living]:
        found = [] if self.living is None else [self.living]
        return found if self._next is None else [*found, self._next[0]]

    def clear(self, row: int) -> None:
        """No number of a user's stays, here and on the disk."""
        self.dirty = True
        for living in self.both():
            living.engine.clear(row)

    # -- one after another

    def take_over(self, space: Space, model: Any) -> None:
        """What was left on the disk serves."""
        self.living = self._brought_to_life(space, model)
        self.dirty = True  # an erasure may have been cut off before the files were written anew

    def begin(self, space: Space, model: Any, done: Future[None], *, at_once: bool) -> None:
        """It is to serve next: when it is brought up to what came meanwhile, or at once."""
        try:
            living = self._brought_to_life(space, model)
        except Exception as error:  # noqa: BLE001  an edge: who waits for it is told
            done.set_exception(error)
            return
        if self._next is not None and not self._next[1].done():
            self._next[1].set_result(None)  # overtaken
        self._next = living, done, time.monotonic() + _CATCH_UP_S
        if self.living is None or at_once:
            self.switch()

    def bring_up(self) -> bool:
        """A step of the one that is to serve next; it serves when nothing of it waits. False: there is none."""
        if self._next is None:
            return False
        living, _, until = self._next
        if time.monotonic() >= until or not living.engine.step():
            self.switch()
        return True

    def switch(self) -> None:
        """The next one, if there is one, serves from now on."""
        if self._next is None:
            return
        self.living, done, _ = self._next
        self._next = None
        self.living.as_of = self._clock.wall()
        self.dirty = True  # somebody may have gone while it was computed
        if not done.done():
            done.set_result(None)

    def _brought_to_life(self, space: Space, model: Any) -> Living:
        kept = placed(self._graph, space)
        engine = Incremental(model, self._graph, self._known, space.meta.reference, self._pace, kept)
        return Living(engine, space.meta, self._clock.wall())

    # -- on the disk

    def left(self, model: Callable[[Any], Any]) -> tuple[Space, Any] | None:
        """What is on the disk, and the model that it was computed with. From any thread."""
        space = self._shelf.newest(self._data)
        if space is None:
            return None
        try:
            return space, model(space.meta)
        except ShopkeeperError as error:
            _LOGGER.error("the vectors of %s v%d do not serve: %s", SPACE, space.meta.version, error.message)
            return None

    def snapshot(self) -> Space | None:
        return None if self.living is None else self.living.snapshot(self._graph, self.seq)

    def write(self, space: Space) -> None:
        """What cannot be written is told: the next start computes from what is there. From any thread."""
        try:
            self._shelf.save(space)
        except OSError as error:
            self.dirty = True
            _LOGGER.error("the graph's vectors cannot be written: %s", error)
