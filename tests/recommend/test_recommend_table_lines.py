"""Recall models on tables: lines, histories, pairs of features, and what stops a training."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import TrainingContext, TrainingData, silent
from shopkeeper.recommend.recall.family import RecallFamily
from shopkeeper.recommend.recall.item_knn import ItemKnn


def read(folder: Path, frame: pl.DataFrame, seed: int = 7, **source: Any) -> TrainingData:
    path = folder / "rows.csv"
    frame.write_csv(path)
    source = {"kind": "file", "path": str(path), **source}
    return RecallFamily().data(TrainingContext(folder, "", source, 0, "UTC", seed, "m"), None, silent)


def lines(users: int = 20, each: int = 4) -> pl.DataFrame:
    """User u takes items u, u + 1, ... of ten, one a day."""
    rows = [(f"u{user}", f"i{(user + step) % 10}", step) for step in range(each) for user in range(users)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "day"], orient="row")


def test_lines_hold_out_the_last_item_of_a_fifth_of_the_users(tmp_path: Path) -> None:
    data = read(tmp_path, lines())
    assert len(data.holdout.cases) == data.facts["holdout_users"] == 4
    assert data.facts["rows"] == 20 * 4 - 4
    assert len(data.facts["fingerprint"]) == 64
    ids = data.train.orders.item_ids
    for case in data.holdout.cases:
        before = [int(ids[at][1:]) for at in case.items]
        (taken,) = (int(ids[at][1:]) for at in case.taken)
        assert before == [(taken - step) % 10 for step in (1, 2, 3)]


def test_another_seed_holds_out_others_and_time_the_latest(tmp_path: Path) -> None:
    one, other = (read(tmp_path, lines(), seed) for seed in (7, 8))
    assert [case.user for case in one.holdout.cases] != [case.user for case in other.holdout.cases]
    late = lines().with_columns(day=pl.when(pl.col("user_id") == "u3").then(100).otherwise(pl.col("day")))
    data = read(tmp_path, late.sample(fraction=1.0, shuffle=True, seed=1), time="day")
    assert len(data.holdout.cases) == 4
    assert 19 in [case.user for case in data.holdout.cases]


def histories(users: int = 30) -> pl.DataFrame:
    rows = [
        (
            f"u{user}",
            20 + user % 5,
            user % 2,
            ",".join(f"i{(user + step) % 10}" for step in range(3)),
            f"i{(user + 3) % 10}",
        )
        for user in range(users)
    ]
    names = ["user_id", "user_age", "user_gender", "history", "target_item_id"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_histories_come_before_what_came_next(tmp_path: Path) -> None:
    data = read(tmp_path, histories())
    assert not data.train.last_only
    assert data.facts["features"] == ["user_age", "user_gender"]
    case = data.holdout.cases[0]
    ids = data.train.orders.item_ids
    assert [int(ids[at][1:]) for at in case.items] == [(int(ids[case.taken[0]][1:]) - step) % 10 for step in (1, 2, 3)]
    assert set(case.traits or ()) == {"user_age", "user_gender"}


@pytest.mark.parametrize("text", ["i1|i2", "i1 i2", '["i1", "i2"]', "i1;i2", " i1, i2 ,"])
def test_histories_are_written_in_many_ways(tmp_path: Path, text: str) -> None:
    frame = histories().with_columns(history=pl.lit(text))
    data = read(tmp_path, frame)
    orders = data.train.orders
    first = [orders.item_ids[at] for at in orders.item[orders.user == orders.user[0]][:2]]
    assert first == ["i1", "i2"]


def test_rows_of_one_user_with_histories_stand_for_themselves(tmp_path: Path) -> None:
    frame = histories().with_columns(user_id=pl.lit("same"))
    data = read(tmp_path, frame)
    assert data.train.last_only
    held = {case.user for case in data.holdout.cases}
    assert not held & set(data.train.orders.user.tolist())


def test_an_empty_history_is_one_of_nothing(tmp_path: Path) -> None:
    frame = histories().with_columns(history=pl.when(pl.col("user_age") > 20).then(pl.col("history")))
    assert len(read(tmp_path, frame).train.orders) > 30


def pairs(n: int = 200, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    age, price = random.random(n), random.random(n)
    return pl.DataFrame(
        {
            "user_age": age,
            "item_price": price,
            "item_ctr": random.random(n),
            "label": (abs(age - price) < 0.3).astype(int),
        }
    )


def test_pairs_of_features_need_no_ids_and_what_was_not_taken_teaches_nothing(tmp_path: Path) -> None:
    frame = pairs()
    data = read(tmp_path, frame)
    assert data.train.by_traits_only
    assert data.train.last_only
    assert data.facts["rows_left_out"] == int((frame["label"] == 0).sum())
    assert len(data.train.orders) + len(data.holdout.cases) == int(frame["label"].sum())
    assert set(next(iter(data.train.items.values()))) == {"item_price", "item_ctr"}


def test_a_number_that_is_a_name_is_read_as_one(tmp_path: Path) -> None:
    data = read(tmp_path, histories(), categorical=["user_gender"])
    assert {said["user_gender"] for said in data.train.users.values()} == {"0", "1"}


def test_only_the_wanted_columns_are_read(tmp_path: Path) -> None:
    data = read(tmp_path, histories(), features=["user_age"])
    assert set(data.train.users[0]) == {"user_age"}


@pytest.mark.parametrize(
    ("frame", "source", "said"),
    [
        (lines().rename({"item_id": "thing"}), {}, "no column item_id"),
        (lines().rename({"user_id": "who"}), {}, "no column user_id"),
        (histories().rename({"target_item_id": "next"}), {}, "no column item_id or target_item_id"),
        (lines(), {"label": "bought"}, "'bought'"),
        (lines(), {"features": ["user_age"]}, "'user_age'"),
    ],
)
def test_a_renamed_column_is_named_with_those_that_are_there(
    tmp_path: Path, frame: pl.DataFrame, source: dict, said: str
) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        read(tmp_path, frame, **source)
    assert caught.value.code == "no_column"
    assert frame.columns[0] in caught.value.message


@pytest.mark.parametrize("label", [[0] * 80, [None] + [1] * 79])
def test_a_label_must_say_what_was_taken(tmp_path: Path, label: list) -> None:
    with pytest.raises(Invalid) as caught:
        read(tmp_path, lines().with_columns(pl.Series("label", label)))
    assert caught.value.code == "bad_label"


def test_one_row_is_enough_to_learn_from(tmp_path: Path) -> None:
    data = read(tmp_path, lines(1, 1))
    model = ItemKnn(ItemKnn.Params(), 1).fit(data.train, silent)
    found = RecallFamily().evaluate(model, data.holdout)
    assert all(np.isfinite(value) for value in found.values())
    assert not data.holdout.cases


def test_a_table_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    source = {"kind": "file", "path": str(tmp_path / "nowhere.csv")}
    with pytest.raises(NotFound):
        RecallFamily().data(TrainingContext(tmp_path, "", source, 0, "UTC", 1, "m"), None, silent)
