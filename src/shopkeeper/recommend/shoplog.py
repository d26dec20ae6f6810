"""The shop's own log, read in a training job."""

from __future__ import annotations

from dataclasses import dataclass

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.recommend.orders import Orders
from shopkeeper.stores.vocabulary import Vocabulary
from shopkeeper.stores.whole_log import fingerprint, read_log


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
        return fingerprint(self.events)


def read_shop(context: TrainingContext, report: Report) -> ShopLog:
    """Reads the whole log, read-only."""
    log = read_log(context, report)
    items = log.names.items
    return ShopLog(log.events, tuple(items.ids(range(len(items)))), log.names.event_types)
