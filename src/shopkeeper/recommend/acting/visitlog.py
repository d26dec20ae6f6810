"""The log of visits in which an agent is asked: noted with the slates as they are answered, written beside the answers.

Noting never waits: while the bounded queue is full, slates are lost and counted, and nobody learns of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import Clock
from shopkeeper.recommend.acting.visits import OpenVisits
from shopkeeper.recommend.behind import InBatches
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.strangers import known_by_now
from shopkeeper.stores import visits as table
from shopkeeper.stores.sql import Database
from shopkeeper.stores.visits import VisitRow
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.telemetry import metrics


class VisitLog(InBatches[VisitRow]):
    """`note` on the loop. `last_seq` is the number of the log's newest event; `waiting` is how many slates may wait to
    be written."""

    name = "visits"
    gather_s = 0.5

    def __init__(
        self,
        db: Database,
        visits: OpenVisits,
        users: UserVocabulary,
        clock: Clock,
        *,
        last_seq: Callable[[], int],
        waiting: int = 5_000,
    ) -> None:
        super().__init__(db)
        self._visits, self._users, self._clock = visits, users, clock
        self._last_seq, self._bound = last_seq, waiting

    def note(self, made: Made) -> None:
        """A slate is answered for the first time: it is the next of its visit."""
        acted = made.acted
        if acted is None:
            return
        row = made.user if made.user >= 0 else self._users.row(made.user_id)
        visit_id, number = self._visits.show(made, acted, row)
        if self.waiting >= self._bound:
            metrics.visits_lost_total.inc()
            return
        self._pending.append(
            VisitRow(
                slate_id=made.slate_id,
                visit_id=visit_id,
                number=number,
                user_row=row,
                user_id=made.user_id if row is None else None,
                made_at=made.made_at,
                noted_at=self._clock.wall(),
                last_seq=self._last_seq(),
                scenario=made.scenario,
                scenario_version=made.scenario_version,
                agent_id=acted.asked.agent_id,
                key=acted.asked.key,
                state=acted.state.tolist(),
                action=acted.action,
                choice=acted.choice,
                propensity=acted.propensity,
                shown=np.asarray(made.rows, dtype=np.int32).tobytes(),
            )
        )
        self._noted.set()

    def hear(self, change: Change) -> None:
        """A stranger may be known by now."""
        if change.kind == "user":
            known_by_now(self._pending, self._users)
            known_by_now(self._writing, self._users)

    def forget(self, row: int) -> None:
        """Of an erased person nothing waits, and no visit is open."""
        super().forget(row)
        self._visits.forget(row)

    def _add(self, connection: Connection, rows: Sequence[VisitRow]) -> int:
        return table.add(connection, rows)

    def _count(self, _added: int, lost: int, /) -> None:
        metrics.visits_lost_total.inc(lost)
