"""Fields of behaviour: one user and everybody agree, and what is said about their future is true."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR, MINUTE
from shopkeeper.features.history import KEPT
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.behaviour import STEPPING
from shopkeeper.profiles.churn.bgnbd import BgNbd
from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.profiles.clusters.kmeans import KMeansModel
from shopkeeper.profiles.clusters.space import Space
from shopkeeper.profiles.fields import BEHAVIOUR, schema_of
from shopkeeper.profiles.motion import motions
from shopkeeper.profiles.sources import Many, One, Source
from shopkeeper.profiles.surroundings import Surroundings
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.schema import window_name

NOW = 1_700_000_000_000_000
USERS = 3
TYPES = ["view", "order", "return"]
VIEW, ORDER, RETURN = range(3)
LONDON = ZoneInfo("Europe/London")
FIELDS = [field.name for field in BEHAVIOUR] + [window_name("sessions", hours) for hours in (1, 24, 7 * 24)]


class Types:
    def row(self, name: str) -> int | None:
        return TYPES.index(name) if name in TYPES else None

    def id(self, row: int) -> str:
        return TYPES[row]


class Products:
    """Five items in two categories and without one."""

    ids = ("I0", "I1", "I2", "I3", "I4")
    category = ("Mugs", "Cups", None, "Mugs", "Cups")
    moves = 0

    def __len__(self) -> int:
        return len(self.ids)


class Champions:
    """Models that serve."""

    def __init__(self, **models: object) -> None:
        self._models = models

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> object:
        del ref, scope
        found = self._models.get(model)
        return None if found is None else type("Served", (), {"model": found, "version": None})()


CHURN = BgNbd(0.5, 30.0, 0.8, 2.0)
SPACE = Space(np.ones(len(HABITS)), np.ones(len(HABITS)), np.ones(len(HABITS)))
CLUSTERS = KMeansModel(SPACE, np.array([[-1.0] * len(HABITS), [1.0] * len(HABITS)]), ("few", "many"))
BOTH = Champions(churn=CHURN, clusters=CLUSTERS)


def state_of(rows: list[tuple[int, int, int, int, float]]) -> FeatureState:
    state = FeatureState(LONDON, Types(), features=())
    state.apply(batch(rows))
    return state


def batch(rows: list[tuple[int, int, int, int, float]]) -> EventBatch:
    """(user, type, time in us after NOW, item, value), in this order."""
    n = len(rows)
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.empty(0)] * 5
    user, kind, at, item, value = columns
    return EventBatch(
        seq=np.arange(1, n + 1),
        user=user.astype(np.int32),
        other=np.full(n, -1, dtype=np.int32),
        item=item.astype(np.int32),
        store=np.full(n, -1, dtype=np.int32),
        type=kind.astype(np.int32),
        time=NOW + at.astype(np.int64),
        quantity=np.ones(n),
        unit_price=np.full(n, np.nan),
        value=value.astype(np.float64),
        promotion=np.zeros(n, dtype=np.bool_),
    )


def table(state: FeatureState, source: Source, models: Champions | None = BOTH) -> ProfileTable:
    surroundings = Surroundings(state, Products(), models)
    return ProfileTable(schema_of([], surroundings=surroundings), source, [None] * source.n)


def one(state: FeatureState, user: int = 0, now: int = NOW, models: Champions | None = BOTH) -> dict:
    return table(state, One(state, user, now), models).row(frozenset(FIELDS))


def same(a: object, b: object) -> bool:
    return a == b or (a != a and b != b)


moments = st.one_of(
    st.integers(-40 * DAY, 2 * DAY),
    st.integers(-60, 3).map(lambda n: n * 10 * MINUTE),
    st.integers(-40, 1).map(lambda n: n * DAY),
)
events = st.lists(
    st.tuples(
        st.integers(0, USERS - 1),
        st.sampled_from([VIEW, ORDER, ORDER, ORDER, RETURN]),
        moments,
        st.integers(-1, 4),
        st.sampled_from([0.0, 1.0, 5.0, 5.5, 80.0]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(events)
def test_one_user_and_everybody_agree(rows: list[tuple[int, int, int, int, float]]) -> None:
    state = state_of(rows)
    everybody = table(state, Many.everybody(state, NOW, USERS))
    some = table(state, Many.some(state, np.array([2, 0]), np.array([NOW, NOW])))
    names = frozenset(FIELDS)
    for user in range(USERS):
        alone = one(state, user)
        for other in [everybody.row(names, user)] + ([some.row(names, (2, 0).index(user))] if user != 1 else []):
            assert [n for n in FIELDS if not same(alone[n], other[n])] == []


@settings(max_examples=150, deadline=None)
@given(events, st.integers(0, 30 * DAY))
@example([(0, VIEW, -DAY + 1, 0, 0.0), (0, VIEW, -3 * DAY, 0, 0.0)], 1)
@example([(0, ORDER, -90 * MINUTE, 0, 1.0)], 30 * MINUTE - 1)
def test_nothing_changes_before_the_moment_that_is_told(
    rows: list[tuple[int, int, int, int, float]], later: int
) -> None:
    state = state_of(rows)
    source = Many.everybody(state, NOW, USERS)
    now = table(state, source)
    told = motions(now, source, [*STEPPING, window_name("sessions", 24)])
    arrival = source.next_arrival()
    names = frozenset(FIELDS) - {window_name("sessions", 1), window_name("sessions", 7 * 24)}
    for user in range(USERS):
        before = now.row(names, user)
        for moment in {NOW + later, NOW + DAY, NOW + HOUR}:
            after = one(state, user, moment)
            for name in names:
                until = np.broadcast_to(told[name].until, USERS)[user] if name in told else NOW + 1000 * DAY
                if moment < min(int(until), int(arrival[user])):
                    assert same(before[name], after[name]), (name, moment - NOW)


def test_the_risk_of_leaving_grows_at_full_hours_only() -> None:
    state = state_of([(0, ORDER, -50 * DAY, 0, 1.0), (0, ORDER, -40 * DAY, 0, 1.0)])
    at = [one(state, 0, NOW + minutes * MINUTE)["churn_risk"] for minutes in (0, 30, 59, 60, 61)]
    assert at[0] == at[1] == at[2] < at[3] == at[4]
    assert 0 < at[0] < 1
    years = one(state, 0, NOW + 1500 * DAY)["churn_risk"]
    assert years > 0.9


def test_a_session_ends_after_half_an_hour_without_an_event() -> None:
    at = [0, 10, 40, 71, 71, 200]  # minutes: 10 and 40 are 30 apart, 40 and 71 are not
    state = state_of([(0, VIEW, minute * MINUTE - DAY, 0, 0.0) for minute in at])
    found = one(state)
    assert found["sessions"] == 3
    assert found["session_minutes"] == pytest.approx(40 / 3)
    assert found["sessions in 1 day"] == 2  # the first began a day ago, and its last events are within the day
    late = state_of(
        [*[(0, VIEW, minute * MINUTE - DAY, 0, 0.0) for minute in at], (0, VIEW, 55 * MINUTE - DAY, 0, 0.0)]
    )
    assert one(late)["sessions"] == 2
    assert one(late)["session_minutes"] == pytest.approx(71 / 2)


def test_a_hundred_thousand_events_are_summed_exactly() -> None:
    """Older ones are folded away: sessions, orders and first order stay exact while events come in order."""
    gaps = np.random.default_rng(3).choice([2, 29, 30, 31, 300], 100_000) * MINUTE
    times = np.cumsum(gaps)
    rows = [(0, ORDER if n % 3 == 0 else VIEW, int(t - times[-1]), n % 5, 2.0) for n, t in enumerate(times)]
    state = FeatureState(LONDON, Types(), features=())
    for start in range(0, len(rows), 7000):
        state.apply(batch(rows[start : start + 7000]))
    kept = len(state.past(0, NOW).times)
    assert kept == KEPT
    trail = Many.everybody(state, NOW, 1).trail()
    inner = gaps[1:]
    assert trail.sessions()[0] == 1 + np.count_nonzero(inner > 30 * MINUTE)
    assert trail.session_minutes()[0] == pytest.approx(
        inner[inner <= 30 * MINUTE].sum() / MINUTE / trail.sessions()[0], rel=1e-12
    )
    assert trail.orders[0] == 33_334
    assert trail.first_order[0] == NOW + rows[0][2]
    assert trail.events[0] == 100_000
    assert {name for name, value in one(state).items() if value is None or value != value} == set()
    assert all(
        same(one(state)[name], table(state, Many.everybody(state, NOW, 1)).row(frozenset([name]))[name])
        for name in FIELDS
    )


def test_the_last_order_is_measured_against_the_earlier_ones() -> None:
    def surprise(*values: float) -> float:
        return one(state_of([(0, ORDER, (n - 50) * DAY, 0, value) for n, value in enumerate(values)]))["order_surprise"]

    assert surprise(10, 11, 12, 13, 41.0) == pytest.approx((41 - 11.5) / 1.4826)
    assert surprise(10, 11, 12, 13, 11.5) == 0
    assert surprise(10, 11, 12, 13, 1) < -3
    assert np.isnan(surprise(10, 10, 10, 99))
    assert surprise(10, 10, 10, 10, 12) == pytest.approx(2 / 0.5)  # no spread at all: 5 % of the median
    assert surprise(0, 0, 0, 0, 0) == 0
    assert np.isnan(surprise(0, 0, 0, 0, 5))
    lines = [(0, ORDER, -DAY, item, 30.0) for item in range(4)]  # one order of four lines
    earlier = [(0, ORDER, -(n + 2) * DAY, 0, 10.0 + n) for n in range(4)]
    assert one(state_of(lines + earlier))["order_surprise"] == pytest.approx((120 - 11.5) / 1.4826)


def test_a_busy_day_is_unusual_for_a_quiet_user_only() -> None:
    quiet = [(0, VIEW, -n * DAY, 0, 0.0) for n in range(2, 40)]
    burst = [(0, VIEW, -n * MINUTE, 0, 0.0) for n in range(1, 13)]
    busy = [(0, VIEW, -2 * DAY - n * HOUR, 0, 0.0) for n in range(900)]
    assert one(state_of(quiet))["activity_surprise"] == 0
    found = one(state_of(quiet + burst))["activity_surprise"]
    assert 8 < found < 10  # P(X >= 12) at a mean of one a day is 8e-10
    assert one(state_of(busy + burst))["activity_surprise"] == 0
    assert one(state_of(quiet + burst), now=NOW + DAY - MINUTE - 1)["activity_surprise"] == found
    assert one(state_of(quiet + burst), now=NOW + DAY - MINUTE)["activity_surprise"] == 0
    assert np.isnan(one(state_of(burst))["activity_surprise"])  # nothing to compare with


def test_the_preferred_category_has_most_lines_then_spend_then_the_first_name() -> None:
    assert one(state_of([(0, ORDER, -1, 0, 1.0), (0, ORDER, -2, 3, 1.0), (0, ORDER, -3, 1, 99.0)]))[
        "category_share"
    ] == {"Mugs": 2 / 3, "Cups": 1 / 3}
    lines = [(0, ORDER, -1, 0, 1.0), (0, ORDER, -2, 1, 2.0), (0, ORDER, -3, 2, 500.0), (0, VIEW, -4, 0, 0.0)]
    assert one(state_of(lines))["preferred_category"] == "Cups"
    assert one(state_of([*lines, (0, ORDER, -5, 0, 1.0), (0, ORDER, -6, 1, 0.0)]))["preferred_category"] == "Cups"
    assert one(state_of(lines[2:]))["preferred_category"] is None
    assert one(state_of(lines[2:]))["category_share"] == {}
    ties = [(0, ORDER, -1, 0, 5.0), (0, ORDER, -2, 1, 5.0)]
    assert one(state_of(ties))["preferred_category"] == "Cups"


def test_who_has_not_ordered_and_who_is_unknown_miss_what_needs_orders() -> None:
    for rows in ([], [(0, VIEW, -DAY, 0, 0.0), (1, ORDER, -DAY, 0, 2.0)]):
        found = one(state_of(rows))
        assert found["cluster"] is None
        assert found["preferred_category"] is None
        assert np.isnan(found["churn_risk"])
        assert np.isnan(found["order_surprise"])
    assert one(state_of([]))["sessions"] == 0
    assert np.isnan(one(state_of([]))["session_minutes"])


def test_without_models_catalogue_or_surroundings_their_fields_are_missing() -> None:
    state = state_of([(0, ORDER, -n * DAY, n % 5, 3.0 + n) for n in range(9)])
    source = One(state, 0, NOW)
    for schema in (
        schema_of([]),
        schema_of([], surroundings=Surroundings(state)),
        schema_of([], surroundings=Surroundings(state, None, Champions(churn=object(), clusters=object()))),
    ):
        found = ProfileTable(schema, source, [None]).row(frozenset(FIELDS))
        assert found["cluster"] is None
        assert found["preferred_category"] is None
        assert found["category_share"] == {}
        assert np.isnan(found["churn_risk"])
        assert found["sessions"] == 9
        assert not np.isnan(found["order_surprise"])
