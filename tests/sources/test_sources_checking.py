"""Rows are taken whole or refused with a reason; none gets lost."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import micros, moment
from shopkeeper.sources.checking import EVENT_COLUMNS, Checked, check
from shopkeeper.sources.mapping import Plan, guess
from shopkeeper.sources.reading import Setting
from shopkeeper.sources.source import Slice

NOW = micros(datetime(2025, 1, 1, tzinfo=UTC))
SETTING = Setting("Europe/London", NOW, "abc")


def checked(frame: pl.DataFrame, kind: str | None = None) -> Checked:
    rows = pl.int_range(1, frame.height + 1, eager=True)
    return check(guess(frame, kind=kind), Slice(1, frame.height + 1, rows, frame), SETTING)


def orders(**columns: list[str | None]) -> pl.DataFrame:
    height = max([1, *(len(values) for values in columns.values())])
    plain = {"customer": ["7"], "sku": ["A"], "date": ["2024-07-05 10:00"], "qty": ["2"], "price": ["1.5"]}
    full = {name: values * height if len(values) == 1 else values for name, values in {**plain, **columns}.items()}
    return pl.DataFrame(full, schema=dict.fromkeys(full, pl.String))


def reasons(result: Checked) -> list[str]:
    return [broken.reason for broken in result.rejects]


def test_an_order_line_becomes_an_event():
    (row,) = checked(orders()).good.rows(named=True)
    assert {name: row[name] for name in EVENT_COLUMNS} == {
        "event_id": "abc-1",
        "user_id": "7",
        "anonymous_id": None,
        "event_type": "order",
        "target_kind": "product",
        "target_id": "A",
        "store_id": "main",
        "time": micros(datetime(2024, 7, 5, 9, tzinfo=UTC)),
        "quantity": 2.0,
        "unit_price": 1.5,
        "value": 3.0,
        "promotion": None,
        "context": None,
    }


def test_negative_pieces_are_a_return_and_nobody_may_buy():
    good = checked(orders(qty=["-2", "1"], customer=["7", ""])).good
    assert good["event_type"].to_list() == ["return", "order"]
    assert good["value"].to_list() == [-3.0, 1.5]
    assert good["user_id"].to_list() == ["7", None]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("qty", "many", "quantity 'many' is not a number"),
        ("qty", "NaN", "quantity 'NaN' is not finite"),
        ("qty", "inf", "quantity 'inf' is not finite"),
        ("qty", "0", "quantity is 0: nothing was ordered"),
        ("qty", "1e15", "quantity '1e15' is more than 1e+12"),
        ("price", "-1", "unit_price '-1' is less than 0"),
        ("sku", "", "item_id is missing"),
        ("sku", "a/b", "item_id 'a/b' holds a slash or a control character"),
        ("sku", "x" * 129, "item_id is longer than 128 characters"),
        ("date", "", "time is missing"),
        ("date", "31.02.2024", "time '31.02.2024' is not a date or time that exists in Europe/London"),
        ("date", "2024-03-31 01:30", "time '2024-03-31 01:30' is not a date or time that exists in Europe/London"),
        ("date", "2999-01-01", "time '2999-01-01' lies after the shop's present, 2025-01-01T00:00:00Z"),
        ("date", "1969-01-01", "time '1969-01-01' lies before 1970"),
    ],
)
def test_a_bad_value_refuses_its_row_alone(column, value, reason):
    good = orders()[column][0]
    result = checked(orders(**{column: [good, value, *[good] * 8]}))
    assert result.good["row"].to_list() == [1, *range(3, 11)]
    assert [(broken.row, broken.reason) for broken in result.rejects] == [(2, reason)]
    assert value in result.rejects[0].raw


def test_thousands_of_bad_rows_are_all_told():
    result = checked(orders(qty=["x", "y", "1", "2", "3", "4"] * 5_000))
    assert len(result.rejects) == 10_000
    assert result.good.height == 20_000


def test_daily_sales_are_an_order_at_noon_and_no_sale_needs_no_row():
    frame = pl.DataFrame({"date": ["2024-07-05", "2024-07-06"], "sku": ["A", "A"], "sales": ["3", "0"]})
    result = checked(frame)
    (row,) = result.good.rows(named=True)
    assert (row["event_type"], row["quantity"], row["user_id"]) == ("order", 3.0, None)
    assert moment(row["time"]) == datetime(2024, 7, 5, 11, tzinfo=UTC)  # noon in London, in summer
    assert result.rejects == []


def test_users_keep_every_other_column_as_an_attribute():
    frame = pl.DataFrame({"user_id": ["1", "2"], "age": ["33", ""], "zip": ["007", "100"], "vip": ["true", "no"]})
    assert checked(frame).good["attributes"].to_list() == [
        '{"age":33,"zip":"007","vip":true}',
        '{"zip":"100","vip":"no"}',
    ]


def test_items_and_stock():
    items = checked(
        pl.DataFrame({"sku": ["1", "2"], "title": ["cup\nblue", ""], "price": ["3", "1"], "status": ["yes", "?"]})
    )
    assert items.good.select("item_id", "name", "price", "active").rows() == [("1", "cup blue", 3.0, True)]
    assert reasons(items) == ["active '?' is neither yes nor no"]
    stock = checked(pl.DataFrame({"sku": ["1", "2"], "stock": ["10", "-1"]}))
    assert stock.good.drop("row").rows() == [("main", "1", 10.0, 0.0, 7.0, NOW)]
    assert reasons(stock) == ["on_hand '-1' is less than 0"]


def test_events_of_any_type():
    frame = pl.DataFrame(
        {
            "user_id": ["1", "1", "1"],
            "item_id": ["a", "b", "c"],
            "event_type": ["Click", "a b", "rating"],
            "time": ["1704448800"] * 3,
            "context": ['{"page":1}', "", "[1]"],
        }
    )
    result = checked(frame)
    assert result.good.select("event_type", "target_id", "context").rows() == [("click", "a", '{"page":1}')]
    assert reasons(result) == ["event_type 'a b' is not of a-z 0-9 _", "context is not a JSON object of at most 16 KiB"]


def test_ids_that_went_through_a_float_column_are_whole_again():
    assert checked(orders(customer=["17850.0", "12583.0"])).good["user_id"].to_list() == ["17850", "12583"]
    typed = orders(customer=["1", "2"]).with_columns(customer=pl.Series([17850.0, None]))
    assert checked(typed).good["user_id"].to_list() == ["17850", None]


_cell = st.one_of(
    st.none(), st.text(max_size=10), st.sampled_from(["1", "2024-01-05", "nan", "inf", "a/b", "1,5", "-3"])
)
_FIELDS = {
    "orders": ("user_id", "item_id", "time", "quantity"),
    "events": ("user_id", "target_id", "event_type", "time"),
    "stock": ("item_id", "on_hand", "store_id", "lead_time_days"),
    "users": ("user_id",),
    "items": ("item_id", "name", "price", "active"),
}


@given(st.lists(st.tuples(_cell, _cell, _cell, _cell), min_size=1, max_size=15), st.sampled_from(sorted(_FIELDS)))
@settings(max_examples=40, deadline=None)
def test_every_row_is_taken_or_refused(rows, kind):
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abcd", pl.String), orient="row")
    plan = Plan(kind=kind, mapping=dict(zip(_FIELDS[kind], "abcd", strict=False)))
    numbers = pl.int_range(1, frame.height + 1, eager=True)
    result = check(plan, Slice(1, frame.height + 1, numbers, frame), SETTING)
    told = result.good["row"].to_list() + [broken.row for broken in result.rejects]
    assert sorted(told) == numbers.to_list()
    for column in result.good.columns:
        if result.good[column].dtype.is_float():
            assert result.good[column].drop_nulls().is_finite().all()
