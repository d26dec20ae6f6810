"""The whole log at once, as a training job reads it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies

_SLICE = 200_000


@dataclass(frozen=True)
class WholeLog:
    """All events up to the context's `now` in order of time, and the names that their rows stand for."""

    events: EventBatch
    names: Vocabularies


def fingerprint(events: EventBatch) -> str:
    """SHA-256 over users, items, types and times."""
    digest = hashlib.sha256()
    for column in (events.user, events.item, events.type, events.time):
        digest.update(column.tobytes())
    return digest.hexdigest()


def read_log(context: TrainingContext, report: Report) -> WholeLog:
    """Reads it read-only; empty when nothing has happened."""
    db = open_database(context.sql_url, read_only=True)
    try:
        names = Vocabularies.load(db)
        log = EventLog(db, names, StoppedClock(context.now))
        slices: list[EventBatch] = []
        after, last = 0, log.last_seq
        while after < last and len(batch := log.read(after, _SLICE)):
            slices.append(batch)
            after = int(batch.seq[-1])
            report(after, last, message="reading the log")
    finally:
        db.close()
    events = EventBatch.join(slices)
    return WholeLog(events.take(events.time <= context.now).by_time(), names)
