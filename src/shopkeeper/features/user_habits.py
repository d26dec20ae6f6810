"""When a user comes and how a user buys, over all time.

Reads the accumulator `UserHistories` (history.py), which every event of the user writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from shopkeeper.core.clock import DAY
from shopkeeper.features.base import Accumulator, Ask, Reading
from shopkeeper.features.history import UserHistories
from shopkeeper.features.purchases import NEVER_DAYS


@dataclass(frozen=True)
class UserHabit:
    """One number from a user's whole past."""

    name: str
    of_user: Callable[[Ask], float]
    unit: str
    help: str
    group: str = "aggregated"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories,)

    def read(self, ask: Ask) -> Reading:
        return self.of_user(ask)


def _since(ask: Ask, time: int) -> float:
    return (ask.time - time) / DAY if time >= 0 else NEVER_DAYS


def _since_event(ask: Ask) -> float:
    return _since(ask, ask.past.last_time)


def _since_order(ask: Ask) -> float:
    return _since(ask, ask.past.last_order)


def _tenure(ask: Ask) -> float:
    return (ask.time - ask.past.first_time) / DAY if ask.past.first_time >= 0 else 0.0


def _order_gap(ask: Ask) -> float:
    """From the first event to the last order, divided by the steps between orders."""
    orders = ask.past.window(None).orders
    return (ask.past.last_order - ask.past.first_time) / DAY / (orders - 1) if orders > 1 else NEVER_DAYS


def _order_value(ask: Ask) -> float:
    ever = ask.past.window(None)
    return ever.spend / ever.orders if ever.orders else 0.0


def _piece_price(ask: Ask) -> float:
    ever = ask.past.window(None)
    return ever.spend / ever.pieces if ever.pieces > 0 else 0.0


def _return_share(ask: Ask) -> float:
    ever = ask.past.window(None)
    return min(ever.returned / ever.spend, 1.0) if ever.spend > 0 else 0.0


SINCE_EVENT = UserHabit(
    "user_days_since_event",
    _since_event,
    "days",
    "days since the user's last event; 3650: none",
    "temporal",
    NEVER_DAYS,
)
SINCE_ORDER = UserHabit(
    "user_days_since_order",
    _since_order,
    "days",
    "days since the user's last order; 3650: none",
    "temporal",
    NEVER_DAYS,
)
TENURE = UserHabit("user_tenure_days", _tenure, "days", "days since the user's first event", "temporal")
ORDER_GAP = UserHabit(
    "user_order_gap_days",
    _order_gap,
    "days",
    "mean days between the user's orders; 3650: fewer than two",
    "temporal",
    NEVER_DAYS,
)
ORDER_VALUE = UserHabit("user_order_value", _order_value, "currency", "mean value of the user's orders")
PIECE_PRICE = UserHabit("user_piece_price", _piece_price, "currency", "mean price that the user pays for a piece")
RETURN_SHARE = UserHabit("user_return_share", _return_share, "share", "value sent back by value ordered, at most 1")
