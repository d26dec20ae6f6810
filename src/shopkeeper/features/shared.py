"""Features of users on the level that processes share: what one has computed, all may read, for a few minutes.

A process reads its own state first: that is faster than any network, and knows the newest event. What it tells is put
here too, beside the answer and nobody waiting, for processes whose own state is broken. What the moment and the request
say is never kept: it is read anew (`realtime.with_moment`).

Keys: namespace, shop, "features", the feature version that counts, the user's row. Values: msgpack of
`{"at": us, "told": what realtime.of_user gives}`.
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


class _Kept(msgspec.Struct):
    at: int
    told: dict[str, Any]


class SharedFeatures:
    """Used on one loop. `version`: the feature version that counts; another one has other keys."""

    def __init__(self, shared: Shared, *, clock: Clock, version: Callable[[], int], ttl_s: float = TTL_S) -> None:
        self._shared = shared
        self._clock = clock
        self._version = version
        self._ttl_s = ttl_s
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Kept).decode

    def put(self, row: int, told: dict[str, Any]) -> None:
        """Sent at the end of the tick with all others."""
        kept = _Kept(self._clock.now(), {**told, "contextual": {}})
        self._shared.put(self._key(row), self._encode(kept), self._ttl_s)

    async def get_many(self, rows: Sequence[int]) -> list[dict[str, Any] | None]:
        """In one round trip; None: not there, too old, or not to be had now. Ages are as of now."""
        values = await self._shared.get_many([self._key(row) for row in rows])
        return [None if value is None else self._read(value) for value in values]

    def hear(self, change: Change) -> None:
        """What a user did makes what is kept of them old."""
        if change.kind == "user" and change.rows:
            self._shared.drop([self._key(row) for row in change.rows])

    def _read(self, value: bytes) -> dict[str, Any] | None:
        try:
            kept = self._decode(value)
        except msgspec.DecodeError:
            return None
        age = self._clock.now() - kept.at
        if not -_AHEAD <= age <= self._ttl_s * SECOND:
            return None
        return _older(kept.told, max(age, 0) / SECOND)

    def _key(self, row: int) -> str:
        return self._shared.key("features", str(self._version()), str(row))


def _older(told: dict[str, Any], by_s: float) -> dict[str, Any]:
    def older(age_s: float | None) -> float | None:
        return None if age_s is None else age_s + by_s

    values = {name: {**value, "age_s": older(value["age_s"])} for name, value in told["values"].items()}
    return {**told, "ages": {name: older(age) for name, age in told["ages"].items()}, "values": values}
