"""What is said about the future of a condition is true: until that moment nothing changes, and what changes is seen."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.features.columns import NEVER
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.motion import motions, movable
from shopkeeper.profiles.rfm import RfmScale, moments
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.columns import compile_columns
from shopkeeper.rules.horizon import AGAIN, compile_horizon
from shopkeeper.rules.parser import parse
from shopkeeper.rules.tree import fields

NOW = 1_700_000_000_000_000
USERS = 3
TYPES = ["view", "order", "return"]
SCHEMA = schema_of([])
MOVABLE = movable(SCHEMA)


class Types:
    """A vocabulary of event types."""

    def __len__(self) -> int:
        return len(TYPES)

    def row(self, name: str) -> int | None:
        return TYPES.index(name) if name in TYPES else None

    def id(self, row: int) -> str:
        return TYPES[row]


events = st.lists(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, 2), st.integers(-40 * DAY, 3 * DAY), st.integers(1, 5)),
    max_size=25,
)
numbers = st.sampled_from(
    [
        "days_since_order", "days_since_event", "tenure_days", "orders in 7 days", "total_events in 24 hours",
        "spend in 30 days", "orders", "days_between_orders", "(event_counts in 7 days).get('view', 0)",
        "int(days_since_event)", "returned in 14 days", "recency_score", "last_event_at / 1000000",
    ]
)  # fmt: skip
linear = st.recursive(
    numbers | st.sampled_from(["0", "1", "2.5", "7", "30"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda a: f"(2 * {a})")
        | inner.map(lambda a: f"-({a})")
        | st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
    ),
    max_leaves=4,
)
compared = st.tuples(linear, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), linear).map(" ".join)
plain = st.sampled_from(
    ["lifecycle == 'new'", "lifecycle in ['active', 'cooling']", "'view' in (event_counts in 24 hours)",
     "days_since_order is None", "len(event_counts in 7 days) > 1", "lifecycle != 'lapsed'"]
)  # fmt: skip
conditions = st.recursive(
    compared | plain,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda a: f"not ({a})")
    ),
    max_leaves=4,
)


def state_of(rows: list[tuple[int, int, int, int]]) -> FeatureState:
    state = FeatureState(ZoneInfo("UTC"), Types())
    user, kind, ago, value = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 4
    n = len(rows)
    state.apply(
        EventBatch(
            seq=np.arange(1, n + 1),
            user=user.astype(np.int32),
            other=np.full(n, -1, dtype=np.int32),
            item=np.zeros(n, dtype=np.int32),
            store=np.full(n, -1, dtype=np.int32),
            type=kind.astype(np.int32),
            time=NOW + ago.astype(np.int64),
            quantity=np.ones(n),
            unit_price=np.full(n, np.nan),
            value=value.astype(np.float64),
            promotion=np.zeros(n, dtype=np.bool_),
        )
    )
    return state


def table_at(state: FeatureState, now: int, scale: RfmScale | None = None) -> ProfileTable:
    return ProfileTable(SCHEMA, Many.everybody(state, now, USERS), [None] * USERS, scale)


def scale_of(state: FeatureState) -> RfmScale:
    table = table_at(state, NOW)
    last = moments(table.number("days_since_order"), NOW)
    return RfmScale.of(last, table.number("orders"), table.number("net_spend"))


@settings(max_examples=300, deadline=None)
@given(events, conditions, st.lists(st.floats(0, 1), min_size=3, max_size=3))
@example([(0, 1, -7 * DAY, 1)], "orders in 7 days >= 1", [0.5, 0.5, 0.5])
@example([(0, 1, -30 * DAY + 1, 1)], "days_since_order >= 30", [0.1, 0.5, 0.9])
def test_until_then_nothing_changes(rows: list[tuple[int, int, int, int]], text: str, shares: list[float]) -> None:
    state, tree = state_of(rows), parse(text, SCHEMA)
    scale = scale_of(state)
    now = np.full(USERS, NOW, dtype=np.int64)
    source = Many.some(state, np.arange(USERS), now)
    table = ProfileTable(SCHEMA, source, [None] * USERS, scale)
    look = compile_horizon(tree, MOVABLE)
    holds, until = look(table.columns(), motions(table, source, fields(tree) & MOVABLE), now, AGAIN)
    until = np.minimum(until, source.next_arrival())

    answers = compile_columns(tree)
    assert holds.tolist() == answers(table_at(state, NOW, scale).columns()).tolist()
    assert (until > NOW).all()
    for user in range(USERS):
        end = min(int(until[user]), NOW + 500 * DAY)
        for moment in {NOW + int((end - 1 - NOW) * share) for share in shares} | {end - 1}:
            later = answers(table_at(state, moment, scale).columns())
            assert later[user] == holds[user], f"user {user} changed {(moment - NOW) / HOUR} hours on, before {end}"


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("orders in 7 days >= 1", NOW + 2 * DAY),
        ("days_since_order > 12.5", NOW + 7 * DAY + DAY // 2),
        ("days_since_order >= 2 * tenure_days - 40", NOW + 25 * DAY),
        ("lifecycle == 'new'", NOW + 20 * DAY + 1),
        ("orders > 5 and orders in 7 days >= 1", NEVER),
        ("orders > 0 or days_since_order > 9", NEVER),
    ],
)
def test_the_moment_of_a_change_is_exact(text: str, turns: int) -> None:
    state = state_of([(0, 1, -5 * DAY, 1), (0, 0, -10 * DAY, 1)])
    source = Many.some(state, np.arange(1), np.array([NOW]))
    table = ProfileTable(SCHEMA, source, [None])
    tree = parse(text, SCHEMA)
    how = motions(table, source, fields(tree) & MOVABLE)
    _, until = compile_horizon(tree, MOVABLE)(table.columns(), how, NOW, AGAIN)
    if turns == NEVER:
        assert until[0] > NOW + 1000 * DAY
    else:
        assert abs(int(until[0]) - turns) <= 1


@pytest.mark.parametrize(
    "text", ["days_since_order * tenure_days > 60", "days_since_order % 2 < 1", "len(str(tenure_days)) > 4"]
)
def test_what_cannot_be_foreseen_is_looked_at_every_minute(text: str) -> None:
    state = state_of([(0, 1, -5 * DAY, 1)])
    source = Many.some(state, np.arange(1), np.array([NOW]))
    table = ProfileTable(SCHEMA, source, [None])
    tree = parse(text, SCHEMA)
    how = motions(table, source, fields(tree) & MOVABLE)
    _, until = compile_horizon(tree, MOVABLE)(table.columns(), how, NOW, AGAIN)
    assert until[0] == NOW + AGAIN
