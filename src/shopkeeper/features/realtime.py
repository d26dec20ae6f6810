"""The features of one user now, in four groups: the view behind `GET /features/realtime/{user_id}`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shopkeeper.core.clock import SECOND, rfc3339
from shopkeeper.features.base import GROUPS, Ask, Feature
from shopkeeper.features.registry import registered

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

_NO_ITEMS = np.empty(0, dtype=np.int32)


def realtime(state: FeatureState, user: int, now: int) -> dict[str, Any]:
    """`{temporal, behavioral, contextual, aggregated (name -> number), timestamp, ages}` of a user row.

    `aggregated` also has the count of each event type of the user, `events_{type}_all`. `ages` are the seconds since
    the user's first and last event and last order, None without one. A user that nobody has met gets the defaults.
    """
    ask = Ask.live(user, now, _NO_ITEMS, state)
    groups: dict[str, dict[str, float]] = {group: {} for group in GROUPS}
    for each in _of_a_user():
        groups[each.group][each.name] = float(each.read(ask))
    for name, count in ask.past.counts(None).items():
        groups["aggregated"][f"events_{name}_all"] = float(count)
    past = ask.past
    times = {"first_event_s": past.first_time, "last_event_s": past.last_time, "last_order_s": past.last_order}
    ages = {name: (now - time) / SECOND if time >= 0 else None for name, time in times.items()}
    return {**groups, "timestamp": rfc3339(now), "ages": ages}


@cache
def _of_a_user() -> tuple[Feature, ...]:
    return tuple(each for each in registered().values() if each.of in ("user", "context"))
