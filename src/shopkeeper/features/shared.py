"""Features of users on the level that processes share: what one has computed, all may read, for a few minutes.

A process reads its own state first: that is faster than any network, and knows the newest event. What it tells is put
here too, beside the answer and nobody waiting, for processes whose own state is broken. What the moment and the request
say is never kept: it is read anew (`realtime.with_moment`).

Keys: namespace, shop, data, "features", the user's row. Values: msgpack of `{"at": us, "version": the feature version
that counted, "told": what realtime.of_user gives}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import SECOND, Clock
from shopkeeper.stores.redis import Shared

TTL_S = 300.0
_AHEAD = 5 * SECOND  # clocks of machines differ
_MANY = 1_000  # users that changed at once: beyond that nothing from before is read any more


class _Age(msgspec.Struct):
    age_s: float | None
    status: str


class _Told(msgspec.Struct):
    temporal: dict[str, float]
    behavioral: dict[str, float]
    contextual: dict[str, float]
    aggregated: dict[str, float]
    timestamp: str
    ages: dict[str, float | None]
    values: dict[str, _Age]


class _Kept(msgspec.Struct):
    at: int
    version: int
    told: _Told


class SharedFeatures:
    """Used on one loop. `version`: the feature version that counts; what was told under another one is not read."""

    def __init__(self, shared: Shared, *, clock: Clock, version: Callable[[], int], ttl_s: float = TTL_S) -> None:
        self._shared = shared
        self._clock = clock
        self._version = version
        self._ttl_s = ttl_s
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Kept).decode
        self._since = -1  # us: what was told up to then is not read
        shared.on_missed(self._distrust)

    def put(self, row: int, told: dict[str, Any]) -> None:
        """Sent at the end of the tick with all others."""
        kept = {"at": self._clock.now(), "version": self._version(), "told": {**told, "contextual": {}}}
        self._shared.put(self._key(row), self._encode(kept), self._ttl_s)

    async def get_many(self, rows: Sequence[int]) -> list[dict[str, Any] | None]:
        """In one round trip; None: not there, too old, or not to be had now. Ages are as of now."""
        values = await self._shared.get_many([self._key(row) for row in rows])
        return [None if value is None else self._read(value) for value in values]

    def hear(self, change: Change) -> None:
        """What a user did makes what is kept of them old."""
        if change.kind == "user" and 0 < len(change.rows) <= _MANY:
            self._shared.drop([self._key(row) for row in change.rows])
        elif change.kind in ("user", "all"):
            self._distrust()

    def _distrust(self) -> None:
        """Users changed, and it is not known of whom something is kept still."""
        self._since = self._clock.now()

    def _read(self, value: bytes) -> dict[str, Any] | None:
        try:
            kept = self._decode(value)
        except msgspec.DecodeError:  # torn, or of another release
            return None
        age = self._clock.now() - kept.at
        if kept.version != self._version() or kept.at <= self._since or not -_AHEAD <= age <= self._ttl_s * SECOND:
            return None
        told: dict[str, Any] = msgspec.to_builtins(_older(kept.told, max(age, 0) / SECOND))
        return told

    def _key(self, row: int) -> str:
        return self._shared.key("features", str(row))


def _older(told: _Told, by_s: float) -> _Told:
    def older(age_s: float | None) -> float | None:
        return None if age_s is None else age_s + by_s

    values = {name: _Age(older(value.age_s), value.status) for name, value in told.values.items()}
    return msgspec.structs.replace(told, ages={name: older(age) for name, age in told.ages.items()}, values=values)
