"""The features of one user now, in four groups: the view behind `GET /features/realtime/{user_id}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shopkeeper.core.clock import SECOND, rfc3339
from shopkeeper.features.base import GROUPS, Ask, Feature
from shopkeeper.features.crowd import live_asks
from shopkeeper.features.past import WINDOWS
from shopkeeper.features.registry import registered
from shopkeeper.features.request import Heard, Said, heard
from shopkeeper.features.user_tiles import Recent, RecentPercentile
from shopkeeper.features.user_visits import UserVisit
from shopkeeper.features.user_windows import UserTypeCount, UserWindow

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
    """Without what the moment and the request say: `contextual` and `values` of those are empty.

    Values of the same age are told by the same record: they are read, not changed.
    """
    return of_users(state, [user], now)[0]


def of_users(state: FeatureState, users: Sequence[int], now: int) -> list[dict[str, Any]]:
    """The same of each of these user rows."""
    timestamp = rfc3339(now)
    return [_told(ask, now, timestamp) for ask in live_asks(state, users, now)]


def _told(ask: Ask, now: int, timestamp: str) -> dict[str, Any]:
    groups: dict[str, dict[str, float]] = {group: {} for group in GROUPS}
    values: dict[str, dict[str, Any]] = {}
    past = ask.past
    written: dict[str, int] = {_EVENT: past.last_time, _ORDER: past.last_order}
    for kin in _of_a_user():
        time = written.get(kin.of_what)
        if time is None:
            time = written[kin.of_what] = past.last_of(kin.of_what)
        age = _aged(time, kin.span, now)
        values.update(dict.fromkeys(kin.names, age))
        if kin.forget and age["status"] is not PRESENT:
            for group, defaults in kin.defaults:
                groups[group].update(defaults)
        else:
            for each, name, group in kin.rows:
                groups[group][name] = float(each.read(ask))
    for name, count in past.counts(None).items():
        groups["aggregated"][f"events_{name}_all"] = float(count)
    times = {"first_event_s": past.first_time, "last_event_s": past.last_time, "last_order_s": past.last_order}
    ages = {name: (now - time) / SECOND if time >= 0 else None for name, time in times.items()}
    return {**groups, "timestamp": timestamp, "ages": ages, "values": values}


def with_moment(
    told: dict[str, Any], state: FeatureState, now: int, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `of_user` told, here or elsewhere, with what the moment and the request say."""
    return with_said(told, said(state, now, context))


class Moment(NamedTuple):
    """What the moment and the request say: the same for all users of one call."""

    contextual: dict[str, float]
    values: dict[str, dict[str, Any]]
    timestamp: str


def said(state: FeatureState, now: int, context: Mapping[str, Any] | None = None) -> Moment:
    ask = Ask.live(-1, now, _NO_ITEMS, state, context)
    numbers, ages = _of_request(heard(ask.context))
    contextual, values = numbers.copy(), ages.copy()
    for each in _of("context"):
        if not isinstance(each, Said):
            contextual[each.name], values[each.name] = float(each.read(ask)), _SAID
    return Moment(contextual, values, rfc3339(now))


@lru_cache(maxsize=256)
def _of_request(heard: Heard) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
    """Numbers and their ages by name."""
    told = {each.name: (each.default, each.of_heard(heard)) for each in _of("context") if isinstance(each, Said)}
    numbers = {name: default if said is None else said for name, (default, said) in told.items()}
    return numbers, {name: _UNSAID if said is None else _SAID for name, (_, said) in told.items()}


def with_said(told: dict[str, Any], moment: Moment) -> dict[str, Any]:
    return {
        **told,
        "contextual": {**told["contextual"], **moment.contextual},
        "timestamp": moment.timestamp,
        "values": {**told["values"], **moment.values},
    }


def _aged(written: int, span: int | None, now: int) -> dict[str, Any]:
    if written < 0:
        return _UNSAID
    age = now - written
    return {"age_s": age / SECOND, "status": EXPIRED if span is not None and age >= span else PRESENT}


_SAID: dict[str, Any] = {"age_s": 0.0, "status": PRESENT}
_UNSAID: dict[str, Any] = {"age_s": None, "status": MISSING}


def _of_what(each: Feature) -> str:
    """What the feature is made of: events of any type, orders, or events of one type."""
    if (event_type := getattr(each, "event_type", None)) is not None:
        return str(event_type)
    return _ORDER if getattr(each, "measure", None) in _BY_ORDERS else _EVENT


def _span(each: Feature) -> int | None:
    """The window (us) of the feature, None: ever."""
    span: int | None = getattr(each, "span", None)
    return WINDOWS.get(getattr(each, "window", "all")) if span is None else span


class _Kin(NamedTuple):
    """Features of the same age: made of the same, over the same span (us, None: ever). `rows`: each, name, group.

    `forget`: where all that they are made of is older, they are their `defaults` (by group), and need not be read.
    """

    of_what: str
    span: int | None
    forget: bool
    names: tuple[str, ...]
    rows: tuple[tuple[Feature, str, str], ...]
    defaults: tuple[tuple[str, dict[str, float]], ...]


_FORGETTING = (UserWindow, UserTypeCount, UserVisit, Recent, RecentPercentile)


@cache
def _of_a_user() -> tuple[_Kin, ...]:
    kin: dict[tuple[str, int | None, bool], list[Feature]] = {}
    for each in _of("user"):
        span = _span(each)
        forgets = span is not None and isinstance(each, _FORGETTING)
        kin.setdefault((_of_what(each), span, forgets), []).append(each)
    return tuple(_Kin(*key, *_facts(alike)) for key, alike in kin.items())


def _facts(alike: list[Feature]) -> tuple[Any, ...]:
    """What `_Kin` has beside its key."""
    rows = tuple((each, each.name, each.group) for each in alike)
    groups = {group: {each.name: each.default for each in alike if each.group == group} for group in GROUPS}
    return tuple(each.name for each in alike), rows, tuple((group, part) for group, part in groups.items() if part)


@cache
def _of(subject: str) -> tuple[Feature, ...]:
    return tuple(each for each in registered().values() if each.of == subject)
