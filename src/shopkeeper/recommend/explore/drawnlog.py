"""The log of drawn slots: noted with the slates as they are answered, written in batches beside the answers.

Noting never waits: while the bounded queue is full, draws are lost and counted, and nobody learns of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import Clock
from shopkeeper.recommend.behind import InBatches
from shopkeeper.recommend.explore.explored import Explored
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.strangers import known_by_now
from shopkeeper.stores import exploring
from shopkeeper.stores.exploring import ExploredRow
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.telemetry import metrics


class DrawnLog(InBatches[ExploredRow]):
    """`note` on the loop. `strangers`: are people whom nobody knows learned of? `last_seq` is the number of the log's
    newest event; `waiting` is how many slates may wait to be written."""

    name = "drawn slots"
    gather_s = 0.5

    def __init__(
        self,
        db: Database,
        users: UserVocabulary,
        clock: Clock,
        *,
        last_seq: Callable[[], int],
        strangers: bool = True,
        waiting: int = 5_000,
    ) -> None:
        super().__init__(db)
        self._users, self._clock = users, clock
        self._last_seq, self._strangers = last_seq, strangers
        self._bound = waiting

    def note(self, made: Made) -> None:
        """A slate is answered for the first time. Nothing is kept of one who does not agree to personalisation."""
        drawn = made.explored
        if drawn is None:
            return
        row = made.user if made.user >= 0 else self._users.row(made.user_id)
        if made.user < 0 and (row is not None or not self._strangers):
            return
        if self.waiting >= self._bound:
            metrics.explored_lost_total.inc()
            return
        self._pending.append(self._row(made, drawn, row))
        self._noted.set()

    async def answer_of(self, scenario: str, user_id: str, item_row: int) -> str | None:
        """The newest of somebody's slates in which an item was drawn, written or not; None: there is none."""
        row = self._users.row(user_id)
        for one in (*reversed(self._pending), *reversed(self._writing)):
            mine = one.user_id == user_id or (row is not None and one.user_row == row)
            if mine and one.scenario == scenario and item_row in one.items:
                return one.slate_id
        return await asyncio.to_thread(self._written, scenario, row, user_id, item_row)

    def _written(self, scenario: str, row: int | None, user_id: str, item_row: int) -> str | None:
        with self._db.read() as connection:
            return exploring.answer_of(connection, scenario, row, user_id, item_row)

    def hear(self, change: Change) -> None:
        """A stranger may be known by now."""
        if change.kind == "user":
            known_by_now(self._pending, self._users)
            known_by_now(self._writing, self._users)

    def _row(self, made: Made, drawn: Explored, row: int | None) -> ExploredRow:
        asked, context = drawn.asked, drawn.context
        return ExploredRow(
            slate_id=made.slate_id,
            user_row=row,
            user_id=made.user_id if row is None else None,
            made_at=made.made_at,
            noted_at=self._clock.wall(),
            last_seq=self._last_seq(),
            scenario=made.scenario,
            scenario_version=made.scenario_version,
            key=asked.key,
            policy=asked.policy,
            snapshot=drawn.number,
            slots=np.array(drawn.slots, dtype=np.int32).tobytes(),
            drawn=drawn.drawn.tobytes(),
            pools=drawn.pools.tobytes(),
            chances=drawn.chances.tobytes(),
            asked=asked.begun_with,
            context=None if context is None else context.tobytes(),
        )

    def _add(self, connection: Connection, rows: Sequence[ExploredRow]) -> int:
        return exploring.add(connection, rows)

    def _count(self, _added: int, lost: int, /) -> None:
        metrics.explored_lost_total.inc(lost)
