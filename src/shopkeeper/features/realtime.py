"""The features of one user now, in four groups: the view behind `GET /features/realtime/{user_id}`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shopkeeper.core.clock import SECOND, rfc3339
from shopkeeper.features.base import GROUPS, Ask, Feature
from shopkeeper.features.past import WINDOWS
from shopkeeper.features.registry import registered
from shopkeeper.features.request import Said

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

PRESENT, MISSING, EXPIRED = "present", "missing", "expired"
_EVENT, _ORDER = " event", " order"  # no types of events: those have no space in front
_NO_ITEMS = np.empty(0, dtype=np.int32)
_BY_ORDERS = ("orders", "lines", "items", "pieces", "spend")


def realtime(state: FeatureState, user: int, now: int, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`{temporal, behavioral, contextual, aggregated (name -> number), timestamp, ages, values}` of a user row.

    `aggregated` also has the count of each event type of the user, `events_{type}_all`. `ages` are the seconds since
    the user's first and last event and last order, None without one. `values` says of each number how old the newest
    thing is that it was made of (`age_s`, None: nothing), and its `status`: present; missing, nothing was ever there,
    so it is the default; expired, all is older than the window. A user that nobody has met gets the defaults.
    """
    return with_moment(of_user(state, user, now), state, now, context)


def of_user(state: FeatureState, user: int, now: int) -> dict[str, Any]:
    """Without what the moment and the request say: `contextual` and `values` of those are empty."""
    ask = Ask.live(user, now, _NO_ITEMS, state)
    groups: dict[str, dict[str, float]] = {group: {} for group in GROUPS}
    values: dict[str, dict[str, Any]] = {}
    past = ask.past
    written: dict[str, int] = {_EVENT: past.last_time, _ORDER: past.last_order}
    for each, of_what, span in _of_a_user():
        groups[each.group][each.name] = float(each.read(ask))
        time = written.get(of_what)
        if time is None:
            time = written[of_what] = past.last_of(of_what)
        values[each.name] = _aged(time, span, now)
    for name, count in past.counts(None).items():
        groups["aggregated"][f"events_{name}_all"] = float(count)
    times = {"first_event_s": past.first_time, "last_event_s": past.last_time, "last_order_s": past.last_order}
    ages = {name: (now - time) / SECOND if time >= 0 else None for name, time in times.items()}
    return {**groups, "timestamp": rfc3339(now), "ages": ages, "values": values}


def with_moment(
    told: dict[str, Any], state: FeatureState, now: int, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `of_user` told, here or elsewhere, with what the moment and the request say."""
    ask = Ask.live(-1, now, _NO_ITEMS, state, context)
    contextual, values = {}, {}
    for each in _of("context"):
        contextual[each.name] = float(each.read(ask))
        said = each.said(ask) if isinstance(each, Said) else True
        values[each.name] = {"age_s": 0.0 if said else None, "status": PRESENT if said else MISSING}
    return {
        **told,
        "contextual": {**told["contextual"], **contextual},
        "timestamp": rfc3339(now),
        "values": {**told["values"], **values},
    }


def _aged(written: int, span: int | None, now: int) -> dict[str, Any]:
    if written < 0:
        return {"age_s": None, "status": MISSING}
    age = now - written
    return {"age_s": age / SECOND, "status": EXPIRED if span is not None and age >= span else PRESENT}


def _of_what(each: Feature) -> str:
    """What the feature is made of: events of any type, orders, or events of one type."""
    if (event_type := getattr(each, "event_type", None)) is not None:
        return str(event_type)
    return _ORDER if getattr(each, "measure", None) in _BY_ORDERS else _EVENT


def _span(each: Feature) -> int | None:
    """The window (us) of the feature, None: ever."""
    span: int | None = getattr(each, "span", None)
    return WINDOWS.get(getattr(each, "window", "all")) if span is None else span


@cache
def _of_a_user() -> tuple[tuple[Feature, str, int | None], ...]:
    return tuple((each, _of_what(each), _span(each)) for each in _of("user"))


@cache
def _of(subject: str) -> tuple[Feature, ...]:
    return tuple(each for each in registered().values() if each.of == subject)
