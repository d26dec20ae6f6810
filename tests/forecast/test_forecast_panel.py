import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panel_shop import LONDON, at, batch, busy_panel, new_panel

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.days import day_of
from shopkeeper.core.errors import NotFound
from shopkeeper.forecast.series import TOTAL

MONDAY = day_of(at(0), LONDON)


def test_orders_are_summed_by_local_day() -> None:
    panel = new_panel()
    late = at(0, hour=23)  # already Tuesday in London's summer
    panel.apply(batch({"quantity": 2}, {"quantity": 3}, {"time": late, "quantity": 5}, {"item": 1, "time": at(2)}))
    first, apples = panel.series("apple")
    assert first == MONDAY
    assert apples.tolist() == [5, 5, 0]
    assert panel.series("pear")[1].tolist() == [1]
    assert panel.series(None)[1].tolist() == [5, 5, 1]


def test_returns_views_and_lines_without_an_item_are_not_demand() -> None:
    panel = new_panel()
    panel.apply(
        batch(
            {"quantity": 4},
            {"type": "return", "quantity": -4},
            {"quantity": -2},
            {"type": "view"},
            {"item": -1, "quantity": 9},
        )
    )
    assert panel.series("apple")[1].tolist() == [4]
    assert panel.series(None)[1].tolist() == [4]


def test_an_order_without_a_quantity_is_one_piece() -> None:
    panel = new_panel()
    panel.apply(batch({"quantity": np.nan}))
    assert panel.series("apple")[1].tolist() == [1]


def test_stores_are_kept_apart() -> None:
    panel = new_panel()
    panel.apply(batch({"store": 0, "quantity": 2}, {"store": 1, "quantity": 5}, {"store": -1, "quantity": 1}))
    assert panel.series("apple")[1].tolist() == [8]
    assert panel.series("apple", store=1)[1].tolist() == [5]
    assert panel.series(None, store=0)[1].tolist() == [2]


def test_a_store_row_beyond_the_bound_is_no_other_items_sale() -> None:
    panel = new_panel()
    panel.apply(batch({"item": 0, "store": 40_000, "quantity": 3.0}, {"item": 1, "store": 2, "quantity": 2.0}))
    assert panel.series("apple")[1].tolist() == [3.0]
    assert panel.series("pear")[1].tolist() == [2.0]


def test_unknown_and_unsold_items_differ() -> None:
    panel = new_panel()
    panel.apply(batch({}))
    with pytest.raises(NotFound, match="no item 'ghost'"):
        panel.series("ghost")
    first, nothing = panel.series("unsold")
    assert (first, len(nothing)) == (MONDAY + 1, 0)


def test_a_day_far_away_is_left_out_and_a_wrong_year_does_not_stretch_the_panel() -> None:
    panel = new_panel()
    panel.apply(batch({"time": -(10**15)}, {"time": at(-9000)}, {"time": at(0)}))
    assert panel.dense(MONDAY).days == 5 * 366
    assert panel.dense(MONDAY).y.sum() == 2  # the product and the total, today


def test_an_empty_panel_gives_series_without_days() -> None:
    empty = new_panel().dense(MONDAY)
    assert (empty.ids, empty.days) == ((TOTAL,), 0)
    assert new_panel().dense(MONDAY, ["apple"]).y.shape == (2, 0)


def test_some_products_come_with_the_whole_shops_total() -> None:
    panel = busy_panel(30)
    last = MONDAY + 24
    whole, one = panel.dense(last), panel.dense(last, ["P3"])
    row = whole.ids.index("P3")
    np.testing.assert_array_equal(one.y[0], whole.y[row])
    np.testing.assert_array_equal(one.price[0], whole.price[row])
    np.testing.assert_array_equal(one.y[1], whole.y[-1])
    np.testing.assert_array_equal(one.closed, whole.closed)
    assert one.days == whole.days == 25
    assert whole.weekly_closed.tolist() == [False] * 7  # only three Sundays were seen
    assert panel.dense(MONDAY + 29).weekly_closed.tolist() == [False] * 6 + [True]


def test_prices_are_carried_forward() -> None:
    panel = new_panel()
    panel.apply(
        batch(
            {"quantity": 2},
            {"time": at(1), "quantity": 2, "unit_price": 3.0},
            {"time": at(1), "quantity": 2, "value": 10.0},
            {"time": at(3), "quantity": 1},
        )
    )
    np.testing.assert_array_equal(panel.dense(MONDAY + 3).price[0], [np.nan, 4, 4, 4])


def test_frame_has_the_names_that_forecasters_use() -> None:
    frame = busy_panel(14).frame(MONDAY + 13)
    assert frame.columns == ["unique_id", "ds", "y"]
    assert len(frame) == 12 * 12
    assert str(frame["ds"].min()) == "2024-06-03"


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "item": st.integers(-1, 3),
            "store": st.integers(-1, 2),
            "type": st.sampled_from(["order", "return", "view"]),
            "time": st.integers(0, 6).map(at),
            "quantity": st.sampled_from([1.0, 2.0, 0.1, -3.0, np.nan]),
            "unit_price": st.sampled_from([0.1, 2.5, np.nan]),
        }
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 59))
def test_batches_of_any_size_give_the_same_state(rows: list[dict[str, float]], cut: int) -> None:
    whole = batch(*rows) if rows else EventBatch.empty()
    at_once, split, single = new_panel(), new_panel(), new_panel()
    at_once.apply(whole)
    split.apply(whole.take(slice(0, cut)))
    split.apply(whole.take(slice(cut, None)))
    for k in range(len(whole)):
        single.apply(whole.take(slice(k, k + 1)))
    a, b, c = (panel.dense(MONDAY + 6) for panel in (at_once, split, single))
    for other in (b, c):
        assert a.ids == other.ids
        np.testing.assert_array_equal(a.y, other.y)
        np.testing.assert_array_equal(a.price, other.price)


def test_many_single_sales_outgrow_the_overlay() -> None:
    panel, rows = new_panel(), [{"time": at(day), "item": day % 3} for day in range(3000)]
    whole = batch(*rows)
    for k in range(len(whole)):
        panel.apply(whole.take(slice(k, k + 1)))
    assert panel.series(None)[1].sum() == 3000
    assert panel.series("pear")[1].sum() == 1000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ROWS, st.sampled_from([None, 0, 1])), min_size=1, max_size=6))
def test_totals_that_were_asked_for_before_follow_every_later_sale(steps) -> None:
    live = new_panel()
    so_far: list[dict[str, float]] = []
    for rows, store in steps:
        so_far += rows
        live.apply(batch(*rows))
        fresh = new_panel()
        fresh.apply(batch(*so_far))
        (first, y), (first_fresh, y_fresh) = live.series(None, store), fresh.series(None, store)
        assert first == first_fresh
        np.testing.assert_array_equal(y, y_fresh)
        last = live.last_complete_day(at(70))
        np.testing.assert_array_equal(live.dense(last, ["apple"], store).y, fresh.dense(last, ["apple"], store).y)
        sold, sold_fresh = (panel.dense(last, [], store).sold for panel in (live, fresh))
        np.testing.assert_array_equal(sold, sold_fresh)
