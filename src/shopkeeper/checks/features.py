"""Checks for every online feature. A shop's own feature passes them as the built-in ones do: `for check in CHECKS`.

Each check is given one feature and makes its own small shop: 6 users, 12 items, 60 days of orders, returns and views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.ids import check_name
from shopkeeper.features.base import GROUPS, SUBJECTS, Ask, Feature, Reading
from shopkeeper.features.state import FeatureState

TYPES = ("order", "return", "view", "click", "cart", "like", "other")
USERS, ITEMS = 6, 12
START = 1_700_000_000_000_000
_ALL_ITEMS = np.arange(ITEMS, dtype=np.int32)
_ZONE = ZoneInfo("Europe/London")


class Types:
    """A vocabulary of event types that does not change."""

    def id(self, row: int) -> str:
        return TYPES[row]

    def row(self, id_: str, /) -> int | None:
        return TYPES.index(id_) if id_ in TYPES else None


def small_shop(seed: int = 7, n: int = 400) -> EventBatch:
    """n events in log order; most in order of time, some late, some of nobody, some without an item or amounts."""
    rng = np.random.default_rng(seed)
    time = START + np.sort(rng.integers(0, 60 * DAY // HOUR, n)) * HOUR
    late = rng.random(n) < 0.1
    late[-1] = True
    time[late] -= rng.integers(0, 40 * DAY, int(late.sum()))
    quantity = rng.integers(1, 10, n).astype(np.float64)
    price = np.round(rng.gamma(2.0, 2.0, n) + 0.1, 2)
    bare = rng.random(n) < 0.1
    return EventBatch(
        seq=np.arange(1, n + 1, dtype=np.int64),
        user=rng.integers(-1, USERS, n).astype(np.int32),
        item=rng.integers(-1, ITEMS, n).astype(np.int32),
        other=np.full(n, -1, dtype=np.int32),
        type=rng.integers(0, len(TYPES), n).astype(np.int32),
        store=np.zeros(n, dtype=np.int32),
        time=time.astype(np.int64),
        quantity=np.where(bare, np.nan, quantity),
        unit_price=np.where(bare, np.nan, price),
        value=np.where(rng.random(n) < 0.2, np.nan, quantity * price),
        promotion=np.zeros(n, dtype=np.bool_),
    )


def check_its_facts_are_given(feature: Feature) -> None:
    check_name(feature.name)
    assert feature.group in GROUPS, f"{feature.name}: group {feature.group!r} is none of {GROUPS}"
    assert feature.of in SUBJECTS, f"{feature.name}: of {feature.of!r} is none of {SUBJECTS}"
    assert feature.unit, f"{feature.name} does not say its unit"
    assert feature.help, f"{feature.name} has no help"
    assert feature.version >= 1
    assert np.isfinite(feature.default)


def check_shape_and_finite(feature: Feature) -> None:
    state = _state(feature, small_shop())
    for items in (_ALL_ITEMS, _ALL_ITEMS[:0], np.array([3, 3, -1, 10_000], dtype=np.int32)):
        for user in (-1, 0, USERS, 10_000):
            reading = feature.read(Ask(user, START + 61 * DAY, items, state))
            if feature.of in ("item", "pair"):
                assert isinstance(reading, np.ndarray), f"{feature.name} is of {feature.of}: an array was expected"
                assert reading.shape == (len(items),)
                assert reading.dtype == np.float32
            else:
                assert isinstance(reading, float), f"{feature.name} is of {feature.of}: a float was expected"
            assert np.isfinite(reading).all(), f"{feature.name} is not finite"


def check_default_for_unknown_user(feature: Feature) -> None:
    state = _state(feature, small_shop())
    unknown_item = np.array([10_000], dtype=np.int32)
    for user in (-1, USERS, 10_000):
        ask = Ask(user, START + 61 * DAY, unknown_item, state)
        if feature.of != "context":
            assert np.all(np.asarray(feature.read(ask)) == np.float32(feature.default))


def check_default_before_any_event(feature: Feature) -> None:
    reading = feature.read(Ask(0, START, _ALL_ITEMS, _state(feature)))
    if feature.of != "context":
        assert np.all(np.asarray(reading) == np.float32(feature.default))


def check_one_batch_equals_many_batches(feature: Feature) -> None:
    if not feature.needs:
        return  # no event writes it
    events = small_shop()
    whole = _state(feature, events)
    single = _state(feature, *(events.take(slice(i, i + 1)) for i in range(len(events))))
    threes = _state(feature, *(events.take(slice(i, i + 3)) for i in range(0, len(events), 3)))
    _same(feature, whole, single)
    _same(feature, whole, threes)


def check_late_events_end_in_the_same_state(feature: Feature) -> None:
    """Live state, in log order, equals replayed state, in order of time."""
    if not feature.needs:
        return  # no event writes it
    events = small_shop()
    _same(feature, _state(feature, events), _state(feature, events.by_time()))
    one_by_one = (events.take(slice(i, i + 1)) for i in range(len(events)))
    _same(feature, _state(feature, *one_by_one), _state(feature, events.by_time()))


def check_a_feature_at_t_never_sees_an_event_after_t(feature: Feature) -> None:
    """What comes later, or at t itself, is replaced by something else entirely: the replayed answer stays."""
    from shopkeeper.features.replay import Question, replay
    from shopkeeper.features.vector import FeatureSet

    events = small_shop().by_time()
    for cut in (0, 1, len(events) // 3, len(events) // 2, len(events) - 1):
        t = int(events.time[cut])
        future = events.time >= t
        other = replace(events, value=np.where(future, 1e6, events.value), item=np.where(future, 0, events.item))
        other = replace(other, type=np.where(future, 0, events.type), user=np.where(future, 1, events.user))
        questions = [Question(user, t, _ALL_ITEMS) for user in range(-1, USERS)]
        chosen = FeatureSet.of([feature])
        for a, b in zip(
            replay(events, questions, chosen, _state(feature)),
            replay(other, questions, chosen, _state(feature)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def check_reading_changes_nothing(feature: Feature) -> None:
    """Not even a read far in the future, or in the past."""
    events = small_shop()
    read, unread = _state(feature), _state(feature)
    for i in range(0, len(events), 20):
        for state in (read, unread):
            state.apply(events.take(slice(i, i + 20)))
        for time in (START - 90 * DAY, START + i * HOUR, START + 3650 * DAY):
            feature.read(Ask(i % USERS, time, _ALL_ITEMS, read))
    _same(feature, read, unread)


def check_merged_users_end_in_the_state_of_the_log(feature: Feature) -> None:
    """Live state with two merges in their places equals the state of a log that had the merged rows all along.

    What has no `merge` (`features/base.py`, Merging) is allowed: it says that it is out of date.
    """
    if not feature.needs:
        return  # no event writes it
    events = small_shop()
    live, user = _state(feature), events.user.copy()
    start = 0
    for end, source, target in ((len(events) // 3, 1, 0), (len(events) // 2, 0, 2)):
        live.apply(replace(events, user=user).take(slice(start, end)))
        both = np.flatnonzero((user == source) | (user == target))
        for _ in live.merge(source, target, replace(events, user=user).take(both[both < end])):
            pass
        user = np.where(user == source, np.int32(target), user)
        start = end
    live.apply(replace(events, user=user).take(slice(start, None)))
    if not live.out_of_date:
        _same(feature, live, _state(feature, replace(events, user=user)))


def check_nothing_is_known_of_a_forgotten_user(feature: Feature) -> None:
    """The answer is that for somebody whom no event has named."""
    state = _state(feature, small_shop())
    state.forget(0)
    if not state.out_of_date:
        forgotten, stranger = (_read(feature, user, START + 61 * DAY, state) for user in (0, 10_000))
        np.testing.assert_array_equal(forgotten, stranger, err_msg=f"{feature.name} still knows the user")


def check_a_fork_is_the_state_with_more_events(feature: Feature) -> None:
    """What one user may yet do, tried on a fork: it answers as the state of a longer log, and the state itself stays.

    An accumulator has `fork` (`features/base.py`, Forking), or is copied whole.
    """
    if not feature.needs:
        return  # no event writes it
    events = small_shop()
    known = events.take(slice(0, len(events) // 2))
    state, untouched = _state(feature, known), _state(feature, known)
    for user in (0, USERS - 1, USERS):
        rest = events.take(slice(len(events) // 2, None))
        tried = replace(rest, user=np.full(len(rest), user, dtype=np.int32))
        fork = state.fork(user)
        for start in range(0, len(tried), 7):
            fork.apply(tried.take(slice(start, start + 7)))
        _same(feature, fork, _state(feature, known, tried))
    _same(feature, state, untouched)


CHECKS: tuple[Callable[[Feature], None], ...] = (
    check_its_facts_are_given,
    check_shape_and_finite,
    check_default_for_unknown_user,
    check_default_before_any_event,
    check_one_batch_equals_many_batches,
    check_late_events_end_in_the_same_state,
    check_a_feature_at_t_never_sees_an_event_after_t,
    check_reading_changes_nothing,
    check_merged_users_end_in_the_state_of_the_log,
    check_nothing_is_known_of_a_forgotten_user,
    check_a_fork_is_the_state_with_more_events,
)


def _state(feature: Feature, *batches: EventBatch) -> FeatureState:
    state = FeatureState(_ZONE, Types(), features=[feature])
    for batch in batches:
        state.apply(batch)
    return state


def _same(feature: Feature, a: FeatureState, b: FeatureState) -> None:
    for time in (START + 60 * DAY, START + 60 * DAY + 5 * HOUR, START + 75 * DAY):
        for user in range(-1, USERS):
            one, other = (_read(feature, user, time, state) for state in (a, b))
            np.testing.assert_array_equal(one, other, err_msg=f"{feature.name} of user {user}")


def _read(feature: Feature, user: int, time: int, state: FeatureState) -> Reading:
    return feature.read(Ask(user, time, _ALL_ITEMS, state))
