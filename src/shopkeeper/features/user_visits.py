"""What a user is doing in this visit, in which order, and how often one comes.

A visit goes on until half an hour passes without an event. Reads the accumulator `UserHistories` (history.py), which
every event of the user writes; of the newest `LATEST` events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, MINUTE
from shopkeeper.features.base import Accumulator, Ask, Reading
from shopkeeper.features.history import UserHistories
from shopkeeper.features.kinds import Role
from shopkeeper.features.past import LATEST, SESSION_GAP, Past

_STAGES = {"view": 1, "click": 1, "cart": 2, "order": 3}


@dataclass(frozen=True)
class UserVisit:
    """One number from a user's newest events. `span` us: what is older does not count."""

    name: str
    of_past: Callable[[Past], float]
    unit: str
    help: str
    span: int = SESSION_GAP
    group: str = "behavioral"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    standard: bool = False
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories,)

    def read(self, ask: Ask) -> Reading:
        return self.of_past(ask.past)


def _minutes(past: Past) -> float:
    times = past.times[past.visit]
    return float(times[-1] - times[0]) / MINUTE if len(times) else 0.0


def _events(past: Past) -> float:
    return float(len(past.times) - past.visit.start)


def _items(past: Past) -> float:
    return float(len(set(past.rows["item"][past.visit].tolist()) - {-1}))


def _stage(past: Past) -> float:
    return float(max((_STAGES.get(past.kind(row), 0) for row in set(past.types[past.visit].tolist())), default=0))


def _same_item(past: Past) -> float:
    items: NDArray[np.int32] = past.rows["item"][past.visit][::-1]
    if not len(items) or items[0] < 0:
        return 0.0
    others = np.flatnonzero(items != items[0])
    return float(others[0]) if len(others) else float(len(items))


def _looked_then_took(past: Past) -> float:
    """Steps from interest in an item to an order of the same one, in order of time."""
    start = max(past.start(DAY), len(past.times) - LATEST)
    roles, items = past.roles[start:], past.rows["item"][start:]
    ordered = np.flatnonzero((roles == Role.ORDER) & (items >= 0))
    if not len(ordered):
        return 0.0
    looked = np.flatnonzero(roles == Role.INTEREST)[::-1]
    first = dict(zip(items[looked].tolist(), looked.tolist(), strict=True))  # of the same item the first one stays
    nowhere = len(items)
    took = zip(items[ordered].tolist(), ordered.tolist(), strict=True)
    return float(sum(first.get(item, nowhere) < at for item, at in took))


def _active_days(past: Past) -> float:
    return float(past.active_days)


def _a_day(past: Past) -> float:
    days = past.active_days
    return (len(past.times) - past.start(30 * DAY)) / days if days else 0.0


def _visits(past: Past) -> float:
    times = past.times[past.start(7 * DAY) :]
    return float(np.count_nonzero(times[1:] - times[:-1] > SESSION_GAP) + 1) if len(times) else 0.0


def _all() -> Iterable[UserVisit]:
    yield UserVisit("visit_minutes", _minutes, "minutes", "length of the present visit by the user's events")
    yield UserVisit("visit_events", _events, "events", "events of the present visit")
    yield UserVisit("visit_items", _items, "items", "distinct items of the present visit")
    yield UserVisit("visit_stage", _stage, "0 to 3", "how far the visit came: 1 looked, 2 put into the cart, 3 ordered")
    yield UserVisit("visit_same_item", _same_item, "events", "how many of the newest events in a row are of one item")
    yield UserVisit(
        "sequence_looked_then_took_24h", _looked_then_took, "orders",
        "order lines in 24 hours of items that the user had looked at before", DAY,
    )  # fmt: skip
    yield UserVisit("frequency_visits_7d", _visits, "visits", "visits of the user in 7 days", 7 * DAY, "temporal")
    yield UserVisit(
        "frequency_active_days_30d", _active_days, "days", "days (UTC) with events of the user in 30 days", 30 * DAY,
        "temporal",
    )  # fmt: skip
    yield UserVisit(
        "frequency_events_a_day_30d", _a_day, "events", "events of the user on a day with any, in 30 days", 30 * DAY,
        "temporal",
    )  # fmt: skip


FEATURES = SimpleNamespace(**{each.name: each for each in _all()})
"""By name, as entry points reach them."""
