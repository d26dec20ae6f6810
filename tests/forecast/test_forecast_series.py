"""What a set of series makes of masks, breaks, calendars and cuts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import CLOSED, PLANNED, Covariates
from shopkeeper.forecast.lives import beginnings
from shopkeeper.forecast.series import SeriesSet, with_total

MONDAY = 19_723


def series(y: list[list[float]], **more: object) -> SeriesSet:
    values = np.array(y, dtype=np.float32)
    n, d = values.shape
    return SeriesSet(
        tuple(f"P{k}" for k in range(n)), MONDAY, values, np.full((n, d), 2.0, np.float32),
        (values > 0).sum(axis=0).astype(np.int32), np.zeros(n, dtype=np.bool_), **more,
    )  # fmt: skip


def shared(name: str, values: list[float], n: int, ahead: int = 0) -> Covariates:
    return Covariates(
        (name,), np.array([values], np.float32), (), np.empty((0, n, len(values)), np.float32),
        (), np.empty((n, 0), np.int32), (), PLANNED, ahead,
    )  # fmt: skip


def test_what_was_not_available_is_filled_with_the_same_weekday() -> None:
    week = [1.0, 2, 3, 4, 5, 6, 7]
    y = np.array([week + week + week], dtype=np.float32)
    available = np.ones((1, 21), dtype=np.bool_)
    available[0, 8:17] = False
    y[0, 8:17] = 0
    filled = series(y.tolist(), available=available).filled()
    assert filled.tolist() == [week + week + week]
    observed = series(y.tolist(), available=available).observed()
    assert np.isnan(observed[0]).tolist() == (~available[0]).tolist()


def test_what_has_no_weekday_before_it_is_what_sells_on_average_and_nothing_before_the_first_sale() -> None:
    y = [[0, 0, 4, 0, 2, 6.0]]
    available = np.array([[True, False, True, False, True, True]])
    assert series(y, available=available).filled().tolist() == [[0, 0, 4, 4, 2, 6]]


def test_without_a_mask_nothing_is_copied() -> None:
    one = series([[1, 2, 3]])
    assert one.filled() is one.y
    assert series([[1, 2, 3]], available=np.ones((1, 3), np.bool_)).filled().tolist() == [[1, 2, 3]]


def test_a_closed_day_stays_a_day_without_sales_when_it_is_filled() -> None:
    y = np.tile(np.array([9.0] * 6 + [0.0]), 6)[None, :].repeat(6, axis=0)
    available = np.ones(y.shape, dtype=np.bool_)
    available[0, 20:34] = False
    filled = series(y.tolist(), available=available).filled()
    assert filled[0].tolist() == y[0].tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 3.0]), min_size=30, max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.integers(1, 30),
)
def test_filling_never_looks_past_a_cut(y: list[float], there: list[bool], cut: int) -> None:
    whole = series([y], available=np.array([there]))
    later = np.array(y)
    later[cut:] = 100.0
    other = series([later.tolist()], available=np.array([there]))
    np.testing.assert_array_equal(whole.until(cut).filled(), other.until(cut).filled())


def test_a_break_of_more_than_a_year_begins_a_new_life() -> None:
    sells = np.zeros((4, 1200), dtype=np.bool_)
    sells[0, [3, 369]] = True  # 365 days between: the same life
    sells[1, [3, 370, 380]] = True
    sells[2, [5, 800, 1199]] = True
    assert beginnings(sells).tolist() == [3, 370, 1199, 1200]
    assert beginnings(sells[:, :300]).tolist() == [3, 3, 5, 300]
    weeks = np.zeros((1, 120), dtype=np.bool_)
    weeks[0, [0, 54]] = True
    assert beginnings(weeks, 7).tolist() == [54]


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 1999), max_size=8))
def test_lives_begin_where_a_plain_search_finds_them(columns: set[int]) -> None:
    sells = np.zeros((1, 2000), dtype=np.bool_)
    sells[0, list(columns)] = True
    expected, last = 2000, -10_000
    for column in sorted(columns):
        expected = column if column - last - 1 > 365 else expected
        last = column
    assert beginnings(sells).tolist() == [expected]


def test_the_calendar_closes_days_on_which_nothing_was_sold_and_days_to_come() -> None:
    told = [0.0, 1, 0, 1, 0, 0, 1, 1]
    one = series([[1, 0, 1, 1, 0]], covariates=shared(CLOSED, told, 1, ahead=3))
    assert one.closed.tolist() == [False, True, False, False, False]  # on day 3 it sold something all the same
    assert one.future_closed(5).tolist() == [False, True, True, False, False]
    assert one.until(3).future_closed(5).tolist() == [True, False, False, True, True]


def test_weighted_sums_are_weighed_anew_at_a_cut() -> None:
    y = np.array([[1, 1, 9, 9], [1, 1, 0, 0]], dtype=np.float32)
    made = with_total(("a", "b"), MONDAY, y, y, y)
    weighted = SeriesSet(made.ids, MONDAY, made.y, made.price, made.sold, made.aggregate, aggregation="weighted")
    assert weighted.until(2).y[-1].tolist() == [1, 1]  # half of each
    later = y.copy()
    later[1, 2:] = 1000
    other = with_total(("a", "b"), MONDAY, later, later, later)
    again = SeriesSet(other.ids, MONDAY, other.y, other.price, other.sold, other.aggregate, aggregation="weighted")
    np.testing.assert_array_equal(again.until(2).y, weighted.until(2).y)


def test_covariates_of_another_shape_are_refused() -> None:
    with pytest.raises(Invalid, match="covariates of another shape"):
        series([[1, 2, 3]], covariates=shared("holiday", [0, 0], 1))
