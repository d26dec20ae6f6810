"""Tiles: the same whatever the order, with or without a slot, and bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feature_world import LONDON, T0, batch, event, logs, rows_of, shop
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shopkeeper.checks.features import Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND
from shopkeeper.features import aggregators
from shopkeeper.features.base import Ask
from shopkeeper.features.history import KEPT
from shopkeeper.features.registry import feature, registered, standard
from shopkeeper.features.rings import SPANS, WIDTHS, Series
from shopkeeper.features.state import FeatureState
from shopkeeper.features.tiles import Tiles

RECENT = [name for name in registered() if name.startswith("recent_")]


def read(state: FeatureState, name: str, user: int, time: int) -> float:
    """`time` in us after T0; what happened at it is seen."""
    value = feature(name).read(Ask.live(user, T0 + time, rows_of([]), state))
    assert isinstance(value, float)
    return value


def all_of(state: FeatureState, time: int) -> dict[str, list[float]]:
    return {name: [read(state, name, user, time) for user in range(3)] for name in RECENT}


def plain(window: str, times: list[int], now: int) -> list[int]:
    """Events in each tile, the slow way."""
    number, n = SPANS[window]
    width = WIDTHS[number].width
    last = (T0 + now) // width
    return [
        sum((T0 + time) // width == tile for time in times if time <= now) for tile in range(last - n + 1, last + 1)
    ]


def tiles_at(state: FeatureState, user: int, window: str, now: int) -> Series:
    return state.part(Tiles).series(user, T0 + now + 1, window, state)


moments = st.integers(0, 26 * 3600).map(lambda seconds: seconds * SECOND)


@settings(phases=[Phase.generate], deadline=None, max_examples=60)
@given(times=st.lists(moments, min_size=1, max_size=30), now=moments, order=st.randoms())
def test_tiles_count_as_the_slow_way_does(times: list[int], now: int, order) -> None:
    state = FeatureState(LONDON, Types())
    order.shuffle(times)
    for window in SPANS:  # before the events: the slot is filled from nothing, and must follow
        tiles_at(state, 0, window, now)
    for time in times:
        state.apply(batch(event("view", 0, 1, time)))
        tiles_at(state, 0, "1d", now)
    for window in SPANS:
        assert tiles_at(state, 0, window, now).events.tolist() == plain(window, times, now)


@settings(phases=[Phase.generate], deadline=None, max_examples=40)
@given(events=logs(), ahead=st.integers(0, 3 * 24 * 60))
def test_with_slots_all_along_or_none_at_all_the_numbers_are_the_same(events: EventBatch, ahead: int) -> None:
    watched, unwatched, crowded = (FeatureState(LONDON, Types(), slots=slots) for slots in (10, 10, 1))
    for at in range(len(events)):
        for state in (watched, crowded):
            state.apply(events.take(slice(at, at + 1)))
            all_of(state, at * HOUR)
    unwatched.apply(events)
    now = int(events.time.max()) - T0 - DAY + ahead * MINUTE
    assert all_of(watched, now) == all_of(unwatched, now) == all_of(crowded, now)
    assert len(crowded.part(Tiles)) <= 1


def test_aggregators_say_what_their_names_say() -> None:
    prices = [1.0, 2.0, 2.0, 7.0]
    lines = [event("order", 0, 1, at * MINUTE, price=price) for at, price in enumerate(prices)]
    state = shop(*lines, event("view", 0, 1, 40 * MINUTE), event("cart", 1, 1, 0), event("order", 0, 1, -2 * DAY))
    now = 45 * MINUTE
    expected = {
        "recent_events_1d": 5.0,
        "recent_events_60m": 5.0,
        "recent_events_30m": 1.0,
        "recent_events_5m": 0.0,
        "recent_interest_60m": 1.0,
        "recent_spend_60m": 12.0,
        "recent_average_1d": 3.0,
        "recent_largest_1d": 7.0,
        "recent_smallest_1d": 1.0,
        "recent_median_1d": 2.0,
        "recent_p90_1d": pytest.approx(np.quantile(prices, 0.9)),
        "recent_deviation_1d": pytest.approx(np.std(prices)),
    }
    assert {name: read(state, name, 0, now) for name in expected} == expected
    assert read(state, "recent_trend_60m", 0, now) == pytest.approx(np.log(2 / 5))
    assert read(state, "recent_interest_1d", 1, now) == 1.0


def test_decay_weights_moving_average_and_volatility_of_a_known_series() -> None:
    def series(*events: int) -> Series:
        counts, amounts = np.zeros((3, len(events)), dtype=np.int32), np.zeros((4, len(events)), dtype=np.int64)
        counts[0] = events
        return Series(counts, amounts)

    assert aggregators.decayed(series(0, 0, 0, 0, 0, 0, 4, 4)) == pytest.approx(4 + 4 * 0.5**0.5)
    assert aggregators.decayed(series(8, 0, 0, 0)) == 1.0
    assert aggregators.weighted(series(4, 0, 0, 4)) == 5.0
    assert aggregators.moving_average(series(9, 9, 9, 9, 9, 9, 1, 3)) == 2.0
    assert aggregators.volatility(series(3, 3, 3, 3)) == 0.0
    assert aggregators.volatility(series(12, 0, 0, 0)) == pytest.approx(3**0.5)
    ours = [one for one in vars(aggregators).values() if getattr(one, "__module__", "") == aggregators.__name__]
    of_series = [one for one in ours if one is not aggregators.percentile]
    assert [one(series(0, 0, 0, 0)) for one in of_series] == [0.0] * 12


def test_a_user_with_100_000_events_in_a_day_is_counted_whole_and_keeps_the_slot() -> None:
    n = 100_000
    rng = np.random.default_rng(1)
    one = batch(event("view", 0, 1, 0))
    columns = {name: np.repeat(getattr(one, name), n) for name in one.__slots__}
    columns["time"] = T0 + np.sort(rng.integers(0, DAY - HOUR, n))
    many = EventBatch(**columns)
    whole, pieces = FeatureState(LONDON, Types(), slots=2), FeatureState(LONDON, Types(), slots=2)
    whole.apply(many)
    for start in range(0, n, 997):
        pieces.apply(many.take(slice(start, start + 997)))
    now = DAY - HOUR
    for state in (whole, pieces):
        for user in range(1, 6):  # others come and go
            state.apply(batch(event("view", user, 1, now)))
            read(state, "recent_events_1d", user, now)
        assert read(state, "recent_events_1d", 0, now) == n > KEPT
        assert len(state.part(Tiles)) == 2
    assert all_of(whole, now) == all_of(pieces, now)
    fork = whole.fork(0)
    fork.apply(batch(event("view", 0, 1, now)))
    assert (read(fork, "recent_events_1d", 0, now), read(whole, "recent_events_1d", 0, now)) == (n + 1, n)

    joined = replace(many, user=np.where(np.arange(n) % 2 == 0, np.int32(1), np.int32(0)))
    for _ in whole.merge(1, 0, joined):
        pass
    assert read(whole, "recent_events_1d", 0, now) == n
    later = now + 3 * DAY
    whole.apply(batch(event("view", 0, 1, later)))
    for user in range(1, 6):
        whole.apply(batch(event("view", user, 1, later)))
        read(whole, "recent_events_1d", user, later)
    assert len(whole.part(Tiles)) == 2
    assert read(whole, "recent_events_1d", 0, later) == 1.0


def test_slots_are_bounded_and_given_away_by_last_use() -> None:
    state = FeatureState(LONDON, Types(), slots=3)
    state.apply(batch(*[event("view", user, 1, 0) for user in range(5)]))
    tiles = state.part(Tiles)
    assert (len(tiles), tiles.filled) == (0, 0)
    for user in (0, 1, 2, 0, 3):  # 1 is the one that was not asked for longest
        read(state, "recent_events_1m", user, 0)
    assert (len(tiles), tiles.filled, tiles.given_away) == (3, 4, 1)
    read(state, "recent_events_1m", 0, 0)
    assert tiles.filled == 4
    read(state, "recent_events_1m", 1, 0)
    assert (tiles.filled, tiles.given_away) == (5, 2)
    assert tiles.bytes() < 200_000
    for user in (-1, 77):  # nobody has met them: they take no slot
        assert read(state, "recent_events_1m", user, 0) == 0.0
    assert len(tiles) == 3


def test_an_event_that_is_dated_ahead_does_not_hide_the_present() -> None:
    state = shop(event("view", 0, 1, 0), event("view", 0, 1, MINUTE))
    assert read(state, "recent_events_5m", 0, MINUTE) == 2.0
    state.apply(batch(event("view", 0, 1, 3 * DAY)))
    assert read(state, "recent_events_5m", 0, MINUTE) == 2.0
    assert read(state, "recent_events_5m", 0, 3 * DAY) == 1.0


def test_the_new_ones_are_no_part_of_a_set_that_names_none() -> None:
    assert RECENT
    assert not set(RECENT) & set(standard())
    assert {"user_events_1h", "item_price"} <= set(standard())
    assert tiles_at(shop(), -1, "1m", 0).events.tolist() == [0] * 12
