"""What rankers saw when they ranked: a share of the slates, written in batches beside the answers.

Rows to learn from that are what served, by construction; and the means to measure whether a replay of the log computes
the same (skew, see ranking/skew.py). Noting never waits: while the bounded queue is full, slates are passed over.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from functools import partial

import numpy as np

from shopkeeper.core.errors import Overloaded, Unavailable
from shopkeeper.recommend.behind import WrittenBehind
from shopkeeper.recommend.made import Made
from shopkeeper.stores import served_vectors
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
_BATCH = 200


class ServedLog(WrittenBehind):
    """`note` on the loop. `share` of the slates is logged, by their ids: whether one is, never changes. `waiting` is
    how many may wait to be written."""

    name = "served vectors"
    gather_s = 1.0

    def __init__(self, db: Database, *, share: float = 0.05, waiting: int = 2_000) -> None:
        super().__init__()
        self._db = db
        self._below = int(share * 2**32)
        self._bound = waiting
        self._pending: list[ServedVectors] = []
        self._writing: list[ServedVectors] = []

    @property
    def waiting(self) -> int:
        """Slates that are not written yet."""
        return len(self._pending) + len(self._writing)

    def note(self, made: Made) -> None:
        """A slate was computed. One that nothing ranked has nothing to log."""
        seen = made.seen
        if seen is None or not len(made.rows) or zlib.crc32(made.slate_id.encode()) >= self._below:
            return
        if self.waiting >= self._bound:
            metrics.served_vectors_lost_total.inc()
            return
        self._pending.append(
            ServedVectors(
                slate_id=made.slate_id,
                user_row=made.user if made.user >= 0 else None,
                made_at=made.made_at,
                model=seen.model,
                model_version=seen.version,
                names=list(seen.names),
                item_rows=made.rows.astype(np.int32).tobytes(),
                vectors=np.ascontiguousarray(seen.vectors, dtype=np.float32).tobytes(),
            )
        )
        self._noted.set()

    def forget(self, row: int) -> None:
        """Of an erased person nothing waits any more."""
        self._pending = [one for one in self._pending if one.user_row != row]
        self._writing = [one for one in self._writing if one.user_row != row]

    def _anything(self) -> bool:
        return self.waiting > 0

    async def _try(self) -> bool:
        try:
            while self.waiting:
                if not self._writing:
                    self._writing, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
                rows = self._writing
                work = partial(served_vectors.add, rows=rows)
                added = await asyncio.wrap_future(self._db.writer.submit(work))
                self._writing = []
                metrics.served_vectors_logged_total.inc(added)
                if len(self._pending) < _BATCH and not self._ending.is_set():
                    break  # what came meanwhile is gathered again
        except (Unavailable, Overloaded) as error:
            _LOGGER.warning("what rankers saw of %d slates waits to be logged: %s", self.waiting, error.message)
            return False
        except Exception:  # an edge: what cannot be written must not keep what comes after it from being written
            _LOGGER.exception("what rankers saw of %d slates could not be logged", len(self._writing))
            metrics.served_vectors_lost_total.inc(len(self._writing))
            self._writing = []
        return True
