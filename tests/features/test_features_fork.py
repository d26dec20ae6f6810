"""A fork of the state: events tried on it give what they would give, and leave no trace in the state itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feature_world import LONDON, T0, event, logs, rows_of, shop
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.checks.features import TYPES, Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY
from shopkeeper.features.base import Ask
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.history import KEPT, UserHistories
from shopkeeper.features.purchases import Purchases
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet

ITEMS = rows_of([0, 1, 2, 3, 4, 9])
FEATURES = FeatureSet()
END = T0 + 41 * DAY
PEOPLE = 4


def taken(*batches: EventBatch) -> FeatureState:
    state = FeatureState(LONDON, Types())
    for each in batches:
        state.apply(each)
    return state


def of(user: int, events: EventBatch) -> EventBatch:
    return replace(events, user=np.full(len(events), user, dtype=np.int32))


def same(one: FeatureState, other: FeatureState) -> None:
    for time in (END, T0 + 20 * DAY):
        a, b = (np.stack([FEATURES.matrix(Ask(u, time, ITEMS, s)) for u in range(-1, PEOPLE)]) for s in (one, other))
        np.testing.assert_array_equal(a, b)
        columns = [state.user_columns(time, users=PEOPLE) for state in (one, other)]
        for name, column in columns[0].items():
            np.testing.assert_array_equal(column, columns[1][name], err_msg=name)
        for days in (1, 7, 30, None):
            np.testing.assert_array_equal(one.item_popularity(time, days), other.item_popularity(time, days))
    for user in range(PEOPLE):
        assert one.user_recent(user, 100) == other.user_recent(user, 100)
        np.testing.assert_array_equal(one.user_items(user), other.user_items(user))
    pairs = [state.part(CoPurchases).counts(ITEMS, ITEMS) for state in (one, other)]
    np.testing.assert_array_equal(*pairs)
    assert one.n_users == other.n_users
    assert one.n_items == other.n_items


@given(logs(), logs(), logs(8), st.integers(0, PEOPLE - 1), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_tried_events_give_what_they_would_give(
    before: EventBatch, wished: EventBatch, later: EventBatch, user: int, size: int
) -> None:
    state = taken(before)
    # Reading fills what is kept of windows, which a fork must have for itself.
    state.item_popularity(END, 7)
    wished = of(user, wished)
    fork = state.fork(user)
    for start in range(0, len(wished), size):
        fork.apply(wished.take(slice(start, start + size)))
    same(fork, taken(before, wished))
    same(state, taken(before))
    state.apply(later)
    same(state, taken(before, later))


@given(logs(), logs(), logs())
@settings(max_examples=50, deadline=None)
def test_a_fork_can_be_forked(before: EventBatch, first: EventBatch, second: EventBatch) -> None:
    state = taken(before)
    one = state.fork(1)
    one.apply(of(1, first))
    two = one.fork(1)
    two.apply(of(1, second))
    same(two, taken(before, of(1, first), of(1, second)))
    same(one, taken(before, of(1, first)))
    same(state, taken(before))


def test_who_has_done_more_than_is_kept_is_told_apart_too() -> None:
    many = [event("order", 0, n % 3, n * 1_000_000) for n in range(KEPT)]
    more = [event("order", 0, 4, (KEPT + n) * 1_000_000) for n in range(3)]
    state = shop(*many)
    fork = state.fork(0)
    fork.apply(rows(more))
    assert fork.user_window(0, END, None).lines == KEPT + 3
    assert state.user_window(0, END, None).lines == KEPT
    assert state.part(UserHistories).get(0).size == KEPT


def rows(events: list[tuple]) -> EventBatch:
    return EventBatch.from_rows(events)


def test_a_new_type_of_event_counts_in_the_fork_only() -> None:
    class More:
        def id(self, row: int) -> str:
            return (*TYPES, "call")[row]

        def row(self, id_: str, /) -> int | None:
            return (*TYPES, "call").index(id_)

    state = shop(event("order", 0, 1, 0))
    fork = state.fork(0, More())
    fork.apply(replace(rows([event("order", 0, 2, 5)]), type=rows_of([len(TYPES)])))
    assert fork.event_counts(0) == {"order": 1, "call": 1}
    assert state.event_counts(0) == {"order": 1}
    assert len(state.kinds) == 1


class Plain:
    """A shop's own accumulator, as simple as can be: it knows nothing of forks."""

    def __init__(self, kinds) -> None:
        self.kinds = kinds
        self.seen: dict[int, int] = {}

    def apply(self, events, _state) -> None:
        for user in events.user.tolist():
            self.seen[user] = self.seen.get(user, 0) + 1


def test_an_accumulator_without_fork_is_copied_whole() -> None:
    class Seen:
        needs = (Plain,)

    state = FeatureState(LONDON, Types(), features=[Seen()])  # type: ignore[list-item]
    state.apply(rows([event("order", 0, 1, 0)]))
    fork = state.fork(0)
    fork.apply(rows([event("order", 0, 1, 1)]))
    assert fork.part(Plain).seen == {0: 2}
    assert state.part(Plain).seen == {0: 1}
    assert fork.part(Plain).kinds is fork.kinds


@pytest.mark.parametrize("user", [0, 1, 7])
def test_counts_of_buyers_move_in_the_fork_only(user: int) -> None:
    state = shop(event("order", 0, 1, 0), event("order", 1, 1, 5))
    fork = state.fork(user)
    fork.apply(rows([event("order", user, 1, 9)]))
    assert state.part(Purchases).buyers[1] == 2
    assert fork.part(Purchases).buyers[1] == (3 if user == 7 else 2)
    assert fork.part(Purchases).repeaters[1] == (0 if user == 7 else 1)
    assert state.part(Purchases).repeaters[1] == 0
