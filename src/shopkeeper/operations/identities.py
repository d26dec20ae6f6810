"""Identification and merging: the stores change in one transaction, then derived state, then whoever else keeps a state
of users is told. An answer comes when all of that has happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeAlias

from shopkeeper.core.records import Identified, Identity
from shopkeeper.features.state import FeatureState
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.following import Change, Following
from shopkeeper.stores.identities import Done, IdentityStore, Moved

Listener: TypeAlias = Callable[[int, int], None]
_LOGGER = logging.getLogger(__name__)
_NOBODY = Actor()


class Identities:
    """`subscribe` before the followers are attached; the rest is safe to call from any thread."""

    def __init__(self, store: IdentityStore, following: Following, features: FeatureState) -> None:
        self._store = store
        self._following = following
        self._features = features
        self._listeners: tuple[Listener, ...] = ()
        store.tell(self)

    def get(self, user_id: str) -> Identity:
        """Of a merged id: that of the user it was merged into. Raises NotFound."""
        return self._store.get(user_id)

    def bind(self, anonymous_id: str, user_id: str, actor: Actor = _NOBODY) -> Future[Identified]:
        """See `IdentityStore.bind`. Done when it is durable and, in a running shop, seen by profiles and slates."""
        return _answered(self._store.bind(anonymous_id, user_id, actor))

    def merge(self, from_user_id: str, into_user_id: str, actor: Actor = _NOBODY) -> Future[Identified]:
        """See `IdentityStore.merge`. Done when it is durable and, in a running shop, seen by profiles and slates."""
        return _answered(self._store.merge(from_user_id, into_user_id, actor))

    def subscribe(self, listener: Listener) -> None:
        """`listener(source, target)` on the followers' thread, when features know that the rows are one person."""
        self._listeners = (*self._listeners, listener)

    # -- on the writer's thread, told by the store

    def begun(self) -> None:
        self._following.begin_change()

    def moved(self, moved: Moved) -> None:
        shown: Future[None] = Future()
        mine = moved.events.seq[moved.events.user == moved.source]
        change = Change(moved.seq, moved.source, mine, lambda: self._act(moved, shown))
        taken = self._following.at(change)
        if taken is not None:
            taken.add_done_callback(lambda one: _set(shown) if one.cancelled() else None)
            moved.shown = shown

    def ended(self) -> None:
        self._following.end_change()

    # -- on the followers' thread

    def _act(self, moved: Moved, shown: Future[None]) -> None:
        try:
            rest = self._features.merge(moved.source, moved.target, moved.events)
        except BaseException:
            _set(shown)  # it is durable, and whoever waits cannot help it: the caller logs the error
            raise
        for listener in self._listeners:
            try:
                listener(moved.source, moved.target)
            except Exception:  # an edge: one must not stop the others
                _LOGGER.exception("a listener to merged users failed")
        _finish(rest, shown)


def _finish(rest: Iterator[None], shown: Future[None]) -> None:
    """The rest of a merge, a piece a turn of the loop; at once where no loop runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        for _ in rest:
            pass
        _set(shown)
        return

    def turn() -> None:
        try:
            next(rest)
        except StopIteration:
            _set(shown)
        except Exception:
            _LOGGER.exception("pairs of items of a merged user are not counted until the next start")
            _set(shown)
        else:
            loop.call_soon(turn)

    turn()


def _set(shown: Future[None]) -> None:
    """All on the followers' thread: nobody comes in between."""
    if not shown.done():
        shown.set_result(None)


def _answered(written: Future[Done]) -> Future[Identified]:
    """Done when the change was written and shown."""
    answer: Future[Identified] = Future()

    def give(done: Done) -> None:
        if answer.set_running_or_notify_cancel():
            answer.set_result(done.identity)

    def wrote(future: Future[Done]) -> None:
        error = future.exception()
        if error is not None:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)
            return
        done = future.result()
        if done.moved is None or done.moved.shown is None:
            give(done)
        else:
            done.moved.shown.add_done_callback(lambda _: give(done))

    written.add_done_callback(wrote)
    return answer
