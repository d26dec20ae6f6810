"""The slates that processes of one shop share, and the telling of changes from one to the others.

A hash for each user, so that one command takes away all that was kept of them. What a slate is made of may have
changed while it was on its way: it says when its computation began, and is passed over when anything of it has changed
since, or when this process cannot have heard of all changes since. Processes share one machine's clock, or clocks that
agree.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import Final, Protocol

import msgspec

from shopkeeper.core.changes import Change, Changes, Kind
from shopkeeper.core.clock import SECOND, Clock
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.slates.entry import Entry
from shopkeeper.recommend.slates.keys import Key, Who
from shopkeeper.stores.redis import Shared

_LOGGER = logging.getLogger(__name__)
_CHANNEL: Final = "changes"
_SLATES: Final = "slates"
_MANY: Final = 1_000  # users or items that changed at once; beyond that everything did
_REMEMBERED: Final = 100_000


class Users(Protocol):
    def id(self, row: int, /) -> str: ...

    def __len__(self) -> int: ...


class _Kept(msgspec.Struct, array_like=True):
    """`began` and `until` in us of the wall's clock."""

    slate_id: str
    tail: bytes
    scenario: str
    rows: tuple[int, ...]
    began: int
    until: int


class _Told(msgspec.Struct, array_like=True):
    origin: bytes
    kind: Kind
    rows: tuple[int, ...]
    names: tuple[str, ...]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Kept).decode
_unpack_told = msgspec.msgpack.Decoder(_Told).decode


class SharedSlates:
    """Used on one loop, between `start` and the closing of `shared`."""

    def __init__(self, shared: Shared, *, users: Users, clock: Clock, changes: Changes) -> None:
        self._shared, self._users, self._clock, self._changes = shared, users, clock, changes
        self._origin = os.urandom(8)
        self._relaying = self._listened = False
        self._since: int | None = None  # from when on every change was heard of; None: not yet
        self._changed: OrderedDict[Hashable, int] = OrderedDict()  # when what was told of changed, the latest last
        self.found = self.missed = self.outdated = 0

    def start(self) -> None:
        self._changes.subscribe(self._hear)
        self._shared.on_missed(self._lost)
        self._shared.listen(self._shared.key(_CHANNEL), self._heard, self._listening)

    # -- slates

    async def find(self, key: Key, request: RecRequest, now: Callable[[], float]) -> Entry | None:
        """What another process, or this one before, has computed; `now` is the clock of its `until`."""
        if self._since is None:
            return None
        packed = await self._shared.get_field(self._place(key[0]), _field(key))
        kept = None if packed is None else _read(packed)
        if kept is None:
            self.missed += 1
            return None
        wall = self._clock.wall()
        left = (kept.until - wall) / SECOND
        if left <= 0 or kept.began > wall or not self._holds(kept, key[0]):
            self.outdated += 1
            return None
        self.found += 1
        return Entry(
            key,
            request,
            slate_id=kept.slate_id,
            tail=kept.tail,
            scenario=kept.scenario,
            rows=kept.rows,
            until=now() + left,
            renew_at=now() + left * 0.9,
            # Others count on from the same slate: begin far from them, so that no two answers have one id.
            served=int.from_bytes(os.urandom(5)),
        )

    def put(self, entry: Entry, began: int, ttl_s: float) -> None:
        """`began` us of the wall's clock: when what it is made of was looked at."""
        if self._since is None:
            return
        until = self._clock.wall() + int(ttl_s * SECOND)
        kept = _Kept(entry.slate_id, entry.tail, entry.scenario, entry.rows, began, until)
        self._shared.put_field(self._place(entry.key[0]), _field(entry.key), _pack(kept), ttl_s)

    def drop(self, user_id: str, row: int | None) -> None:
        """All that is kept of a user, here and by others."""
        self._shared.drop([self._place(user_id)])
        if row is not None:
            self._changes.tell(Change("user", rows=(row,)))

    def _holds(self, kept: _Kept, who: Who) -> bool:
        since = self._since
        changed = self._changed
        if since is None or kept.began < since:
            return False
        if not changed:
            return True
        parts: list[Hashable] = [("user", who), ("scenario", kept.scenario), *(("item", row) for row in kept.rows)]
        return all(changed.get(part, -1) < kept.began for part in parts)

    def _place(self, who: Who) -> str:
        return self._shared.key(_SLATES, f"row:{who}" if isinstance(who, int) else f"id:{who}")

    # -- changes

    def _hear(self, change: Change) -> None:
        """Of this process's own changes the others are told, and what is kept in Redis of users goes."""
        kind, rows, names = change.kind, change.rows, change.names
        named: tuple[object, ...] = rows or names
        if not named or len(named) > _MANY or kind not in ("user", "item", "scenario"):
            self._trust_from_now()
        else:
            self._remember(kind, named)
            if kind == "user":
                known = len(self._users)
                ids = [self._users.id(row) for row in rows if 0 <= row < known]
                self._remember(kind, tuple(ids))
                who: tuple[Who, ...] = (*rows, *ids)
                self._shared.drop([self._place(one) for one in who])
        if not self._relaying:
            told = _Told(self._origin, kind, rows if len(rows) <= _MANY else (), names)
            self._shared.publish(self._shared.key(_CHANNEL), _pack(told))

    def _remember(self, kind: str, named: tuple[object, ...]) -> None:
        wall = self._clock.wall()
        for one in named:
            self._changed[(kind, one)] = wall
            self._changed.move_to_end((kind, one))
        while len(self._changed) > _REMEMBERED:
            _, at = self._changed.popitem(last=False)
            if self._since is not None:
                self._since = max(self._since, at + 1)

    def _trust_from_now(self) -> None:
        if self._since is not None:
            self._since = self._clock.wall() + 1
            self._changed.clear()

    def _heard(self, message: bytes) -> None:
        try:
            told = _unpack_told(message)
        except msgspec.DecodeError:
            _LOGGER.warning("a message in Redis that is none of this shop's was passed over")
            return
        if told.origin != self._origin:
            self._relay(Change(told.kind, told.rows, told.names))

    def _listening(self, on: bool) -> None:
        """What is told while nobody listens here is not heard: nothing that is shared is trusted then."""
        self._changed.clear()
        self._since = self._clock.wall() + 1 if on else None
        if on and self._listened:
            self._relay(Change("all"))
        self._listened = self._listened or on

    def _lost(self) -> None:
        """Changes that this process told did not arrive: nobody trusts what is kept from before."""
        self._trust_from_now()
        self._shared.publish(self._shared.key(_CHANNEL), _pack(_Told(self._origin, "all", (), ())))

    def _relay(self, change: Change) -> None:
        self._relaying = True
        try:
            self._changes.tell(change)
        finally:
            self._relaying = False

    def facts(self) -> dict[str, object]:
        """`listening`: changes of other processes are heard, and what is shared is used."""
        counts = {"hits": self.found, "misses": self.missed, "outdated": self.outdated}
        return {"listening": self._since is not None, **counts, **self._shared.facts()}


def _field(key: Key) -> bytes:
    return blake2b(key[1], digest_size=16).digest()


def _read(packed: bytes) -> _Kept | None:
    try:
        return _unpack(packed)
    except msgspec.DecodeError:
        return None  # of another release
