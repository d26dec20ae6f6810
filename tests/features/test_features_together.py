"""Read together or one by one, a number is the same: over random histories, of any moment, of anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from feature_world import LONDON, T0, batch, event, logs, rows_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shopkeeper.checks.features import Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR, MINUTE
from shopkeeper.features import history, tiles
from shopkeeper.features.base import Ask
from shopkeeper.features.crowd import AT_ONCE
from shopkeeper.features.realtime import of_user, of_users, realtime, said, with_said
from shopkeeper.features.registry import registered
from shopkeeper.features.state import FeatureState

EVERYBODY = [-1, 0, 1, 2, 3, 99, 1]
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"device": "mobile", "network": "4g", "weather": {"condition": "rain", "temperature": 11}},
    {"user_agent": "Mozilla/5.0 (iPhone)", "country": "de", "session": {"pages": 3}, "event": "sale"},
]
generated = settings(phases=[Phase.generate], deadline=None, max_examples=12)


@pytest.fixture(params=[8192, 4], ids=["whole", "folded"], autouse=True, scope="module")
def _kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """So few that most of what a user did is in totals only."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (history, tiles):
            patch.setattr(module, "KEPT", request.param)
        yield


def taken(*batches: EventBatch, slots: int = 10) -> FeatureState:
    state = FeatureState(LONDON, Types(), slots=slots)
    for each in batches:
        state.apply(each)
    return state


def alone(state: FeatureState, subject: str, user: int, now: int, context: dict[str, Any]) -> dict[str, float]:
    """Each feature by a question of its own."""
    return {
        name: float(np.asarray(each.read(Ask.live(user, now, rows_of([]), state, context))))
        for name, each in registered().items()
        if each.of == subject
    }


def numbers(told: dict[str, Any]) -> dict[str, float]:
    groups = ("temporal", "behavioral", "contextual", "aggregated")
    return {name: value for group in groups for name, value in told[group].items() if name in registered()}


def check(state: FeatureState, now: int) -> None:
    one_by_one = [of_user(state, user, now) for user in EVERYBODY]
    assert of_users(state, EVERYBODY, now) == one_by_one
    for user, told in zip(EVERYBODY, one_by_one, strict=True):
        assert numbers(told) == alone(state, "user", user, now, {})
    for context in CONTEXTS:
        moment = said(state, now, context)
        assert moment.contextual == alone(state, "context", -1, now, context)
        assert with_said(one_by_one[1], moment) == realtime(state, 0, now, context)


moments = st.one_of(st.integers(-DAY, 42 * DAY), st.integers(0, 41 * 24).map(lambda hours: hours * HOUR))


@generated
@given(
    log=logs(), near=st.integers(0, 29), later=st.sampled_from([0, 1, MINUTE, 31 * MINUTE, 5 * HOUR, DAY]), at=moments
)
def test_together_and_one_by_one(log: EventBatch, near: int, later: int, at: int) -> None:
    state = taken(log)
    for now in (int(log.time[near % len(log)]) + later, T0 + at, int(log.time.max()) + 8 * DAY):
        check(state, now)


@generated
@given(log=logs(), later=st.integers(0, 2 * 24 * 60))
def test_of_users_that_are_joined_and_forgotten(log: EventBatch, later: int) -> None:
    state, now = taken(log), int(log.time.max()) + later * MINUTE
    of_users(state, EVERYBODY, now)
    both = log.take((log.user == 0) | (log.user == 1))
    for _ in state.merge(0, 1, both):
        pass
    state.forget(2)
    check(state, now)
    check(state, now - 3 * DAY)


@generated
@given(log=logs(), later=st.integers(0, 24 * 60))
def test_while_events_come_and_slots_are_few(log: EventBatch, later: int) -> None:
    log = log.by_time()
    few, plenty = taken(slots=1), taken(slots=10)
    for at in range(0, len(log), 5):
        some, now = log.take(slice(at, at + 5)), int(log.time[at]) + later * MINUTE
        for state in (few, plenty):
            state.apply(some)
        assert of_users(few, EVERYBODY, now) == [of_user(plenty, user, now) for user in EVERYBODY]


def test_more_users_than_are_read_at_once() -> None:
    users = AT_ONCE * 2 + 1
    rows = [event("order", user, user % 3, user * MINUTE) for user in range(users)]
    state = taken(batch(*rows, *(event("view", user, 1, user * HOUR) for user in range(users))))
    now = T0 + users * HOUR
    assert of_users(state, range(users), now) == [of_user(state, user, now) for user in range(users)]
    assert of_users(state, [], now) == []
