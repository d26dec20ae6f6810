"""What rankers saw when they ranked: a share of the slates, written in batches beside the answers.

Rows to learn from that are what served, by construction; and the means to measure whether a replay of the log computes
the same (skew, see ranking/skew.py). Noting never waits: while the bounded queue is full, slates are passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from shopkeeper.recommend.behind import InBatches
from shopkeeper.recommend.made import Made
from shopkeeper.stores import served_vectors
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics


class ServedLog(InBatches[ServedVectors]):
    """`note` on the loop. `share` of the slates is logged, by their ids: whether one is, never changes. `waiting` is
    how many may wait to be written."""

    name = "served vectors"
    gather_s = 1.0

    def __init__(self, db: Database, *, share: float = 0.05, waiting: int = 2_000) -> None:
        super().__init__(db)
        self._below = int(share * 2**32)
        self._bound = waiting

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

    def _add(self, connection: Connection, rows: Sequence[ServedVectors]) -> int:
        return served_vectors.add(connection, rows)

    def _count(self, added: int, lost: int, /) -> None:
        metrics.served_vectors_logged_total.inc(added)
        metrics.served_vectors_lost_total.inc(lost)
