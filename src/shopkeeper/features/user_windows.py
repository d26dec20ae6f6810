"""What a user did in the last hour, day, week, month, and ever; exact to the event.

Reads the accumulator `UserHistories` (history.py), which every event of the user writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shopkeeper.features.base import Accumulator, Ask, Reading
from shopkeeper.features.history import UserHistories
from shopkeeper.features.past import WINDOWS


@dataclass(frozen=True)
class UserWindow:
    """One number of `Window` over one of WINDOWS."""

    name: str
    measure: str
    window: str
    unit: str
    help: str
    group: str = "behavioral"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories,)

    def read(self, ask: Ask) -> Reading:
        return float(getattr(ask.past.window(WINDOWS[self.window]), self.measure))


@dataclass(frozen=True)
class UserTypeCount:
    """Events of one type over one of WINDOWS."""

    name: str
    event_type: str
    window: str
    group: str = "behavioral"
    unit: str = "events"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories,)

    @property
    def help(self) -> str:
        return f"events of type {self.event_type} of the user, window {self.window}"

    def read(self, ask: Ask) -> Reading:
        return float(ask.past.count(self.event_type, WINDOWS[self.window]))


def _window(measure: str, window: str, unit: str, help: str, group: str = "behavioral") -> UserWindow:
    measure_name = "distinct_items" if measure == "items" else measure
    return UserWindow(f"user_{measure_name}_{window}", measure, window, unit, f"{help}, window {window}", group)


EVENTS_1H = _window("events", "1h", "events", "events of the user")
EVENTS_24H = _window("events", "24h", "events", "events of the user")
EVENTS_7D = _window("events", "7d", "events", "events of the user")
ORDERS_24H = _window("orders", "24h", "orders", "orders of the user")
ORDERS_7D = _window("orders", "7d", "orders", "orders of the user")
ORDERS_30D = _window("orders", "30d", "orders", "orders of the user")
ORDERS_ALL = _window("orders", "all", "orders", "orders of the user", "aggregated")
SPEND_24H = _window("spend", "24h", "currency", "value of the user's orders")
SPEND_7D = _window("spend", "7d", "currency", "value of the user's orders")
SPEND_30D = _window("spend", "30d", "currency", "value of the user's orders")
SPEND_ALL = _window("spend", "all", "currency", "value of the user's orders", "aggregated")
ITEMS_7D = _window("items", "7d", "items", "distinct items ordered by the user")
ITEMS_30D = _window("items", "30d", "items", "distinct items ordered by the user")
ITEMS_ALL = _window("items", "all", "items", "distinct items ordered by the user", "aggregated")
VIEWS_1H = UserTypeCount("user_views_1h", "view", "1h")
VIEWS_24H = UserTypeCount("user_views_24h", "view", "24h")
CLICKS_24H = UserTypeCount("user_clicks_24h", "click", "24h")
CARTS_24H = UserTypeCount("user_carts_24h", "cart", "24h")
