"""The one path on which kept answers hear that what they were made of has changed.

Whoever changes something says so once; caches listen. Listeners are called on the loop of the shop, in the order in
which changes were told, so that they need no locks; before a loop is attached, on the thread that tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["user", "item", "scenario", "model", "rules", "features", "all"]
Listener: TypeAlias = "Callable[[Change], None]"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """`rows` of users or items, `names` of scenarios or models; neither: all of that kind."""

    kind: Kind
    rows: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


class Changes:
    """Tells every change to every listener. A listener that fails is logged and does not keep others from hearing."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def detach(self) -> None:
        self._loop = None

    def subscribe(self, listener: Listener) -> None:
        """On the thread of the loop from now on; it must not wait."""
        self._listeners = (*self._listeners, listener)

    def tell(self, change: Change) -> None:
        """From any thread. On the loop's own, listeners have heard it when this returns."""
        loop = self._loop
        if loop is None or _running() is loop:
            self._heard(change)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._heard, change)

    def _heard(self, change: Change) -> None:
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:  # an edge: a cache that fails must not keep an event from being applied
                _LOGGER.exception("a listener failed to hear of a change of kind %s", change.kind)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
