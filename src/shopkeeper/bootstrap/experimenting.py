"""The parts of a shop that try things: who gets what, what came of it, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shopkeeper.bootstrap.furnishing import Stores
from shopkeeper.bootstrap.shaping import Shaped
from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import Clock
from shopkeeper.lifecycle.experiments import Assignments, ExperimentBook, Keeper, Targets
from shopkeeper.lifecycle.experiments.models import ModelTarget
from shopkeeper.lifecycle.experiments.people import People
from shopkeeper.lifecycle.experiments.reckoning import Reckoning
from shopkeeper.lifecycle.experiments.versions import ModelVariants
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.operations.erasure import Erasure
from shopkeeper.operations.exposures import ExposureLog
from shopkeeper.operations.identities import Identities
from shopkeeper.recommend.feedback import BY_VALUE, REWARDS
from shopkeeper.recommend.rewards.signals import SIGNALS, STANDS_FOR
from shopkeeper.recommend.variants import ScenarioTarget, ScenarioVariants
from shopkeeper.stores.experiment_sums import Reward
from shopkeeper.stores.sql import Database


@dataclass(frozen=True)
class Trying:
    """What answers requests: it is there before the models and the scenarios are."""

    assignments: Assignments
    people: People
    exposures: ExposureLog
    models: ModelVariants
    scenarios: ScenarioVariants


@dataclass(frozen=True)
class Experimenting:
    """`start` and `stop` on the loop; `load` not on it."""

    trying: Trying
    book: ExperimentBook
    keeper: Keeper

    def load(self) -> None:
        self.book.load()

    def start(self) -> None:
        self.trying.exposures.start()

    async def stop(self) -> None:
        """Writes what waits; the database is open still."""
        await self.trying.exposures.stop()


def trying(db: Database, clock: Clock, stores: Stores, allows: Callable[[int], bool]) -> Trying:
    """`allows`: whether the user of a row may be personalised."""
    users = stores.vocab.users
    assignments = Assignments()
    people = People(users, allows)
    exposures = ExposureLog(db, users, clock, last_seq=lambda: stores.log.last_seq)
    models = ModelVariants(assignments, people, exposures.note)
    return Trying(assignments, people, exposures, models, ScenarioVariants(assignments, people))


def rewards() -> dict[str, Reward]:
    """Of every type of event that is feedback: what the learners count, see recommend/rewards/signals.py."""
    found = {}
    for kind in SIGNALS:
        name = STANDS_FOR.get(kind, kind)
        fixed = REWARDS[name]
        found[kind] = Reward(fixed) if fixed is not None else Reward(None, *BY_VALUE[name])
    return found


def experimenting(
    db: Database,
    clock: Clock,
    tries: Trying,
    *,
    stores: Stores,
    registry: Registry,
    traffic: Traffic,
    shaped: Shaped,
    changes: Changes,
    identities: Identities,
    erasure: Erasure,
) -> Experimenting:
    scenarios = ScenarioTarget(shaped.book, shaped.known, lambda name: changes.tell(Change("scenario", names=(name,))))
    targets = Targets(scenarios, ModelTarget(registry, traffic))
    reckoning = Reckoning(db, stores.vocab.event_types, clock, rewards())
    book = ExperimentBook(
        db,
        clock,
        targets=targets,
        people=tries.people,
        assignments=tries.assignments,
        reckoning=reckoning,
        last_seq=lambda: stores.log.last_seq,
    )
    identities.subscribe(tries.assignments.merged)
    erasure.subscribe(tries.assignments.forget)
    erasure.subscribe(tries.exposures.forget)
    return Experimenting(tries, book, Keeper(book, reckoning, targets, clock))
