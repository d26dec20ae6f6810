"""What the state answers about users and items, with numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from feature_world import LONDON, T0, batch, event, rows_of, shop

from shopkeeper.checks.features import Types
from shopkeeper.core.clock import DAY, HOUR, SECOND, rfc3339
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.features import history
from shopkeeper.features.base import GROUPS, Ask
from shopkeeper.features.state import FeatureState
from shopkeeper.features.user_windows import EVENTS_1H

NOW = T0 + 40 * DAY


@pytest.fixture
def state() -> FeatureState:
    """User 0: two baskets and a return; user 1: one look; nobody: one sale."""
    return shop(
        event("order", 0, 1, 1 * DAY, quantity=2, price=5.0),
        event("order", 0, 2, 1 * DAY, quantity=1, price=1.5),
        event("return", 0, 1, 5 * DAY, quantity=-1, price=5.0),
        event("order", 0, 1, 39 * DAY, quantity=4, price=6.0),
        event("view", 1, 2, 40 * DAY - 30 * 60 * SECOND),
        event("order", -1, 3, 39 * DAY + 23 * HOUR, price=9.0),
    )


def test_windows_of_a_user(state):
    windows = state.user_windows(0, NOW)
    ever = {"counts": {"order": 3, "return": 1}, "events": 4, "orders": 2, "lines": 3, "distinct_items": 2}
    assert windows["all"] == {**ever, "pieces": 7.0, "spend": 35.5, "returned": 5.0}
    assert windows["7d"]["spend"] == 24.0
    assert windows["24h"]["orders"] == 0, "exactly 24 hours ago is outside of the last 24 hours"
    assert state.user_windows(0, NOW - 1)["24h"]["orders"] == 1
    assert windows["recency"]["days_since_order"] == 1.0
    assert windows["recency"]["tenure_days"] == 39.0


def test_now_is_included_and_an_asks_time_is_not(state):
    at = T0 + 39 * DAY
    assert state.user_window(0, at, None).orders == 2
    assert state.user_window(0, at - 1, None).orders == 1
    assert EVENTS_1H.read(Ask(0, at, rows_of([]), state)) == 0.0
    assert EVENTS_1H.read(Ask.live(0, at, rows_of([]), state)) == 1.0


def test_a_past_that_was_read_is_not_kept_beyond_a_change(state):
    """The same question, asked again after a late event, a merge and a forgetting."""
    assert state.past(0, NOW) is state.past(0, NOW), "a slate asks several times"
    assert len(state.past(0, NOW).times) == 4
    state.apply(batch(event("view", 0, 2, 2 * DAY)))
    assert len(state.past(0, NOW).times) == 5
    assert len(state.past(1, NOW).times) == 1
    assert len(state.past(1, NOW - 31 * 60 * SECOND).times) == 0
    histories = state.part(history.UserHistories)
    histories.forget(1, state)
    assert len(state.past(1, NOW).times) == 0


def test_a_user_that_nobody_has_met_has_empty_windows(state):
    for user in (-1, 2, 999):
        windows = state.user_windows(user, NOW)
        assert windows["all"]["events"] == 0
        assert windows["recency"]["days_since_order"] is None
        assert list(state.user_items(user)) == []
        assert state.user_recent(user, 5) == []
        assert state.event_counts(user) == {}


def test_items_and_recent_events_come_newest_first(state):
    assert list(state.user_items(0)) == [1, 2]
    recent = state.user_recent(0, 2)
    assert recent == [(T0 + 39 * DAY, "order", 1, 4.0, 24.0), (T0 + 5 * DAY, "return", 1, -1.0, -5.0)]
    assert state.event_counts(0) == {"order": 3, "return": 1}


def test_popularity_counts_sales_of_nobody_too(state):
    assert list(state.item_popularity(NOW, 1)) == [0, 0, 0, 1]
    assert list(state.item_popularity(NOW, 7)) == [0, 1, 0, 1]
    assert list(state.item_popularity(NOW, None)) == [0, 2, 1, 1]
    assert list(state.item_popularity(T0 + 400 * DAY, 30)) == [0, 0, 0, 0]
    with pytest.raises(Invalid, match="1 to 30 days"):
        state.item_popularity(NOW, 31)


def test_columns_cover_users_without_events(state):
    columns = state.user_columns(NOW, users=5)
    assert list(columns["spend_all"]) == [35.5, 0, 0, 0, 0]
    assert list(columns["events_1h"]) == [0, 1, 0, 0, 0]
    assert np.isnan(columns["days_since_order"][1:]).all()
    assert list(state.columns(NOW, 5).orders(1.5)) == [1, 0, 0, 0, 0]
    assert list(state.columns(NOW, 5).orders(1)) == [0, 0, 0, 0, 0], "exactly a day ago is outside"
    assert list(state.columns(NOW, 5).events(None, "never_seen")) == [0] * 5


def test_columns_are_fresh_after_an_event(state):
    assert state.user_columns(NOW)["orders_all"][1] == 0
    state.apply(batch(event("order", 1, 1, 40 * DAY)))
    assert state.user_columns(NOW)["orders_all"][1] == 1


def test_realtime_view_has_four_groups_and_ages(state):
    view = state.realtime(1, NOW)
    assert set(view) == {*GROUPS, "timestamp", "ages", "values"}
    assert view["behavioral"]["user_views_1h"] == 1.0
    assert view["aggregated"]["events_view_all"] == 1.0
    assert view["ages"] == {"first_event_s": 1800.0, "last_event_s": 1800.0, "last_order_s": None}
    assert view["timestamp"] == rfc3339(NOW)
    assert all(view[group] for group in GROUPS)
    assert all(type(value) is float for group in GROUPS for value in view[group].values())


def test_a_late_basket_moves_what_it_should_and_no_more(state):
    state.apply(batch(event("order", 0, 4, 20 * DAY, quantity=1, price=3.0)))
    assert list(state.user_items(0)) == [1, 4, 2]
    assert [recent.time for recent in state.user_recent(0, 3)] == [T0 + 39 * DAY, T0 + 20 * DAY, T0 + 5 * DAY]
    assert state.user_windows(0, NOW)["recency"]["days_since_order"] == 1.0


def test_amounts_that_are_missing_or_absurd_do_no_harm():
    nan = float("nan")
    known = shop(
        event("order", 0, 1, 0, quantity=nan, price=3.0), event("order", 0, 1, DAY, quantity=1e300, price=float("inf"))
    )
    ever = known.user_window(0, NOW, None)
    assert ever.spend == 3.0 + 1e9
    assert ever.pieces == 1.0 + 1e9


def test_a_heavy_user_keeps_totals_exact_and_memory_bounded():
    n = history.KEPT + 500
    events = batch(*(event("order", 0, i % 50, (i // 2) * HOUR, quantity=1, price=0.1) for i in range(n)))
    whole, split = (FeatureState(LONDON, Types()) for _ in range(2))
    whole.apply(events)
    for start in range(0, n, 101):
        split.apply(events.take(slice(start, start + 101)))
    now = T0 + n * HOUR
    for state in (whole, split):
        ever = state.user_window(0, now, None)
        assert ever.lines == n
        assert ever.orders == n // 2
        assert ever.spend == pytest.approx(n * 0.1, abs=1e-9)
        assert len(state.user_recent(0, 10 * n)) == history.KEPT
        assert state.user_windows(0, now)["recency"]["tenure_days"] == (now - T0) / DAY
        columns = state.user_columns(now)
        assert columns["orders_all"][0] == ever.orders
        assert columns["spend_all"][0] == ever.spend
        assert columns["tenure_days"][0] == (now - T0) / DAY


def test_a_part_that_the_state_does_not_keep_is_named(state):
    class Unknown:
        def __init__(self, kinds): ...
        def apply(self, events, state): ...

    with pytest.raises(Unavailable, match="Unknown"):
        state.part(Unknown)


def test_an_empty_batch_changes_nothing(state):
    version = state.version
    state.apply(batch())
    assert state.version == version
