import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.forecast.covariates import PLANNED, Covariates
from shopkeeper.forecast.panel.weekly import weekly
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import week

MONDAY = 19_723


def days(first: int, y: np.ndarray, **more: object) -> SeriesSet:
    n, d = y.shape
    price = np.arange(d, dtype=np.float32)[None, :].repeat(n, axis=0)
    sold = (y > 0).sum(axis=0).astype(np.int32)
    ids = tuple(f"P{k}" for k in range(n))
    return SeriesSet(ids, first, y.astype(np.float32), price, sold, np.zeros(n, np.bool_), **more)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 6), st.integers(0, 40), st.integers(0, 6), st.integers(0, 9))
def test_weeks_add_up_whole_weeks(offset: int, d: int, starts: int, ahead: int) -> None:
    y = np.arange(2 * d, dtype=np.float64).reshape(2, d)
    known = Covariates(
        ("holiday",), np.arange(d + ahead * 7, dtype=np.float32)[None], (), np.empty((0, 2, d + ahead * 7), np.float32),
        (), np.empty((2, 0), np.int32), (), PLANNED, ahead * 7,
    )  # fmt: skip
    made = weekly(days(MONDAY + offset, y, covariates=known), week(starts))
    first = next(day for day in range(7) if (offset + day) % 7 == starts)
    whole = max((d - first) // 7, 0)
    assert made.days == whole
    assert made.season == 52
    assert made.covariates is not None
    if whole:
        assert made.first_day == MONDAY + offset + first
        assert made.weekday.tolist() == [starts] * whole
        inner = y[:, first : first + 7 * whole].reshape(2, whole, 7)
        np.testing.assert_allclose(made.y, inner.sum(axis=2))
        assert made.price[0].tolist() == [first + 7 * (k + 1) - 1 for k in range(whole)]
        assert made.covariates.ahead >= ahead
        assert made.covariates.shared[0, 0] == first + 3.0


def test_days_that_say_nothing_are_made_up_for_and_weeks_without_any_are_not_available() -> None:
    y = np.ones((1, 21))
    available = np.ones((1, 21), dtype=np.bool_)
    available[0, 3:14] = False
    y[~available] = 0
    made = weekly(days(MONDAY, y, available=available), week())
    assert made.y.tolist() == [[7, 0, 7]]
    assert made.available is not None
    assert made.available.tolist() == [[True, False, True]]
    assert made.filled().tolist() == [[7, 7, 7]]


def test_a_week_in_which_the_shop_was_closed_is_no_week_without_demand() -> None:
    y = np.ones((6, 28))
    y[:, 7:14] = 0
    made = weekly(days(MONDAY, y), week())
    assert made.available is not None
    assert made.available.tolist() == [[True, False, True, True]] * 6
    assert not made.closed.any()
    assert not made.future_closed(3).any()
