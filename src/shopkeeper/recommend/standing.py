"""Rankers that scenarios name by alias or number: found and read from disk aside, and looked up again by and by."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from shopkeeper.core import protocols
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import Served
from shopkeeper.lifecycle.addresses import CHAMPION, parse_address

AGAIN_S = 10.0
"""An alias may name another version meanwhile, and a version that was missing may be there."""
_KEPT = 16

_LOGGER = logging.getLogger(__name__)


class Models(protocols.Models, Protocol):
    """Also those that are not in memory yet."""

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Served:
        """Loads it first where needed. Raises NotFound, Unavailable."""
        ...


class Standing:
    """Used on the thread that owns the feature state."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._found: dict[str, tuple[float, Served | None]] = {}
        self._sought: dict[str, asyncio.Task[None]] = {}

    def peek(self, name: str) -> Served | None:
        """What is in memory, or was found when it was looked for last. Raises Invalid for what is no address."""
        served = self._models.peek(*parse_address(name))
        return self._found.get(name, _NEVER)[1] if served is None else served

    async def ready(self, name: str, seconds: float) -> None:
        """Waits at most so long for what was never looked for; what was found a while ago is looked up beside.

        What cannot be had stays missing. Raises Invalid as `peek`.
        """
        model, ref = parse_address(name)
        if ref == CHAMPION or self._models.peek(model, ref) is not None:
            return
        at, _ = kept = self._found.get(name, _NEVER)
        if time.monotonic() - at < AGAIN_S:
            return
        seeking = self._sought.get(name)
        if seeking is None:
            seeking = self._sought[name] = asyncio.create_task(self._seek(name, model, ref))
        if kept is _NEVER:
            await asyncio.wait([seeking], timeout=seconds)

    async def _seek(self, name: str, model: str, ref: str) -> None:
        served = None
        try:
            served = await asyncio.to_thread(self._models.get, model, ref)
        except ShopkeeperError as error:
            _LOGGER.warning("the ranker %s of a scenario is left out: %s", name, error.message)
        except Exception:  # an edge: an artifact of a stranger's algorithm may raise anything
            _LOGGER.exception("the ranker %s of a scenario is left out", name)
        finally:
            del self._sought[name]
        self._found.pop(name, None)
        self._found[name] = time.monotonic(), served
        while len(self._found) > _KEPT:
            del self._found[next(iter(self._found))]


_NEVER: tuple[float, Served | None] = (float("-inf"), None)
