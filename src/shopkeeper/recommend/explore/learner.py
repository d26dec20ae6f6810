"""The one that learns from drawn slots: by a lease in SQL, each round once, when the time of its feedback is over.

What was learned and the number of the last row that it knows are one write. Whoever is killed leaves the snapshot
before, and who comes next goes on from there; a snapshot that somebody else has overtaken is thrown away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.clock import DAY, MINUTE, SECOND, Clock
from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.explore.asked import Exploring, is_held
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.explore.policy import Learner
from shopkeeper.recommend.explore.snapshots import Snapshots, begun, restored
from shopkeeper.stores import exploring
from shopkeeper.stores.exploring import ExploredRow, Learned
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabulary
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
LEASE = "exploring"
SNAPSHOT_ROWS = 2_000
"""So many slates are learned before a snapshot at most."""
_AHEAD = 5 * MINUTE
_DROPPED = 2_000


@dataclass(frozen=True)
class Shelf:
    """`items` of the shop; `active` bool by item row: may it be shown?"""

    items: Vocabulary
    active: Callable[[], NDArray[np.bool_]]


class Learning:
    """`turn` is called from time to time, on one thread at a time and never on the loop. `worker` names the process;
    `window_s` is how long feedback counts, `keep_days` how long draws are kept."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        snapshots: Snapshots,
        earnings: Earnings,
        shelf: Shelf,
        *,
        worker: str,
        window_s: float = 1800.0,
        keep_days: float = 30.0,
    ) -> None:
        self._db, self._clock = db, clock
        self._snapshots, self._earnings, self._shelf = snapshots, earnings, shelf
        self._worker = worker
        self._window = round(window_s * SECOND)
        self._keep = round(keep_days * DAY)
        self._learners: dict[tuple[str, str], tuple[int, Learner]] = {}

    def turn(self) -> int:
        """How many slates were learned here. Whether or not this process learns, its snapshots are the newest then.

        Raises Unavailable, Overloaded when SQL does not answer.
        """
        now = self._clock.wall()
        learned = 0
        if self._db.writer.run(lambda one: exploring.lease(one, LEASE, self._worker, now=now)):
            self.step("leased")
            learned = self._learn_all()
            self._drop_old(now)
        else:
            self._learners.clear()
        self.refresh()
        return learned

    def refresh(self) -> None:
        """Takes over what others have learned of what draws here."""
        held = self._snapshots.held()
        with self._db.read() as connection:
            newest = exploring.numbers(connection)
            for key, number in held.items():
                if newest.get(key, (0, 0))[0] > number:
                    found = exploring.learned(connection, *key)
                    if found is not None:
                        self._take(found)

    def _take(self, found: Learned) -> None:
        try:
            self._snapshots.take(found, restored(found).snapshot())
        except Exception:  # an edge: a state that cannot be read keeps no other from being taken over
            _LOGGER.exception("what was learned for scenario %s could not be taken over", found.scenario)

    def release(self) -> None:
        """Whoever comes next need not wait for the end of the lease."""
        self._db.writer.run(lambda one: exploring.release(one, LEASE, self._worker))

    def step(self, name: str) -> None:
        """Called after each step, by its name: leased, read, learned, written (not yet durable), durable, shown."""

    # -- learning

    def _learn_all(self) -> int:
        with self._db.read() as connection:
            spans, newest = exploring.spans(connection), exploring.numbers(connection)
        learned = 0
        for scenario, key, first, last in spans:
            if last <= newest.get((scenario, key), (0, 0))[1]:
                continue
            try:
                while (count := self._learn(scenario, key, first)) is not None:
                    learned += count
                    if count < SNAPSHOT_ROWS:
                        break
            except Invalid as error:  # a policy that is not installed here, or another's state: the others learn
                _LOGGER.warning("nothing is learned for scenario %s: %s", scenario, error.message)
            except Exception:  # an edge: what one scenario meets keeps no other from learning
                _LOGGER.exception("nothing is learned for scenario %s", scenario)
        return learned

    def _learn(self, scenario: str, key: str, first: int) -> int | None:
        """Up to one snapshot more. How many slates that was; None: somebody else has learned meanwhile."""
        with self._db.read() as connection:
            before = exploring.learned(connection, scenario, key)
            position = first - 1 if before is None else before.position
            due = self._due(exploring.after(connection, scenario, key, position, SNAPSHOT_ROWS))
            if not due:
                return 0
            earned = self._earnings.of(connection, due)
            self.step("read")
            learner = self._learner(connection, before, due[0], first)
        active, rounds = self._shelf.active(), 0
        for row in due:
            if row.seq in earned and not is_held(row.slate_id, row.asked):
                rounds += self._teach(learner, row, earned[row.seq], active)
        policy = self._without_gone(learner, active)
        self.step("learned")
        fresh = Learned(
            scenario=scenario,
            key=key,
            policy=due[0].policy,
            asked=due[0].asked,
            number=1 if before is None else before.number + 1,
            position=due[-1].seq,
            rounds=rounds + (0 if before is None else before.rounds),
            state=learner.state(),
            changed_at=self._clock.wall(),
        )
        rewards = {seq: numbers.tobytes() for seq, numbers in earned.items()}
        if not self._db.writer.run(lambda one: self._write(one, fresh, rewards)):
            self._learners.pop((scenario, key), None)
            return None
        self.step("durable")
        self._learners[scenario, key] = (fresh.number, learner)
        self._snapshots.take(fresh, policy)
        metrics.explore_rounds_total.labels(scenario).inc(rounds)
        self.step("shown")
        return len(due)

    def _write(self, connection: Connection, fresh: Learned, rewards: dict[int, bytes]) -> bool:
        if not exploring.holds(connection, LEASE, self._worker):
            return False
        if not exploring.keep(connection, fresh, fresh.number - 1):
            return False
        exploring.reward(connection, rewards)
        self.step("written")
        return True

    def _due(self, rows: Sequence[ExploredRow]) -> list[ExploredRow]:
        """The first of them, as far as their time is over. One that lies ahead was noted before the clock was set back:
        nobody knows how long that is ago."""
        now = self._clock.wall()
        due = []
        for row in rows:
            if row.noted_at + self._window > now and row.noted_at <= now + _AHEAD:
                break
            due.append(row)
        return due

    def _learner(self, connection: Connection, before: Learned | None, row: ExploredRow, first: int) -> Learner:
        """As the last snapshot left it; one that begins learns first what others drew for the scenario before it."""
        kept = self._learners.pop((row.scenario, row.key), None)  # given back when what it learns is durable
        if before is not None:
            return kept[1] if kept is not None and kept[0] == before.number else restored(before)
        asked = Exploring(row.policy, context=tuple(row.asked["context"]), params=row.asked["params"])
        learner, active = begun(asked), self._shelf.active()
        for old in exploring.earlier(connection, row.scenario, first):
            alike = old.asked["context"] == row.asked["context"]
            if old.earned is not None and alike and not is_held(old.slate_id, row.asked):
                self._teach(learner, old, old.earned, active)
        return learner

    def _teach(self, learner: Learner, row: ExploredRow, earned: NDArray[np.float64], active: NDArray[np.bool_]) -> int:
        rounds = 0
        context = row.vector
        for item, reward, chance in zip(row.items.tolist(), earned.tolist(), row.propensities.tolist(), strict=True):
            if item >= len(active) or not active[item]:
                continue  # taken away while it was shown
            try:
                learner.learn(learner.place(self._shelf.items.id(item)), reward, context, chance)
                rounds += 1
            except Invalid as error:
                _LOGGER.warning("a round of slate %s teaches nothing: %s", row.slate_id, error.message)
        return rounds

    def _without_gone(self, learner: Learner, active: NDArray[np.bool_]) -> Any:
        """The snapshot, without arms that are not sold any more: what is learned is no larger than the shop."""
        policy = learner.snapshot()
        gone = list(self._gone(policy.arm_ids, active))
        for arm in gone:
            learner.forget(arm)
        return learner.snapshot() if gone else policy

    def _gone(self, arm_ids: Iterable[str], active: NDArray[np.bool_]) -> Iterable[int]:
        for arm, item_id in enumerate(arm_ids):
            row = self._shelf.items.row(item_id)
            if item_id and (row is None or row >= len(active) or not active[row]):
                yield arm

    def _drop_old(self, now: int) -> None:
        """Piece by piece, the rest at the next turn."""
        before = now - self._keep
        self._db.writer.run(lambda one: exploring.drop_before(one, before // 1000, _DROPPED))
        self._db.writer.run(lambda one: exploring.forget(one, before))
