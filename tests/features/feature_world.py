"""Small shops for tests of features: events by hand, events by hypothesis."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from shopkeeper.checks.features import TYPES, Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.features.state import FeatureState

T0 = 1_700_000_000_000_000
LONDON = ZoneInfo("Europe/London")
NAN = float("nan")


def event(type_: str, user: int, item: int, time: int, *, quantity: float = 1.0, price: float = 2.0) -> tuple:
    """One row of EventBatch.from_rows; `time` in us after T0; the value is quantity x price."""
    return (0, user, item, -1, TYPES.index(type_), 0, T0 + time, quantity, price, quantity * price, False)


def shop(*rows: tuple) -> FeatureState:
    """A state that has taken the rows in this order, in one batch."""
    state = FeatureState(LONDON, Types())
    state.apply(batch(*rows))
    return state


def batch(*rows: tuple) -> EventBatch:
    return EventBatch.from_rows([(seq, *row[1:]) for seq, row in enumerate(rows, 1)])


def rows_of(items: list[int]) -> np.ndarray:
    return np.array(items, dtype=np.int32)


amounts = st.sampled_from([NAN, -3.0, 0.0, 0.1, 1.0, 2.5, 12.0])
times = st.one_of(
    st.integers(0, 40 * 24).map(lambda hours: hours * HOUR),
    st.integers(0, 40 * DAY),
    st.sampled_from([0, DAY, 7 * DAY]),
)


@st.composite
def logs(draw: st.DrawFn, max_size: int = 30) -> EventBatch:
    """Events in log order with times in any order: late ones, ties, missing users, items and amounts."""
    row = st.tuples(
        st.just(0), st.integers(-1, 2), st.integers(-1, 4), st.just(-1), st.integers(0, len(TYPES) - 1), st.just(0),
        times.map(lambda time: T0 + time), amounts, amounts, amounts, st.just(False),
    )  # fmt: skip
    return batch(*draw(st.lists(row, min_size=1, max_size=max_size)))
