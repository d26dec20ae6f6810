"""Files: names, plans, gaps, repeats, zones, other columns, and every kind of bad input."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import silent
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.panel.reading import read_series
from shopkeeper.forecast.series import SeriesSet

FIRST = date(2024, 1, 1)


def days(count: int, first: date = FIRST) -> list[date]:
    return [first + timedelta(days=k) for k in range(count)]


def read(path: Path, frame: pl.DataFrame | str, scope: str = "all", **source: Any) -> SeriesSet:
    if isinstance(frame, str):
        file = path / "f.csv"
        file.write_text(frame)
    else:
        file = path / "f.parquet"
        frame.write_parquet(file)
    return read_series({"kind": "csv", "path": str(file), **source}, "", 0, "Europe/London", silent, scope)


def shared(series: SeriesSet, name: str) -> list[float]:
    assert series.covariates is not None
    found = series.covariates.of_shared(name)
    assert found is not None, series.covariates.shared_names
    return found.tolist()


def own(series: SeriesSet, name: str) -> np.ndarray:
    assert series.covariates is not None
    found = series.covariates.of_own(name)
    assert found is not None, series.covariates.own_names
    return found


RICH = pl.DataFrame(
    {
        "Date": [day for day in days(12) for _ in "ab"],
        "Item": ["a", "b"] * 12,
        "Sales": [float(k % 5) if k < 20 else None for k in range(24)],
        "price": [2.0, 3.0] * 12,
        "onpromotion": [0, 1] * 12,
        "IsHoliday": [k // 2 == 11 for k in range(24)],
        "temp": [k // 2 + 0.5 if k < 20 else None for k in range(24)],
        "family": ["tea", "tin"] * 12,
        "markdown": [float(k) for k in range(24)],
        "colour": ["red", "blue"] * 12,
    }
)


def test_what_a_file_says_beside_y_is_read_and_what_it_plans_is_known(tmp_path: Path) -> None:
    made = read(tmp_path, RICH, covariates=["markdown"], statics=["colour"])
    assert (made.ids, made.days) == (("a", "b", "__total__"), 10)
    known = made.covariates
    assert known is not None
    assert known.ahead == 2
    assert shared(made, "holiday") == [0.0] * 11 + [1.0]
    assert shared(made, "temperature")[:10] == [k + 0.5 for k in range(10)]
    assert own(made, "promotion").tolist() == [[0.0] * 12, [1.0] * 12, [0.5] * 12]
    assert own(made, "markdown")[0, :2].tolist() == [0, 2]
    assert {"holiday", "promotion"} <= known.known
    assert not {"temperature", "markdown", "price"} & known.known
    assert known.static_names == ("product", "category", "colour")
    assert known.static_words[1:] == (("tea", "tin"), ("red", "blue"))
    assert known.statics[-1].tolist() == [2, -1, -1]
    assert made.price[:2, 0].tolist() == [2, 3]
    assert made.facts["ignored"] == []
    assert read(tmp_path, RICH).facts["ignored"] == ["markdown", "colour"]


def test_a_price_that_is_known_ahead_is_a_covariate(tmp_path: Path) -> None:
    made = read(tmp_path, RICH, known=["price"])
    assert own(made, "price")[1].tolist() == [3.0] * 12
    assert made.until(5).covariates is not None
    assert own(made.until(5), "price")[1].tolist() == [3.0] * 12


def test_scopes_of_a_file(tmp_path: Path) -> None:
    assert read(tmp_path, RICH, "product:a").ids == ("a",)
    tea = read(tmp_path, RICH, "category:tea")
    assert tea.ids == ("a", "__category:tea__")
    assert tea.price[-1, 1:].tolist() == [2.0] * 9  # nothing was sold on the first day
    sold = pl.DataFrame(
        {
            "item_id": ["a", "a", "b", "a"],
            "date": [FIRST, FIRST, FIRST, days(2)[1]],
            "store_id": ["1", "2", "2", "1"],
            "y": [1.0, 2.0, 4.0, 8.0],
        }
    )
    assert read(tmp_path, sold).y.tolist() == [[3, 8], [4, 0], [7, 8]]  # two stores are no repeat
    assert read(tmp_path, sold).facts["repeats"] == 0
    assert read(tmp_path, sold, "store:2").y.tolist() == [[2], [4], [6]]
    assert read(tmp_path, sold, "product:a@1").y.tolist() == [[1, 8]]
    apart = read(tmp_path, sold, by_store=True)
    assert apart.ids == ("a@1", "a@2", "b@2", "__total__")
    assert apart.covariates is not None
    assert apart.covariates.static_words[1] == ("1", "2")
    for scope, code in (
        ("product:x", "unknown_item"),
        ("store:9", "unknown_store"),
        ("category:x", "unknown_category"),
    ):
        with pytest.raises(NotFound) as told:
            read(tmp_path, sold, scope)
        assert told.value.code == code


def test_ways_to_add_up_and_weeks(tmp_path: Path) -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 21 + ["b"] * 21, "ds": days(21) * 2, "y": [1.0] * 21 + [3.0] * 21})
    assert read(tmp_path, frame, aggregation="mean").y[-1, 0] == 2.0
    weeks = read(tmp_path, frame, period="week")
    assert weeks.y.tolist() == [[7.0] * 3, [21.0] * 3, [28.0] * 3]
    fridays = pl.DataFrame({"unique_id": "a", "ds": [FIRST + timedelta(days=4 + 7 * k) for k in range(9)], "y": 2.0})
    made = read(tmp_path, fridays)
    assert (made.days, made.step, made.season) == (9, (7, 4), 52)
    assert read(tmp_path, fridays, period="day").days == 57
    for wrong in ({"aggregation": "average"}, {"period": "month"}, {"gap": 3}):
        with pytest.raises(Invalid, match="source"):
            read(tmp_path, frame, **wrong)


@pytest.mark.parametrize("count", [1, 5])
def test_a_few_points_are_a_short_series(tmp_path: Path, count: int) -> None:
    made = read(tmp_path, pl.DataFrame({"unique_id": "a", "ds": days(count), "y": [2.0] * count}))
    assert made.y.tolist() == [[2.0] * count] * 2
    assert made.filled().tolist() == made.y.tolist()


def test_constant_and_nothing_but_zeros_are_read_as_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 30 + ["z"] * 30, "ds": days(30) * 2, "y": [4.0] * 30 + [0.0] * 30})
    made = read(tmp_path, frame)
    assert made.y[0].tolist() == [4.0] * 30
    assert made.start.tolist() == [0, 30, 0]
    assert made.available is None


def test_no_rows_is_no_data(tmp_path: Path) -> None:
    for text in ("unique_id,ds,y\n", "unique_id,ds,y\na,2024-01-01,\n"):
        with pytest.raises(Invalid, match="no rows") as told:
            read(tmp_path, text)
        assert told.value.code == "no_data"


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ("a,2024-01-01,1\na,2024-01-02,-3\n", "bad_value", "-3 in row 2.*not negative"),
        ("a,2024-01-01,1\na,2024-01-02,many\n", "bad_value", "'many' in row 2"),
        ("a,2024-01-01,1\na,2024-01-02,inf\n", "bad_value", "not finite in row 2"),
        (",2024-01-01,1\n", "bad_value", "unique_id is missing in row 1"),
        ("a,2024-01-01T10:00:00+02:00,1\na,2024-01-02T10:00:00,1\n", "mixed_zones", "row 2"),
        ("a,2024-01-01,1\na,2024-13-45,1\n", "bad_file", "'2024-13-45' in row 2"),
        ("a,2024-01-01,1\na,2090-01-02,1\na,2090-01-03,1\n", "future_dates", "2 rows lie after today"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(tmp_path: Path, rows: str, code: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as told:
        read(tmp_path, "unique_id,ds,y\n" + rows)
    assert told.value.code == code


def test_a_few_future_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    made = read(tmp_path, "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-03,2\na,2090-01-01,9\n")
    assert made.y[0].tolist() == [1, 2, 2]
    assert made.facts["future_rows"] == 1


def test_one_zone_is_turned_to_the_shops(tmp_path: Path) -> None:
    made = read(tmp_path, "unique_id,ds,y\na,2024-07-01T23:30:00Z,1\na,2024-07-02T10:00:00+02:00,2\n")
    assert (made.days, made.y[0].tolist()) == (1, [3])  # both are the second of July in London
    aware = pl.DataFrame({"unique_id": "a", "ds": ["2024-07-01T23:30:00"], "y": 1.0}).with_columns(
        pl.col("ds").str.to_datetime().dt.replace_time_zone("UTC")
    )
    assert read(tmp_path, aware).first_day == made.first_day


def test_repeats_are_added_and_counted_or_refused(tmp_path: Path) -> None:
    text = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-01,2\nb,2024-01-01,5\n"
    made = read(tmp_path, text)
    assert made.y.tolist() == [[3], [5], [8]]
    assert made.facts["repeats"] == 1
    with pytest.raises(Invalid, match="1 rows repeat"):
        read(tmp_path, text, repeats="refuse")


def test_a_break_of_three_years_begins_a_new_life(tmp_path: Path) -> None:
    again = days(60, date(2023, 3, 2))
    sparse = pl.DataFrame({"unique_id": "a", "ds": days(60, date(2020, 1, 1)) + again, "y": [2.0] * 120})
    made = read(tmp_path, sparse)
    assert made.facts["gaps"] == 1
    assert made.available is None
    assert int(made.start[0]) == (again[0] - date(2020, 1, 1)).days
    dense = sparse.with_columns(pl.when(pl.int_range(pl.len()) % 7 == 3).then(0.0).otherwise(pl.col("y")).alias("y"))
    masked = read(tmp_path, dense)
    assert masked.available is not None
    assert masked.facts["gaps"] == 1
    assert masked.facts["masked"] == (again[0] - date(2020, 1, 1)).days - 60
    assert np.isnan(masked.observed()[0, 60 : int(masked.start[0])]).all()


def test_a_long_silence_says_nothing_only_where_zeros_are_written(tmp_path: Path) -> None:
    there = [*range(20), *range(60, 80)]
    y = [float(k % 3) for k in there]
    ds = [FIRST + timedelta(days=k) for k in there]
    dense = pl.DataFrame({"unique_id": "a", "ds": ds, "y": y})
    made = read(tmp_path, dense)
    assert made.available is not None
    assert np.flatnonzero(~made.available[0]).tolist() == list(range(20, 60))
    assert made.available[-1].all()
    assert read(tmp_path, dense, gap="no_sale").available is None
    sparse = dense.filter(pl.col("y") > 0)
    assert read(tmp_path, sparse).available is None
    missing = read(tmp_path, sparse, gap="missing")
    assert missing.available is not None
    assert int((~missing.available[0]).sum()) == missing.days - len(sparse)


def test_what_a_row_says_was_not_available_or_not_known_is_masked(tmp_path: Path) -> None:
    text = "unique_id,ds,y,available\na,2024-01-01,1,1\na,2024-01-02,0,0\na,2024-01-03,,1\na,2024-01-04,2,1\n"
    made = read(tmp_path, text)
    assert made.available is not None
    assert made.available[0].tolist() == [True, False, False, True]
    assert made.facts["masked"] == 2
    assert made.covariates is not None
    assert made.covariates.ahead == 0


def test_a_named_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    for field in ("covariates", "known", "statics"):
        with pytest.raises(Invalid, match=r"no column 'weather'; it has unique_id, ds, y, extra") as told:
            read(tmp_path, "unique_id,ds,y,extra\na,2024-01-01,1,2\n", **{field: ["weather"]})
        assert told.value.code == "unknown_column"
    with pytest.raises(Invalid, match="extra is 'x' in row 1, no number"):
        read(tmp_path, "unique_id,ds,y,extra\na,2024-01-01,1,x\n", covariates=["extra"])


def test_holidays_may_be_told_by_name(tmp_path: Path) -> None:
    made = read(tmp_path, "unique_id,ds,y,holiday\na,2024-01-01,1,New Year\na,2024-01-02,1,\na,2024-01-03,1,none\n")
    assert shared(made, "holiday") == [1, 0, 0]


def test_a_wrong_year_does_not_stretch_the_series(tmp_path: Path) -> None:
    made = read(tmp_path, "unique_id,ds,y\na,1971-01-01,1\na,2024-01-01,1\na,2024-01-02,1\n")
    assert made.days == 5 * 366
    assert made.facts["earlier_rows"] == 1


def test_a_scope_is_read_from_text_or_refused(tmp_path: Path) -> None:
    assert read(tmp_path, RICH, str(Scope("product", "b"))).ids == ("b",)
    with pytest.raises(Invalid, match="scope"):
        read(tmp_path, RICH, "shelf:3")
