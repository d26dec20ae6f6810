"""Who was answered by which variant, written to SQL in batches behind the answers, once a user and phase.

The queue is bounded: when it is full an exposure is not noted, and the user's next computed answer notes it. So it is
with those that a killed process had not written. What waits of an erased user goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Overloaded, Unavailable
from shopkeeper.lifecycle.experiments.assigning import Chosen, Draw
from shopkeeper.recommend.behind import WrittenBehind
from shopkeeper.stores import experiments as table
from shopkeeper.stores.experiments import Unit
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
_BATCH = 2_000


class ExposureLog(WrittenBehind):
    """`note` on the loop. `last_seq`: the newest event of the log; `most` exposures may wait."""

    name = "exposures"
    gather_s = 0.5

    def __init__(
        self,
        db: Database,
        users: UserVocabulary,
        clock: Clock,
        *,
        last_seq: Callable[[], int],
        most: int = 20_000,
    ) -> None:
        super().__init__()
        self._db = db
        self._users = users
        self._clock = clock
        self._last_seq = last_seq
        self._most = most
        self._pending: list[tuple[Draw, Unit]] = []
        self._writing: list[tuple[Draw, Unit]] = []

    @property
    def waiting(self) -> int:
        """Exposures that are not written yet."""
        return len(self._pending) + len(self._writing)

    def note(self, chosen: tuple[Chosen, ...]) -> None:
        """Somebody was answered so. Of one who was before nothing is written."""
        for one in chosen:
            if not one.counted:
                continue
            if self.waiting >= self._most:
                metrics.experiment_exposures_put_off_total.inc()
                continue
            draw, row = one.draw, one.row
            if draw.mark(row, one.variant):
                moved = draw.moved.get(row) is not None
                unit = Unit(
                    draw.experiment_id, draw.phase, row, one.variant, self._clock.now(), self._last_seq(), moved
                )
                self._pending.append((draw, unit))
                self._noted.set()

    def forget(self, row: int) -> None:
        """Of an erased user nothing waits any more."""
        self._pending = [one for one in self._pending if one[1].user_row != row]
        self._writing = [one for one in self._writing if one[1].user_row != row]

    def _anything(self) -> bool:
        return self.waiting > 0

    async def _try(self) -> bool:
        try:
            while self._anything():
                await self._write()
        except (Unavailable, Overloaded) as error:
            _LOGGER.warning("%d exposures wait to be written: %s", self.waiting, error.message)
            return False
        except Exception:  # an edge: what cannot be written must not keep what comes after it from being written
            _LOGGER.exception("%d exposures could not be written", len(self._writing))
            for draw, unit in self._writing:
                draw.unmark(unit.user_row)
            self._writing = []
        return True

    async def _write(self) -> None:
        if not self._writing:
            self._writing, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]

        def write(connection: Connection) -> int:
            units = [found for _, unit in self._writing if (found := self._present(unit)) is not None]
            return table.add_units(connection, units)

        added = await asyncio.wrap_future(self._db.writer.submit(write))
        self._writing = []
        metrics.experiment_exposures_total.inc(added)

    def _present(self, unit: Unit) -> Unit | None:
        """On the writer's thread. Who was bound or merged meanwhile is somebody else's row; an erased one nobody's."""
        id = self._users.id(unit.user_row)
        row = self._users.anonymous_row(id) if self._users.is_anonymous(unit.user_row) else self._users.row(id)
        if row is None:
            return None
        if row == unit.user_row:
            return unit
        return Unit(unit.experiment_id, unit.phase, row, unit.variant, unit.exposed_at, unit.exposed_seq, moved=True)
