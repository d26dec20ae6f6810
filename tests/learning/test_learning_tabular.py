"""Schemas: what is fitted, what a request's rows become, and what is refused."""

import logging
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.fitting import MOST_CATEGORIES, cross_fitted, fit_schema
from shopkeeper.learning.tabular import FILE, Column, Schema
from shopkeeper.telemetry import metrics

TOWN = Column(name="town", categories={"York": 0, "Leeds": 2, "3": 3}, other=1, missing=4)
MIXED = Schema((Column(name="price"), Column(name="Ålder", default=30.0), TOWN, Column(name="gap", default=None)))


def counted(name: str) -> float:
    return metrics.feature_missing_total.labels(name)._value.get()


def test_named_values_become_a_matrix_in_the_schemas_order():
    row = {"town": "Leeds", "gap": 2, "Ålder": True, "price": 1.5, "stranger": "x"}
    np.testing.assert_array_equal(MIXED.encode([row]), np.array([[1.5, 1.0, 2.0, 2.0]], dtype=np.float32))
    assert MIXED.encode([row]).dtype == np.float32
    assert MIXED.encode([]).shape == (0, 4)


def test_missing_and_null_take_the_default_are_counted_and_warned_about_once(caplog):
    schema = Schema((Column(name="a_default", default=7.0), Column(name="b_native", default=None), TOWN))
    before = counted("a_default")
    with caplog.at_level(logging.WARNING):
        first = schema.encode([{}, {"a_default": None, "b_native": 1, "town": None}, {"a_default": 2, "town": ""}])
        schema.encode([{}])
    np.testing.assert_array_equal(first[:, 0], [7, 7, 2])
    np.testing.assert_array_equal(np.isnan(first[:, 1]), [True, False, True])
    np.testing.assert_array_equal(first[:, 2], [4, 4, 4])
    assert counted("a_default") == before + 3
    told = [record.getMessage() for record in caplog.records]
    assert len([text for text in told if "a_default" in text]) == 1


@pytest.mark.parametrize("value", [3, 3.0, "3"])
def test_one_category_may_come_as_number_or_text(value):
    assert MIXED.encode([{"price": 1, "Ålder": 1, "gap": 0, "town": value}])[0, 2] == 3
    assert MIXED.encode([{"town": value}])[0, 2] == 3


def test_numbers_as_categories_are_those_of_the_table():
    """Also where another text is the same number, and where a float would round."""
    known = {"01": 0, "1": 1, "9007199254740993": 2, "2.5": 3, "1_0": 4}
    schema = Schema((Column(name="code", categories=known, other=9),))
    codes = [1, 9007199254740993, 9007199254740992, 10]
    table = schema.encode_frame(pl.DataFrame({"code": codes}))
    np.testing.assert_array_equal(schema.encode([{"code": code} for code in codes]), table)
    assert table.ravel().tolist() == [1, 2, 9, 9]
    assert schema.encode([{"code": "01"}, {"code": 1.0}, {"code": 2.5}, {"code": True}]).ravel().tolist() == [
        0,
        1,
        3,
        1,
    ]


def test_an_unknown_category_is_the_other_one():
    assert MIXED.encode([{"price": 1, "Ålder": 1, "gap": 0, "town": "Bath"}])[0, 2] == 1


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "7", "", [1.0], {}, 1e39, -1e300, 10**400, np.float32("nan")]
)
def test_what_is_no_finite_number_is_refused_with_row_and_field(value):
    sound = {"price": 1.0, "Ålder": 2, "town": "York", "gap": 0}
    with pytest.raises(Invalid, match="row 1: price") as caught:
        MIXED.encode([sound, {**sound, "price": value}])
    assert (caught.value.code, caught.value.field) == ("not_a_number", "data[1].price")
    with pytest.raises(Invalid, match="row 0: price"):
        MIXED.encode([{"price": value}])


def test_a_list_is_no_category():
    with pytest.raises(Invalid, match="row 0: town") as caught:
        MIXED.encode([{"price": 1, "Ålder": 1, "gap": 0, "town": ["York"]}])
    assert caught.value.code == "not_a_category"


def test_infinities_that_cancel_are_seen():
    with pytest.raises(Invalid, match="price"):
        MIXED.encode([{"price": math.inf, "Ålder": -math.inf, "gap": 0, "town": "York"}])


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(-1e30, 1e30), st.just(-0.0), st.just(1e38)
)
TOWNS = st.one_of(st.none(), st.sampled_from(["York", "Leeds", "3", "Bath", ""]), st.sampled_from([3, 3.0, 4.5, True]))
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={"price": VALUES, "Ålder": VALUES, "gap": VALUES, "town": TOWNS}), max_size=5
)


@settings(deadline=None, max_examples=200)
@given(ROWS)
def test_whole_rows_and_single_values_are_read_alike(rows):
    np.testing.assert_array_equal(MIXED.encode(rows), MIXED._encode_each(rows))


@settings(deadline=None, max_examples=50)
@given(ROWS.filter(bool))
def test_a_row_alone_is_read_as_among_others(rows):
    together = MIXED.encode(rows)
    np.testing.assert_array_equal(together, np.vstack([MIXED.encode([row]) for row in rows]))


def test_a_table_and_its_rows_become_the_same_numbers():
    random = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "x": random.normal(size=300),
            "whole": random.integers(0, 5, 300),
            "city": random.choice(["a", "b", None], 300),
            "flag": random.random(300) > 0.5,
            "code": [float(k % 3) for k in range(300)],
        }
    ).with_columns(pl.when(pl.col("x") > 1).then(None).otherwise(pl.col("x")).alias("x"))
    label = (random.random(300) < 0.4).astype(np.float32)
    schema = fit_schema(frame, label, frame.columns, {"city", "code"})
    np.testing.assert_array_equal(schema.encode(frame.rows(named=True)), schema.encode_frame(frame))
    assert np.isnan(schema.defaults[0])
    assert schema.encode_frame(frame.drop("whole"))[:, 1].tolist() == [0.0] * 300


def test_odd_numbers_of_a_table_count_as_missing():
    schema = Schema.of_numbers(["x"], [5.0])
    frame = pl.DataFrame({"x": [1.0, math.inf, math.nan, None, 1e39]})
    assert schema.encode_frame(frame)[:, 0].tolist() == [1, 5, 5, 5, 5]


def test_standardisation_is_of_the_training_rows_and_leaves_codes_and_gaps():
    values = np.array([[1.0, 0, 5], [3.0, 1, 5], [np.nan, 2, 5]], dtype=np.float32)
    columns = (Column(name="x", default=None), Column(name="town", categories={"a": 0, "b": 1}), Column(name="same"))
    schema = Schema(columns)
    assert schema.standardise(values) is values
    fitted = schema.with_scaling(values)
    assert fitted.standardised
    np.testing.assert_allclose(fitted.standardise(values)[:, 0], [-1, 1, np.nan])
    np.testing.assert_array_equal(fitted.standardise(values)[:, 1], [0, 1, 2])
    np.testing.assert_array_equal(fitted.standardise(values)[:, 2], [0, 0, 0])


def test_it_is_the_same_after_save_and_load(tmp_path: Path):
    schema = MIXED.with_scaling(np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32))
    schema.save(tmp_path)
    again = Schema.load(tmp_path)
    assert again == schema
    rows = [{"price": 2, "town": "Leeds"}]
    np.testing.assert_array_equal(again.encode(rows), schema.encode(rows))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'[{"name": 3}]', b'[{"name": "a"}, {"name": "a"}]', b'[{"name": "\xff"}]']
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Invalid):
        Schema.load(tmp_path)


# -- fitting


def fitted(texts: list[str | None], label: list[int]) -> Column:
    frame = pl.DataFrame({"t": texts}, schema={"t": pl.String})
    return fit_schema(frame, np.array(label, dtype=np.float32), ["t"], {"t"}).columns[0]


def test_categories_are_numbered_by_their_mean_label():
    column = fitted(["low"] * 10 + ["high"] * 10 + ["mid"] * 10, [0] * 10 + [1] * 10 + [0, 1] * 5)
    assert column.categories is not None
    assert column.categories["low"] < column.categories["mid"] < column.categories["high"]
    assert column.categories["low"] < column.other < column.categories["high"]


def test_rare_categories_share_the_code_of_the_unknown():
    column = fitted(["common"] * 596 + ["rare"] * 4, [0, 1] * 300)
    assert list(column.categories or {}) == ["common"]
    schema = Schema((column,))
    assert schema.encode([{"t": "rare"}]) == schema.encode([{"t": "never seen"}])


def test_missing_is_a_category_of_its_own_where_training_had_it():
    with_gaps = fitted([None] * 20 + ["a"] * 20, [1] * 20 + [0] * 20)
    assert with_gaps.missing not in {with_gaps.other, *(with_gaps.categories or {}).values()}
    without = fitted(["a"] * 20 + ["b"] * 20, [1] * 20 + [0] * 20)
    assert without.missing == without.other


def test_ten_thousand_categories_and_more_are_bounded():
    n = MOST_CATEGORIES + 500
    texts = [f"c{k}" for k in range(n)] * 5
    frame = pl.DataFrame({"t": texts})
    label = np.random.default_rng(0).integers(0, 2, len(texts)).astype(np.float32)
    column = fit_schema(frame, label, ["t"], {"t"}).columns[0]
    assert len(column.categories or {}) == MOST_CATEGORIES
    assert sorted({*(column.categories or {}).values(), column.other}) == list(range(MOST_CATEGORIES + 1))


@pytest.mark.parametrize(("missing", "expected"), [("zero", 0.0), ("median", 2.0), ("native", None)])
def test_what_stands_for_a_missing_number_is_chosen(missing, expected):
    frame = pl.DataFrame({"x": [1.0, 2.0, 9.0, None]})
    schema = fit_schema(frame, np.zeros(4, dtype=np.float32), ["x"], set(), missing=missing)
    assert schema.columns[0].default == expected


def test_a_column_that_was_always_there_defaults_to_zero():
    schema = fit_schema(pl.DataFrame({"x": [1.0, 2.0]}), np.zeros(2, dtype=np.float32), ["x"], set())
    assert schema.columns[0].default == 0.0


def test_cross_fitted_codes_do_not_tell_a_row_its_own_label():
    """Categories that say nothing: their own codes correlate with the label, cross-fitted ones do not."""
    random = np.random.default_rng(0)
    texts = [f"c{at}" for at in random.integers(0, 400, 4000)]
    label = random.integers(0, 2, 4000).astype(np.float32)
    frame = pl.DataFrame({"t": texts, "x": random.normal(size=4000)})
    schema = fit_schema(frame, label, ["t", "x"], {"t"})
    values = schema.encode_frame(frame)
    fitted_apart = cross_fitted(values, label, schema, seed=3)
    assert np.corrcoef(values[:, 0], label)[0, 1] > 0.2
    assert abs(np.corrcoef(fitted_apart[:, 0], label)[0, 1]) < 0.1
    np.testing.assert_array_equal(fitted_apart[:, 1], values[:, 1])
    np.testing.assert_array_equal(fitted_apart, cross_fitted(values, label, schema, seed=3))


def test_cross_fitted_codes_keep_what_categories_do_say():
    label = np.array([0, 0, 0, 1] * 200 + [0, 1, 1, 1] * 200, dtype=np.float32)
    frame = pl.DataFrame({"t": ["low"] * 800 + ["high"] * 800})
    schema = fit_schema(frame, label, ["t"], {"t"})
    apart = cross_fitted(schema.encode_frame(frame), label, schema, seed=1)[:, 0]
    assert apart[:800].max() < apart[800:].min()
