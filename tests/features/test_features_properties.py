"""What must hold for any log: nothing of the future is seen, and neither order nor batches matter in the end."""

from __future__ import annotations

import numpy as np
import pytest
from feature_world import LONDON, T0, logs, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.checks.features import Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.features.base import Ask
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.past import WINDOWS
from shopkeeper.features.replay import Question, replay
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet

ITEMS = rows_of([0, 1, 2, 3, 4, 9])
FEATURES = FeatureSet()
END = T0 + 41 * DAY


def fresh(*batches: EventBatch) -> FeatureState:
    state = FeatureState(LONDON, Types())
    for one in batches:
        state.apply(one)
    return state


def everything(state: FeatureState, time: int = END) -> np.ndarray:
    return np.stack([FEATURES.matrix(Ask(user, time, ITEMS, state)) for user in (-1, 0, 1, 2)])


@given(logs(), st.integers(0, 41 * DAY))
@settings(max_examples=60, deadline=None)
def test_an_ask_at_t_sees_what_is_before_t_and_nothing_else(log, at):
    t = T0 + at
    events = log.by_time()
    before = fresh(events.take(events.time < t))
    questions = [Question(user, t, ITEMS) for user in (-1, 0, 1, 2)]
    replayed = np.stack(list(replay(events, questions, FEATURES, fresh())))
    np.testing.assert_array_equal(replayed, everything(before, t))


@given(logs(), st.lists(st.integers(0, 41 * DAY), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_later_questions_do_not_depend_on_earlier_ones(log, moments):
    events = log.by_time()
    moments = sorted(T0 + moment for moment in moments)
    together = list(replay(events, [Question(0, t, ITEMS) for t in moments], FEATURES, fresh()))
    for t, matrix in zip(moments, together, strict=True):
        (alone,) = replay(events, [Question(0, t, ITEMS)], FEATURES, fresh())
        np.testing.assert_array_equal(matrix, alone)


@given(logs())
@settings(max_examples=60, deadline=None)
def test_live_state_equals_replayed_state(log):
    """Live: one event at a time in log order, late ones included. Replay: all in order of time."""
    live = fresh(*(log.take(slice(i, i + 1)) for i in range(len(log))))
    np.testing.assert_array_equal(everything(live), everything(fresh(log.by_time())))


@given(logs(), st.data())
@settings(max_examples=60, deadline=None)
def test_how_the_log_is_cut_into_batches_does_not_matter(log, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=6)))
    parts = [log.take(slice(a, b)) for a, b in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    cut, whole = fresh(*parts), fresh(log)
    np.testing.assert_array_equal(everything(cut), everything(whole))
    counts = [state.part(CoPurchases).counts(ITEMS, ITEMS) for state in (cut, whole)]
    np.testing.assert_array_equal(*counts)
    for user in (0, 1, 2):
        assert cut.user_recent(user, 50) == whole.user_recent(user, 50)


@given(logs())
@settings(max_examples=40, deadline=None)
def test_a_users_windows_are_exact_at_any_moment_even_on_a_state_that_knows_the_future(log):
    state = fresh(log)
    for t in (T0 + 3 * DAY, T0 + 20 * DAY + 1, END):
        past = fresh(log.take(log.time <= t))
        for user in (0, 1, 2):
            assert state.user_windows(user, t) == past.user_windows(user, t)


@given(logs())
@settings(max_examples=60, deadline=None)
def test_columns_over_all_users_equal_each_users_windows_exactly(log):
    state = fresh(log)
    for now in (T0 + 10 * DAY, T0 + 39 * DAY):
        columns = state.user_columns(now, users=4)
        recency = {"days_since_event", "days_since_order", "tenure_days"}
        for user in range(4):
            windows = state.user_windows(user, now)
            for name, column in columns.items():
                assert len(column) == 4
                if name in recency:
                    known = windows["recency"][name]
                    assert np.isnan(column[user]) if known is None else column[user] == known
                else:
                    measure, window = name.rsplit("_", 1)
                    assert column[user] == windows[window][measure], name
            for span in WINDOWS.values():
                days = None if span is None else span / DAY
                views = state.columns(now, 4).events(days, "view")[user]
                assert views == state.past(user, now).count("view", span)


@given(logs(), st.integers(0, 60 * 24))
@settings(max_examples=60, deadline=None)
def test_item_windows_are_exact_to_the_tile(log, hours):
    """Compared with a plain count over the log; events after the ask are not there yet, as in replay."""
    t = T0 + hours * HOUR + 17
    known = log.take(log.time < t)
    state = fresh(known)
    sold = known.take((known.type == 0) & (known.item >= 0))
    for days, width in ((1, HOUR), (7, 6 * HOUR), (30, 6 * HOUR)):
        first = ((t - 1) // width - days * DAY // width + 1) * width
        expected = np.bincount(sold.item[sold.time >= first], minlength=state.n_items)
        np.testing.assert_array_equal(state.item_popularity(t - 1, days), expected)


@given(logs())
@settings(max_examples=30, deadline=None)
def test_going_back_in_time_is_refused(log):
    if len(set(log.time.tolist())) < 2:
        return
    backwards = log.by_time().take(slice(None, None, -1))
    with pytest.raises(Invalid, match="order of time"):
        list(replay(backwards, [], FEATURES, fresh()))
    questions = [Question(0, T0 + 5, ITEMS), Question(0, T0, ITEMS)]
    with pytest.raises(Invalid, match="sort by time"):
        list(replay(log.by_time(), questions, FEATURES, fresh()))
