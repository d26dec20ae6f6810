"""Up to when segments are right, and which of them are filled: kept, so that the next process can go on from there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future

import msgspec

from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import Database

_LOGGER = logging.getLogger(__name__)
_KEY = "segments.left_off"


class Standing(msgspec.Struct, frozen=True):
    """`at` us of the shop's clock; `known` has the version of each segment that everybody was looked at for."""

    at: int
    known: Mapping[str, int]


class LeftOff:
    def __init__(self, db: Database) -> None:
        self._meta = Meta(db)
        self._kept_at = 0

    def read(self) -> Standing | None:
        kept = self._meta.get(_KEY)
        return None if kept is None else msgspec.json.decode(kept, type=Standing)

    def due(self, wall: int) -> bool:
        """It was kept more than a minute ago, or at a time that the clock has left."""
        return abs(wall - self._kept_at) >= MINUTE

    def keep(self, standing: Standing, wall: int) -> None:
        """In the background; while the queue is full, at the next turn."""
        try:
            self._write(standing)
            self._kept_at = wall
        except ShopkeeperError:
            self._kept_at = 0

    def keep_now(self, standing: Standing) -> None:
        """Returns when it is durable; when it cannot be, the next start has more to make up for."""
        try:
            self._write(standing).result()
        except ShopkeeperError as error:
            _LOGGER.error("where segments are left off is not kept: %s", error.message)

    def _write(self, standing: Standing) -> Future[None]:
        return self._meta.set(_KEY, msgspec.json.encode(standing).decode())
