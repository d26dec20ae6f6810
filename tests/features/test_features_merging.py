"""Merging users: live state, however the log and the merges reached it, equals the state rebuilt from the log."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from feature_world import LONDON, T0, amounts, batch, event, rows_of, shop, times
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.checks.features import TYPES, Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR, MINUTE
from shopkeeper.features.base import Ask
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.history import UserHistories
from shopkeeper.features.purchases import Purchases
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet

ITEMS = rows_of([0, 1, 2, 3, 4, 9])
FEATURES = FeatureSet()
END = T0 + 41 * DAY
PEOPLE = 4


class Story:
    """Events and merges in the order of their commits."""

    def __init__(self, steps: list[tuple]) -> None:
        self.merges: list[tuple[int, int, int]] = []  # (events before, source, target)
        rows: list[tuple] = []
        self.into = list(range(PEOPLE))
        for step in steps:
            if len(step) > 2:
                user = step[1] if step[1] < 0 else self.into[step[1]]
                rows.append((len(rows) + 1, user, *step[2:]))
                continue
            source, target = step[0], self.into[step[1]]
            if self.into[source] == source != target:
                self.merges.append((len(rows), source, target))
                self.into = [target if end == source else end for end in self.into]
        self.log = EventBatch.from_rows(rows)

    def __repr__(self) -> str:
        return f"{self.merges} {self.log}"

    def after(self, merges: int) -> EventBatch:
        """The log as it stands after so many merges, with what was committed later."""
        user = self.log.user.copy()
        for before, source, target in self.merges[:merges]:
            user[:before][user[:before] == source] = target
        return replace(self.log, user=user)

    def merge(self, state: FeatureState, number: int) -> None:
        """Hands over what the store does."""
        before, source, target = self.merges[number]
        log = self.after(number).take(slice(0, before))
        for _ in state.merge(source, target, log.take(np.isin(log.user, [source, target]))):
            pass


@st.composite
def stories(draw: st.DrawFn) -> Story:
    moment = times.map(lambda time: T0 + time)
    happens = st.tuples(
        st.just(0), st.integers(-1, PEOPLE - 1), st.integers(-1, 4), st.just(-1), st.integers(0, len(TYPES) - 1),
        st.just(0), moment, amounts, amounts, amounts, st.just(False),
    )  # fmt: skip
    merged = st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1))
    return Story(draw(st.lists(st.one_of(happens, happens, happens, merged), min_size=1, max_size=40)))


def live(story: Story, cuts: list[int]) -> FeatureState:
    """Batches cut anywhere, merges in their place."""
    state = FeatureState(LONDON, Types())
    n, start, number = len(story.log), 0, 0
    for end in sorted({*(cut % (n + 1) for cut in cuts), *(before for before, _, _ in story.merges), n}):
        state.apply(story.log.take(slice(start, end)))
        start = end
        while number < len(story.merges) and story.merges[number][0] == end:
            story.merge(state, number)
            number += 1
    return state


def rebuilt(story: Story) -> FeatureState:
    state = FeatureState(LONDON, Types())
    state.apply(story.after(len(story.merges)))
    return state


def same(one: FeatureState, other: FeatureState) -> None:
    for time in (END, T0 + 20 * DAY):
        a, b = (np.stack([FEATURES.matrix(Ask(u, time, ITEMS, s)) for u in range(-1, PEOPLE)]) for s in (one, other))
        np.testing.assert_array_equal(a, b)
        for user in range(PEOPLE):
            assert one.user_windows(user, time) == other.user_windows(user, time)
        columns = [state.user_columns(time, users=PEOPLE) for state in (one, other)]
        for name, column in columns[0].items():
            np.testing.assert_array_equal(column, columns[1][name], err_msg=name)
    for user in range(PEOPLE):
        assert one.user_recent(user, 100) == other.user_recent(user, 100)
        np.testing.assert_array_equal(one.user_items(user), other.user_items(user))
    pairs = [state.part(CoPurchases).counts(ITEMS, ITEMS) for state in (one, other)]
    np.testing.assert_array_equal(*pairs)
    assert not one.out_of_date
    size = min(len(state.part(Purchases).buyers) for state in (one, other))
    for counted in ("buyers", "repeaters"):
        a, b = (getattr(state.part(Purchases), counted) for state in (one, other))
        np.testing.assert_array_equal(a[:size], b[:size])
        assert not a[size:].any()
        assert not b[size:].any()


@given(stories(), st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=300, deadline=None)
def test_merges_at_any_moment_and_in_any_chain_end_in_the_state_of_the_log(story, cuts):
    same(live(story, cuts), rebuilt(story))


def test_users_with_more_events_than_are_kept_end_in_the_state_of_the_log():
    """Three users, twenty thousand events five minutes apart: what was folded away is taken apart again."""
    n = 20_000
    rng = np.random.default_rng(3)
    quantity = rng.integers(1, 5, n).astype(np.float64)
    log = EventBatch(
        seq=np.arange(1, n + 1, dtype=np.int64),
        user=rng.choice(np.array([0, 1, 2], dtype=np.int32), n, p=[0.48, 0.48, 0.04]),
        item=rng.integers(0, 60, n).astype(np.int32),
        other=np.full(n, -1, dtype=np.int32),
        type=rng.choice(np.array([0, 1, 2], dtype=np.int32), n, p=[0.6, 0.1, 0.3]),
        store=np.zeros(n, dtype=np.int32),
        time=T0 + np.arange(n, dtype=np.int64) // 2 * 10 * MINUTE,  # two at a time: baskets that both have
        quantity=quantity,
        unit_price=np.full(n, 2.5),
        value=quantity * 2.5,
        promotion=np.zeros(n, dtype=np.bool_),
    )
    story = Story([])
    story.log, story.merges = log, [(15_000, 0, 1), (n, 1, 2)]
    log.user[15_000:][log.user[15_000:] == 0] = 1  # what comes later names the user
    merged = live(story, list(range(0, n, 1_700)))
    assert merged.part(UserHistories).get(0) is None
    assert merged.part(UserHistories).get(2).folded.orders > 1_000
    same(merged, rebuilt(story))


def test_what_is_kept_of_a_user_is_forgotten_at_once():
    rows = [event("order", user, item, item * HOUR) for user in (0, 1) for item in (1, 2, 1)]
    state = shop(*rows, event("view", 0, 3, 9 * HOUR))
    state.forget(0)
    state.forget(7)  # nobody
    alone = shop(*rows[3:])
    assert state.user_windows(0, END) == alone.user_windows(0, END)
    assert not len(state.user_items(0))
    for counted in ("buyers", "repeaters"):
        assert (
            getattr(state.part(Purchases), counted)[:4].tolist() == getattr(alone.part(Purchases), counted)[:4].tolist()
        )
    assert state.user_windows(1, END) == alone.user_windows(1, END)
    assert not state.out_of_date


def test_a_merge_is_seen_by_columns_that_were_read_before():
    state = shop(event("order", 0, 1, 0), event("order", 1, 2, HOUR))
    assert state.user_columns(END)["orders_all"].tolist() == [1, 1]
    for _ in state.merge(0, 1, batch(event("order", 0, 1, 0), event("order", 1, 2, HOUR))):
        pass
    assert state.user_columns(END)["orders_all"].tolist() == [0, 2]


class Counting:
    """A shop's own accumulator that nobody taught to merge."""

    def __init__(self, _kinds, /):
        self.by_user = {}

    def apply(self, events, _state, /):
        for user in events.user.tolist():
            self.by_user[user] = self.by_user.get(user, 0) + 1


class Failing(Counting):
    def merge(self, _source, _target, _events, _state, /):
        raise RuntimeError("cannot merge")

    def forget(self, _user, _state, /):
        raise RuntimeError("cannot forget")


@pytest.mark.parametrize("kind", [Counting, Failing])
def test_an_accumulator_that_cannot_merge_goes_on_and_is_told_of_once(kind, caplog):
    class Reads:
        needs = (kind,)

    state = FeatureState(LONDON, Types(), features=[Reads()])
    log = batch(event("order", 0, 1, 0), event("order", 1, 2, HOUR), event("view", 2, 2, HOUR))
    state.apply(log)
    with caplog.at_level(logging.ERROR):
        list(state.merge(0, 1, log.take(slice(0, 2))))
        list(state.merge(1, 2, replace(log, user=np.array([1, 1, 2], dtype=np.int32))))
        state.forget(2)
    assert state.out_of_date == {kind.__name__}
    assert len([one for one in caplog.records if kind.__name__ in one.message]) == 1
    assert state.part(UserHistories).get(2) is None
    state.apply(batch(event("order", 1, 2, 2 * HOUR)))
    assert state.part(kind).by_user == {0: 1, 1: 2, 2: 1}


def test_a_merge_of_very_many_orders_comes_in_pieces():
    n = 6_000
    rows = [event("order", i % 2, i % 50, i * MINUTE) for i in range(n)]
    state = shop(*rows)
    pieces = sum(1 for _ in state.merge(0, 1, batch(*rows)))
    assert pieces > 10
