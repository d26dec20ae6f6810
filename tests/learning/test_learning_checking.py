"""The check of a table before training, and what counts as a label."""

import numpy as np
import polars as pl
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.checking import check_table, fingerprint, looks_like_an_id, summary
from shopkeeper.learning.labels import read_label

N = 400
RANDOM = np.random.default_rng(3)
LABEL = (RANDOM.random(N) < 0.3).astype(np.float32)
X = RANDOM.normal(size=N)


def found(columns: dict[str, object], label: np.ndarray = LABEL, categorical: tuple[str, ...] = ()) -> dict[str, str]:
    """column -> severity and message of what is not ok."""
    frame = pl.DataFrame({"x": X, **columns})
    findings = check_table(frame, label, "bought", frame.columns, set(categorical))
    return {str(one.column): f"{one.severity}: {one.message}" for one in findings if one.severity != "ok"}


def test_plain_rows_pass_with_size_and_balance():
    frame = pl.DataFrame({"x": X, "town": RANDOM.choice(["York", "Leeds"], N)})
    findings = check_table(frame, LABEL, "bought", frame.columns, {"town"})
    assert [one.severity for one in findings] == ["ok", "ok"]
    assert "400 rows" in findings[0].message
    assert f"{int(LABEL.sum())} of 400" in findings[1].message


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([None] * 300 + [1.0] * 50 + [2.0] * 50, "warn: c is missing in 75% of the rows"),
        ([4.0] * N, "warn: c is the same in every row"),
        ([*X[:398] * 3, float("inf"), float("nan")], "warn: c is infinite, not a number, or too large in 2 rows"),
        (list(range(N)), "warn: c is another whole number in every row"),
        (["1.5", "n/a"] + [str(v) for v in X[:398]], "stop: c holds numbers but for 1 values such as 'n/a'"),
        (LABEL.tolist(), "stop: c says the same as bought"),
        ((1 - LABEL).astype(int).tolist(), "stop: c says the same as bought"),
        (["yes" if one else "no" for one in LABEL], "stop: c says the same as bought"),
        ((LABEL * 10 + X).tolist(), "warn: c alone orders the rows with AUC 1.0000"),
        (X.tolist(), "warn: c holds the same values as x"),
    ],
)
def test_what_is_odd_about_a_column_is_found(column, expected):
    told = found({"c": pl.Series(column, strict=False)}, categorical=("c",) if column[0] in ("yes", "no") else ())
    assert told["c"].startswith(expected), told


def test_numbers_that_name_things_may_be_declared_as_such():
    column = pl.Series(["12a", *map(str, range(399))])
    assert found({"c": column}, categorical=("c",)) == {}


def test_uneven_and_tiny_classes_are_told():
    few = np.zeros(N, dtype=np.float32)
    few[:5] = 1
    assert "too few of one kind" in found({}, few)["bought"]
    uneven = np.zeros(4000, dtype=np.float32)
    uneven[:30] = 1
    frame = pl.DataFrame({"x": np.random.default_rng(0).normal(size=4000)})
    told = [one.message for one in check_table(frame, uneven, "bought", ["x"], set()) if one.severity == "warn"]
    assert told == ["0.75% of the labels are 1 (30 of 4,000): very uneven"]


def test_copied_rows_are_told():
    frame = pl.DataFrame({"x": np.tile(X[:100], 4), "bought": np.tile(LABEL[:100], 4)})
    told = check_table(frame, frame["bought"].to_numpy(), "bought", ["x"], set())
    assert "100% of the rows are copies of another; held-out rows may be among those learned from" in [
        one.message for one in told
    ]


def test_ids_are_recognised():
    assert looks_like_an_id(pl.Series([f"u-{k}" for k in range(200)]))
    assert not looks_like_an_id(pl.Series(["York", "Leeds"] * 100))
    assert not looks_like_an_id(pl.Series([f"u-{k}" for k in range(20)]))
    assert not looks_like_an_id(pl.Series(range(200)))
    assert not looks_like_an_id(pl.Series(["n/a", *map(str, range(199))]))


def test_a_fingerprint_is_of_the_content():
    frame = pl.DataFrame({"a": [1, 2, None], "ä": ["x", None, "yz"]})
    same = pl.DataFrame({"a": [1.0, 2.0, None], "ä": ["x", None, "yz"]})
    assert fingerprint(frame) == fingerprint(same)
    others = [
        pl.DataFrame({"a": [1, 2, 0], "ä": ["x", None, "yz"]}),
        pl.DataFrame({"a": [1, 2, None], "ä": ["xy", None, "z"]}),
        pl.DataFrame({"a": [1, 2, None], "ä": ["x", "", "yz"]}),
        pl.DataFrame({"b": [1, 2, None], "ä": ["x", None, "yz"]}),
        frame.reverse(),
    ]
    assert len({fingerprint(one) for one in [frame, *others]}) == 6


def test_a_summary_gives_types_gaps_and_ranges():
    frame = pl.DataFrame({"a": [1, 2, None, 5], "t": ["x", "y", "x", None]})
    told = summary(frame, ["a", "t"])
    assert told["a"] == {"type": "Int64", "missing": 0.25, "min": 1.0, "max": 5.0, "mean": pytest.approx(8 / 3)}
    assert told["t"] == {"type": "String", "missing": 0.25, "distinct": 3}


# -- labels


@pytest.mark.parametrize(
    "pair",
    [(0, 1), (0.0, 1.0), (False, True), ("no", "yes"), (" No", "YES "), ("false", "True"), ("0", "1"), ("n", "y")],
)
def test_these_labels_are_understood(pair):
    values = [pair[k % 2] for k in range(30)]
    assert read_label(pl.Series("l", values), "t.csv").tolist() == [k % 2 for k in range(30)]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0, 1] * 9, "18 rows, at least 20"),
        ([1], "1 rows, at least 20"),
        ([1] * 30, "holds only 1: nothing to tell apart"),
        (["yes"] * 30, "holds only 1"),
        ([0, 1, 2] * 10, "10 rows hold others, such as 2"),
        (["<=50K", ">50K"] * 15, "such as '<=50K', '>50K'"),
        ([0, 1, None] * 10, "such as nothing"),
        ([0.5, 1.0] * 15, r"such as 0\.5"),
        ([0.0, float("inf")] * 15, "such as inf"),
    ],
)
def test_other_labels_are_refused_with_what_they_hold(values, told):
    with pytest.raises(Invalid, match=told):
        read_label(pl.Series("l", values), "t.csv")


def test_many_texts_beside_few_ones_are_no_leak():
    """Each of the few ones is alone in its text: their mean labels order the rows by chance."""
    random = np.random.default_rng(0)
    label = np.zeros(50_000, dtype=np.float32)
    label[random.choice(50_000, 22, replace=False)] = 1
    frame = pl.DataFrame({"seller": [f"s{at}" for at in random.integers(0, 1000, 50_000)]})
    findings = check_table(frame, label, "bought", frame.columns, set())
    assert [one.message for one in findings if "AUC" in one.message] == []

    told = frame.with_columns(
        code=pl.Series([f"c{at}" for at in np.where(label > 0, 0, random.integers(1, 50, 50_000))])
    )
    findings = check_table(told, label, "bought", ["code"], set())
    assert any("code says the same as bought" in one.message for one in findings)
