"""What is known of an item over all time: an accumulator and the features that read it.

Writes: first event, last sale, last unit price, order lines by item row. Memory: 36 bytes an item (8 in `Purchases`).
Sales without a user count too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.arrivals import Arrivals
from shopkeeper.features.base import Accumulator, Ask, ByItem, Reading, grown
from shopkeeper.features.kinds import EventKinds
from shopkeeper.features.purchases import NEVER_DAYS, Purchases

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

_FUTURE = np.iinfo(np.int64).max
_NEVER = np.iinfo(np.int64).min


class ItemFacts(ByItem):
    """All (n_items,), us and currency. An item without a sale: `last_sale` and `priced_at` at the least int64."""

    def __init__(self, _kinds: EventKinds, /) -> None:
        self.first_seen = np.zeros(0, dtype=np.int64)
        self.last_sale = np.zeros(0, dtype=np.int64)
        self.price = np.zeros(0, dtype=np.float64)
        self.priced_at = np.zeros(0, dtype=np.int64)
        self.lines = np.zeros(0, dtype=np.int32)
        self.size = 0

    def apply(self, events: Arrivals, _state: FeatureState, /) -> None:
        seen = events.item >= 0
        if not seen.any():
            return
        self._grow(int(events.item.max()) + 1)
        np.minimum.at(self.first_seen, events.item[seen], events.time[seen])
        sold = seen & events.is_order
        if sold.any():
            items = events.item[sold]
            np.add.at(self.lines, items, 1)
            np.maximum.at(self.last_sale, items, events.time[sold])
            self._price(items, events.time[sold], events.unit_price[sold])

    def fork(self, _user: int, kinds: EventKinds, /) -> ItemFacts:
        forked = ItemFacts(kinds)
        for name in ("first_seen", "last_sale", "price", "priced_at", "lines"):
            setattr(forked, name, getattr(self, name).copy())
        forked.size = self.size
        return forked

    def _price(self, items: NDArray[np.int32], times: NDArray[np.int64], prices: NDArray[np.float64]) -> None:
        newer = (prices > 0) & (times >= self.priced_at[items])
        items, times, prices = items[newer], times[newer], prices[newer]
        order = np.argsort(times, kind="stable")
        # numpy assigns repeated positions in order: the newest price stays.
        self.price[items[order]] = prices[order]
        self.priced_at[items[order]] = times[order]

    def _grow(self, size: int) -> None:
        self.size = max(self.size, size)
        self.first_seen = grown(self.first_seen, size, _FUTURE)
        self.last_sale = grown(self.last_sale, size, _NEVER)
        self.price = grown(self.price, size)
        self.priced_at = grown(self.priced_at, size, _NEVER)
        self.lines = grown(self.lines, size)


def _price(ask: Ask) -> NDArray[np.float32]:
    return ask.gather(ask.state.part(ItemFacts).price, 0.0)


def _lines(ask: Ask) -> NDArray[np.float32]:
    return ask.gather(ask.state.part(ItemFacts).lines, 0.0)


def _age(ask: Ask) -> NDArray[np.float32]:
    first = gather_times(ask, ask.state.part(ItemFacts).first_seen, _FUTURE)
    return np.where(first == _FUTURE, 0.0, (ask.time - np.minimum(first, ask.time)) / DAY).astype(np.float32)


def _since_sale(ask: Ask) -> NDArray[np.float32]:
    last = gather_times(ask, ask.state.part(ItemFacts).last_sale, _NEVER)
    return np.where(last == _NEVER, NEVER_DAYS, (ask.time - np.maximum(last, 0)) / DAY).astype(np.float32)


def _buyers(ask: Ask) -> NDArray[np.float32]:
    return ask.gather(ask.state.part(Purchases).buyers, 0.0)


def _reorder_rate(ask: Ask) -> NDArray[np.float32]:
    repeaters = ask.gather(ask.state.part(Purchases).repeaters, 0.0)
    return np.divide(repeaters, np.maximum(_buyers(ask), 1), dtype=np.float32)


def gather_times(ask: Ask, values: NDArray[np.int64], default: int) -> NDArray[np.int64]:
    """`values[items]`, `default` where an item lies outside."""
    items = ask.items
    if ask.inside(len(values)):
        return values[items]
    found = (items >= 0) & (items < len(values))
    result = np.full(len(items), default, dtype=np.int64)
    result[found] = values[items[found]]
    return result


@dataclass(frozen=True)
class ItemFact:
    """One fact of each candidate; `of_item` reads (n,) from the accumulators that `needs` names."""

    name: str
    of_item: Callable[[Ask], NDArray[np.float32]]
    unit: str
    help: str
    group: str = "aggregated"
    default: float = 0.0
    of: str = "item"
    version: int = 1
    needs: ClassVar[tuple[type[Accumulator], ...]] = (ItemFacts, Purchases)

    def read(self, ask: Ask) -> Reading:
        return self.of_item(ask)


PRICE = ItemFact("item_price", _price, "currency", "unit price of the item's newest sale; 0: never sold")
LINES = ItemFact("item_lines_all", _lines, "order lines", "order lines of the item, all time")
BUYERS = ItemFact("item_buyers_all", _buyers, "users", "users who ever ordered the item")
REORDER_RATE = ItemFact("item_reorder_rate", _reorder_rate, "share", "share of its buyers who ordered the item again")
AGE = ItemFact("item_age_days", _age, "days", "days since the item's first event; 0: no event", "temporal")
SINCE_SALE = ItemFact(
    "item_days_since_sale",
    _since_sale,
    "days",
    "days since the item was last sold; 3650: never",
    "temporal",
    NEVER_DAYS,
)
