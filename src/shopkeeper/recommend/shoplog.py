"""The shop's own log, read in a training job."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.recommend.orders import Orders
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary

_SLICE = 200_000


@dataclass(frozen=True)
class ShopLog:
    """All events up to the context's `now` in order of time, and the names that their rows stand for."""

    events: EventBatch
    item_ids: tuple[str, ...]
    types: Vocabulary

    def orders(self) -> Orders:
        """Order lines of known users. Raises Invalid when there are none: nothing to learn from."""
        row = self.types.row("order")
        orders = None if row is None else Orders.from_events(self.events, row, self.item_ids)
        if orders is None or not len(orders):
            raise Invalid(
                "the shop has no orders of known users yet; import some (shopkeeper import orders.csv)", code="no_data"
            )
        return orders

    def fingerprint(self) -> str:
        """SHA-256 over users, items, types and times of all events."""
        digest = hashlib.sha256()
        for column in (self.events.user, self.events.item, self.events.type, self.events.time):
            digest.update(column.tobytes())
        return digest.hexdigest()


def read_shop(context: TrainingContext, report: Report) -> ShopLog:
    """Reads the whole log, read-only."""
    db = open_database(context.sql_url, read_only=True)
    try:
        names = Vocabularies.load(db)
        log = EventLog(db, names, StoppedClock(context.now))
        last = log.last_seq
        slices: list[EventBatch] = []
        after = 0
        while after < last:
            report(after, last, message="reading the log")
            batch = log.read(after, _SLICE)
            if not len(batch):
                break
            slices.append(batch)
            after = int(batch.seq[-1])
        item_ids = tuple(names.items.ids(range(len(names.items))))
    finally:
        db.close()
    events = EventBatch.join(slices)
    return ShopLog(events.take(events.time <= context.now).by_time(), item_ids, names.event_types)
