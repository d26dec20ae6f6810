"""What people write in files: numbers, dates, yes and no."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import micros, moment
from shopkeeper.sources import values

NOON = micros(datetime(2024, 1, 5, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0), ("1,234.5", 1234.5), ("£3.50", 3.5), ("3.50 EUR", 3.5), ("(2)", -2.0), ("−4", -4.0),
        ("1e3", 1000.0), ("1 234", 1234.0), ("+7", 7.0), ("¥9", 9.0), ("abc", None), ("1,2,3", None), ("", None),
        ("12.5.1", None),
    ],
)  # fmt: skip
def test_numbers(text, number):
    assert values.number(pl.Series([text])).to_list() == [number]


@pytest.mark.parametrize(("text", "number"), [("3,50", 3.5), ("1.234,5", 1234.5), ("7", 7.0), ("2,5 €", 2.5)])
def test_numbers_with_a_decimal_comma(text, number):
    assert values.number(pl.Series([text]), decimal=",").to_list() == [number]


@pytest.mark.parametrize(
    ("sample", "mark"),
    [(["3,50", "7"], ","), (["1,234", "5"], "."), (["3.50"], "."), (["1.234,50"], ","), (["12", "x"], ".")],
)
def test_the_decimal_mark_is_seen(sample, mark):
    assert values.decimal_mark(pl.Series(sample)) == mark


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-05 12:00", "2024-01-05T12:00:00Z", "2024-01-05T14:00:00+02:00", "2024/1/5 12:00:00.000",
        "05.01.2024 12:00", "5/1/2024 12:00 PM", "2024年1月5日 12:00", "1704456000", "1704456000000",
        "1704456000000000", "05-01-24 12:00",
    ],
)  # fmt: skip
def test_moments(text):
    assert values.moment(pl.Series([text]), zone="UTC").to_list() == [NOON]


@pytest.mark.parametrize("text", ["2024-01-05", "20240105", "5 Jan 2024", "Jan 5, 2024", "05-Jan-2024"])
def test_a_bare_date_is_its_local_midnight(text):
    read = values.moment(pl.Series([text]), zone="Asia/Shanghai")
    assert moment(read[0]).isoformat() == "2024-01-04T16:00:00+00:00"


@pytest.mark.parametrize("text", ["2024-02-30", "garbage", "", "2024-13-01", "31/31/2024", "12:00", "0"])
def test_what_is_no_moment_is_null(text):
    assert values.moment(pl.Series([text]), zone="UTC").to_list() == [None]


def test_the_order_of_day_and_month():
    assert values.moment(pl.Series(["02/03/2024"]), zone="UTC", order="month_first")[0] == micros(datetime(2024, 2, 3))
    assert values.date_order(pl.Series(["01/02/2024", "13/02/2024"])) == ("day_first", True)
    assert values.date_order(pl.Series(["01/02/2024", "02/13/2024"])) == ("month_first", True)
    assert values.date_order(pl.Series(["01/02/2024"])) == ("day_first", False)
    assert values.date_order(pl.Series(["2024-01-02"])) == ("", True)


def test_typed_columns_need_no_reading():
    local = pl.Series([datetime(2024, 7, 5, 12)])
    assert moment(values.moment(local, zone="Europe/London")[0]).hour == 11
    assert moment(values.moment(local.dt.date(), zone="Europe/London")[0]).hour == 23
    assert values.number(pl.Series([1, 2])).to_list() == [1.0, 2.0]
    assert values.text(pl.Series([17850.0, None])).to_list() == ["17850", None]


def test_yes_and_no():
    assert values.flag(pl.Series(["Yes", "0", "是", "maybe", None])).to_list() == [True, False, True, None, None]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)), min_size=1, max_size=20))
def test_iso_moments_come_back(moments):
    written = pl.Series([one.isoformat(sep=" ") for one in moments])
    assert values.moment(written, zone="UTC").to_list() == [micros(one) for one in moments]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=20))
def test_no_text_makes_reading_fail(texts):
    column = pl.Series("x", texts, dtype=pl.String)
    for read in (values.number(column), values.moment(column, zone="UTC"), values.flag(column), values.text(column)):
        assert len(read) == len(texts)
