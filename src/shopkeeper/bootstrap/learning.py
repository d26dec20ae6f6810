"""What goes on learning while the shop sells."""

from __future__ import annotations

from shopkeeper.bootstrap.furnishing import Stores
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock
from shopkeeper.core.learning import TunedRewards
from shopkeeper.lifecycle.gradual import Gradual
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.recommend.online.service import Online
from shopkeeper.recommend.rewards.tuning import tuned
from shopkeeper.stores.sql import Database

_SLICE = 200_000


def online_learning(
    db: Database,
    clock: Clock,
    stores: Stores,
    *,
    registry: Registry,
    releases: Releases,
    gradual: Gradual,
    jobs: JobService,
) -> Online:
    return Online(db, stores.vocab, clock, registry, releases, gradual=gradual, job=jobs.get)


def tuned_rewards(stores: Stores, days: int, early_hours: float) -> TunedRewards:
    """By the whole log, read slice by slice; on a thread. Raises Invalid (`no_data`)."""
    slices: list[EventBatch] = []
    after, last = 0, stores.log.last_seq
    while after < last and len(batch := stores.log.read(after, _SLICE)):
        slices.append(batch)
        after = int(batch.seq[-1])
    types = [stores.vocab.event_types.id(row) for row in range(len(stores.vocab.event_types))]
    return tuned(EventBatch.join(slices).by_time(), types, days=days, early_hours=early_hours)
