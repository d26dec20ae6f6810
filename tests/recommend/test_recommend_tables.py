"""Rankers on tables: roles of columns, splits, categories, gaps, weights, groups, and what stops a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost

from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import TrainingContext, TrainingData, silent
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.ranking.family import RankingFamily
from shopkeeper.recommend.ranking.lgbm import Lgbm, LgbmRanker
from shopkeeper.recommend.ranking.model import schema_of
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.trees import GRAPH
from shopkeeper.recommend.ranking.xgb import Xgb, XgbRanker

TOWNS = ["York", "Leeds", "Hull", "Ripon", "Selby"]
EFFECT = np.array([-2.0, 1.5, 0.5, -0.5, 2.0])
TRAINERS = pytest.mark.parametrize(
    "trainer", [Xgb(Xgb.Params(min_child_weight=1), 7), Lgbm(Lgbm.Params(trees=80), 7)], ids=["xgb", "lgbm"]
)


def table(n: int = 1200, seed: int = 1) -> pl.DataFrame:
    """`town` and `prix` (with gaps that mean something) tell of the label, `noise` does not."""
    random = np.random.default_rng(seed)
    town, price = random.integers(0, 5, n), random.normal(size=n)
    gap = random.random(n) < 0.2
    chance = 1 / (1 + np.exp(-(EFFECT[town] + np.where(gap, 1.5, price))))
    return pl.DataFrame(
        {
            "town": [TOWNS[at] for at in town],
            "prix": [None if none else float(value) for none, value in zip(gap, price, strict=True)],
            "noise": random.normal(size=n),
            "user": [f"u{at}" for at in random.integers(0, 60, n)],
            "day": np.arange(n),
            "stands_for": random.choice([1.0, 3.0], n),
            "label": (random.random(n) < chance).astype(int),
        }
    )


def data(
    folder: Path, frame: pl.DataFrame, params: Any = None, seed: int = 7, report: Any = silent, **source: Any
) -> TrainingData:
    path = folder / "rows.parquet"
    frame.write_parquet(path)
    context = TrainingContext(
        home=folder,
        sql_url="",
        source={"kind": "file", "path": str(path), **source},
        now=0,
        zone="UTC",
        seed=seed,
        model="m",
    )
    return RankingFamily().data(context, params or RankingParams(), report)


def quick(folder: Path, **source: Any) -> TrainingData:
    return data(folder, table(), features=["town", "prix", "noise"], **source)


@TRAINERS
def test_categories_and_gaps_are_learned_saved_and_served(trainer: Any, tmp_path: Path) -> None:
    found = quick(tmp_path)
    model = trainer.fit(found.train, silent)
    family = RankingFamily()
    assert family.evaluate(model, found.holdout)["auc"] > 0.78
    said = model.score_rows([{"town": town, "prix": 0.0, "noise": 0.0} for town in TOWNS])
    assert np.argsort(said).tolist() == np.argsort(EFFECT).tolist()
    with_gap, without = model.score_rows([{"town": "Ripon", "noise": 0}, {"town": "Ripon", "noise": 0, "prix": 0.0}])
    assert with_gap > without + 0.1
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    golden = json.loads(json.dumps(found.golden))
    np.testing.assert_allclose(family.probe(again, golden), family.probe(model, golden), atol=1e-7)
    assert {row["prix"] for row in golden["rows"]} & {None} or len(golden["rows"]) == 8
    assert next(iter(model.importance())) in ("town", "prix")
    assert sum(model.importance().values()) == pytest.approx(1.0)


@TRAINERS
def test_one_seed_gives_one_model_bit_for_bit(trainer: Any, tmp_path: Path) -> None:
    one, other = (trainer.fit(quick(tmp_path).train, silent) for _ in range(2))
    rows = quick(tmp_path).holdout.values
    np.testing.assert_array_equal(one.score(rows), other.score(rows))
    np.testing.assert_array_equal(one.native(rows), other.native(rows))


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    one, other = data(tmp_path, table(), seed=1), data(tmp_path, table(), seed=2)
    assert not np.array_equal(one.holdout.label, other.holdout.label)


def test_a_random_holdout_keeps_the_shares_of_the_labels(tmp_path: Path) -> None:
    frame = table().with_columns(pl.Series("label", [1] * 50 + [0] * 1150))
    found = data(tmp_path, frame)
    assert (len(found.train), len(found.holdout)) == (960, 240)
    assert (found.train.label.sum(), found.holdout.label.sum()) == (40, 10)


def test_with_a_time_the_last_fifth_is_held_out(tmp_path: Path) -> None:
    shuffled = table().sample(fraction=1.0, shuffle=True, seed=4)
    found = data(tmp_path, shuffled, time="day")
    assert "day" not in found.train.names
    assert found.train.by_time
    newest = shuffled.sort("day").tail(240)
    np.testing.assert_array_equal(found.holdout.label, newest["label"].to_numpy().astype(np.float32))
    both = data(tmp_path, shuffled, time="day", features=["day", "town"])
    assert both.train.names == ("day", "town")


def test_everything_is_fitted_on_the_rows_to_learn_from(tmp_path: Path) -> None:
    """A category, a gap and a size that only the held-out rows have leave no trace."""
    frame = table(1000).with_columns(
        pl.when(pl.col("day") >= 800).then(pl.lit("Nowhere")).otherwise("town").alias("town"),
        pl.when(pl.col("day") >= 800).then(None).otherwise("noise").alias("noise"),
        pl.when(pl.col("day") >= 800).then(1e6).otherwise(pl.col("prix").fill_null(0.0)).alias("prix"),
    )
    params = RankingParams(normalize=True)
    found = data(tmp_path, frame, params, time="day", features=["town", "noise", "prix"])
    town, noise, prix = found.train.schema.columns
    assert "Nowhere" not in (town.categories or {})
    assert noise.default == 0.0
    assert prix.mean == pytest.approx(found.train.values[:, 2].mean(), abs=1e-5)
    assert abs(prix.mean) < 1
    assert (found.holdout.values[:, 0] == town.other).all()


@TRAINERS
def test_standardised_or_not_a_tree_says_the_same_and_serves_plain_rows(trainer: Any, tmp_path: Path) -> None:
    plain, scaled = (
        trainer.fit(data(tmp_path, table(), RankingParams(normalize=wanted)).train, silent) for wanted in (False, True)
    )
    assert scaled.schema.standardised
    assert not plain.schema.standardised
    rows = [{"town": town, "prix": price, "noise": 0.3} for town in TOWNS for price in (-1, 0.2, None)]
    np.testing.assert_allclose(plain.score_rows(rows), scaled.score_rows(rows), atol=0.15)
    scaled.save(tmp_path)
    np.testing.assert_allclose(type(scaled).load(tmp_path).score_rows(rows), scaled.score_rows(rows), atol=1e-7)


def test_groups_give_gauc_and_are_no_feature(tmp_path: Path) -> None:
    found = data(tmp_path, table(), group="user")
    assert "user" not in found.train.names
    model = Xgb(Xgb.Params(min_child_weight=1), 7).fit(found.train, silent)
    metrics = RankingFamily().evaluate(model, found.holdout)
    assert 0.6 < metrics["gauc"] < 1
    assert "gauc" not in RankingFamily().evaluate(model, quick(tmp_path).holdout)


@pytest.mark.parametrize(
    ("label", "source", "told"),
    [
        (np.arange(1200) >= 1000, {"time": "day"}, "to learn from hold only 0"),
        (np.arange(1200) < 900, {"time": "day"}, "held out to measure on hold only 0"),
        (np.arange(1200) % 2, {"weight": "label"}, "to learn from hold only 1"),
    ],
)
def test_both_parts_need_both_labels(label: Any, source: Any, told: str, tmp_path: Path) -> None:
    frame = table().with_columns(label=pl.Series(np.asarray(label).astype(int)))
    with pytest.raises(Invalid, match=told) as caught:
        data(tmp_path, frame, **source)
    assert caught.value.code == "bad_label"


def test_where_the_first_rows_have_one_label_trees_are_still_grown(tmp_path: Path) -> None:
    """The rows to stop by are the last ones: here they alone have a 1."""
    frame = table().with_columns(label=pl.Series((np.arange(1200) % 2) * (np.arange(1200) > 900)))
    found = data(tmp_path, frame, time="day")
    for trainer in (Xgb(Xgb.Params(trees=5), 7), Lgbm(Lgbm.Params(trees=5), 7)):
        model = trainer.fit(found.train, silent)
        assert np.isfinite(model.score(found.train.values)).all()


def test_rows_without_a_group_are_nobodys(tmp_path: Path) -> None:
    frame = table().with_columns(pl.when(pl.col("day") % 2 == 0).then(None).otherwise("user").alias("user"))
    group = data(tmp_path, frame, group="user").holdout.group
    assert group is not None
    assert (group == -1).sum() > 80


def test_weights_are_learned_from_and_must_be_weights(tmp_path: Path) -> None:
    found = data(tmp_path, table(), weight="stands_for")
    assert set(found.train.weight.tolist()) == {1.0, 3.0}
    assert "stands_for" not in found.train.names
    for wrong in (-1.0, None, float("inf")):
        frame = table().with_columns(
            pl.when(pl.col("day") == 3).then(wrong).otherwise("stands_for").alias("stands_for")
        )
        with pytest.raises(Invalid, match="must hold a weight"):
            data(tmp_path, frame, weight="stands_for")


@pytest.mark.parametrize("pair", [("no", "yes"), (False, True), ("FALSE", "True"), (0.0, 1.0)])
def test_words_may_be_labels(pair: tuple[Any, Any], tmp_path: Path) -> None:
    frame = table().with_columns(pl.Series("label", [pair[value] for value in table()["label"]]))
    np.testing.assert_array_equal(data(tmp_path, frame).train.label, data(tmp_path, table()).train.label)


def test_a_champion_with_another_vocabulary_is_measured_on_the_same_rows(tmp_path: Path) -> None:
    old = table(seed=5).with_columns(pl.col("town").replace({"York": "Zwolle"}))
    champion = Xgb(Xgb.Params(min_child_weight=1), 7).fit(data(tmp_path, old).train, silent)
    holdout = quick(tmp_path).holdout
    rows = holdout.frame.rows(named=True) if holdout.frame is not None else []
    np.testing.assert_allclose(
        champion.score(holdout.seen_by(schema_of(champion))), champion.score_rows(rows), atol=1e-6
    )
    assert RankingFamily().evaluate(champion, holdout)["auc"] > 0.6


def test_unfit_columns_are_left_out_and_told(tmp_path: Path) -> None:
    frame = table().with_columns(
        pl.lit(None, dtype=pl.Float64).alias("empty"),
        pl.Series("id", [f"row-{k}" for k in range(1200)]),
        pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=1199), eager=True).alias("when"),
    )
    found = data(tmp_path, frame)
    assert not {"empty", "id", "when"} & set(found.train.names)
    assert found.facts["columns_left_out"] == ["empty", "id", "when"]
    told = {one["column"]: one["message"] for one in found.facts["findings"] if one["severity"] == "warn"}
    assert "it is empty" in told["empty"]
    assert "like an id" in told["id"]
    assert "holds Date" in told["when"]
    assert "id" in data(tmp_path, frame, categorical=["id"]).train.names


def test_unusual_names_and_ten_thousand_categories(tmp_path: Path) -> None:
    n = 60_000
    random = np.random.default_rng(2)
    shop = np.where(random.random(n) < 0.5, random.integers(0, 10, n), random.integers(0, 10_000, n))
    frame = pl.DataFrame(
        {
            'ünï "код" {1}, x': [f"店{at}" for at in shop],
            "[price] <£>": random.normal(size=n),
            "label": (random.random(n) < np.where(shop % 2, 0.7, 0.3)).astype(int),
        }
    )
    found = data(tmp_path, frame)
    for trainer in (Xgb(Xgb.Params(trees=20), 1), Lgbm(Lgbm.Params(trees=20), 1)):
        model = trainer.fit(found.train, silent)
        assert model.feature_names == ('ünï "код" {1}, x', "[price] <£>")
        assert RankingFamily().evaluate(model, found.holdout)["auc"] > 0.55
        model.save(tmp_path)
        assert type(model).load(tmp_path).feature_names == model.feature_names


def test_a_training_can_be_cancelled_between_trees(tmp_path: Path) -> None:
    def stop(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        if step == 3:
            raise Cancelled("the job was asked to stop")

    found = quick(tmp_path)
    for trainer in (Xgb(Xgb.Params(), 7), Lgbm(Lgbm.Params(), 7)):
        with pytest.raises(Cancelled):
            trainer.fit(found.train, stop)


def test_progress_has_each_tree_with_its_loss(tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        told.append((step, of, metrics["val_loss"]))

    Lgbm(Lgbm.Params(trees=40), 7).fit(quick(tmp_path).train, report)
    assert [step for step, _, _ in told] == list(range(1, len(told) + 1))
    assert told[0][2] > told[-1][2]


# -- forms


def test_xgboost_answers_few_rows_by_the_graph_and_many_by_itself(tmp_path: Path) -> None:
    found = quick(tmp_path)
    model = Xgb(Xgb.Params(min_child_weight=1), 7).fit(found.train, silent)
    assert model.form is not None
    assert model.onnx_max_difference is not None
    assert model.onnx_max_difference <= 1e-6
    rows = found.holdout.values
    one_by_one = np.concatenate([model.score(rows[at : at + 1]) for at in range(len(rows))])
    np.testing.assert_allclose(one_by_one, model.score(rows), atol=1e-6)
    np.testing.assert_array_equal(model.score(rows), model.native(rows))
    assert RankingFamily().evaluate(model, found.holdout)["onnx_max_difference"] == model.onnx_max_difference
    model.save(tmp_path)
    assert (tmp_path / GRAPH).exists()
    assert XgbRanker.load(tmp_path).form is not None


def test_golden_rows_ask_both_forms(tmp_path: Path) -> None:
    found = quick(tmp_path)
    model = Xgb(Xgb.Params(min_child_weight=1), 7).fit(found.train, silent)
    outputs = RankingFamily().probe(model, found.golden)
    assert len(outputs) == 2 * len(found.golden["rows"])
    np.testing.assert_allclose(outputs[:8], outputs[8:], atol=1e-6)


def test_categories_of_lightgbm_have_no_graph_and_numbers_have(tmp_path: Path) -> None:
    trainer = Lgbm(Lgbm.Params(trees=30), 7)
    with_text = trainer.fit(quick(tmp_path).train, silent)
    assert (with_text.form, with_text.onnx_max_difference) == (None, None)
    with_text.save(tmp_path)
    assert not (tmp_path / GRAPH).exists()
    numbers = trainer.fit(data(tmp_path, table(), features=["prix", "noise"]).train, silent)
    assert numbers.form is not None
    numbers.save(tmp_path)
    assert LgbmRanker.load(tmp_path).form is not None


def test_a_form_that_is_off_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = quick(tmp_path)
    booster = Xgb(Xgb.Params(trees=5), 7).fit(found.train, silent)._booster
    other = Xgb(Xgb.Params(trees=9), 7).fit(found.train, silent)._booster
    true_trees = XgbRanker.trees_of
    monkeypatch.setattr(XgbRanker, "trees_of", staticmethod(lambda _: true_trees(other)))
    model = XgbRanker.with_form(booster, found.train.schema, found.train.values)
    assert model.form is None
    assert (model.onnx_max_difference or 0) > 1e-5
    np.testing.assert_array_equal(model.score(found.holdout.values[:3]), model.native(found.holdout.values[:3]))


def test_a_schema_of_another_width_is_refused(tmp_path: Path) -> None:
    model = Xgb(Xgb.Params(trees=5), 7).fit(quick(tmp_path).train, silent)
    model.save(tmp_path)
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(json.loads(schema.read_text())[:2]))
    with pytest.raises(Invalid, match="know 3 features, the schema names 2"):
        XgbRanker.load(tmp_path)


# -- what stops a training


@pytest.mark.parametrize(
    ("change", "source", "told"),
    [
        (lambda frame: frame.head(1), {}, "1 rows, at least 20"),
        (lambda frame: frame.with_columns(label=1), {}, "holds only 1"),
        (lambda frame: frame.with_columns(leak=pl.col("label") * 2), {}, "leak says the same as label"),
        (lambda frame: frame.with_columns(label=pl.col("town")), {}, "must hold 0 or 1"),
        (lambda frame: frame, {"label": "sold"}, "no column 'sold'; it has: town"),
        (lambda frame: frame, {"features": ["town", "nothing"]}, "no column 'nothing'"),
        (lambda frame: frame, {"features": ["label"]}, "cannot be a feature too"),
        (lambda frame: frame, {"categorical": ["nothing"]}, "no column 'nothing'"),
        (lambda frame: frame.with_columns(prix=None), {"features": ["prix"]}, "no column to learn from"),
        (lambda frame: frame.with_columns(day=pl.lit(None, dtype=pl.Int64)), {"time": "day"}, "no place in time"),
        (lambda frame: frame, {"features": "town"}, "training source"),
        (lambda frame: frame.select("label"), {}, "no column to learn from"),
    ],
)
def test_these_tables_are_refused_with_a_sentence(change: Any, source: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=told):
        data(tmp_path, change(table()), **source)


def test_a_number_column_with_a_word_stops_and_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ["n/a", *map(str, range(1199))]
    with pytest.raises(Invalid, match="not learned from: age holds numbers but for 1 values such as 'n/a'"):
        data(tmp_path, table().with_columns(pl.Series("age", words)))
    assert any("data check of rows.parquet: age holds numbers" in one.getMessage() for one in caplog.records)


def test_a_repeated_column_name_is_told(tmp_path: Path) -> None:
    lines = ["x,x,label", *(f"{k % 7},{k % 7},{k % 2}" for k in range(60))]
    (tmp_path / "twice.csv").write_text("\n".join(lines))
    context = TrainingContext(
        home=tmp_path,
        sql_url="",
        source={"kind": "file", "path": str(tmp_path / "twice.csv")},
        now=0,
        zone="UTC",
        seed=7,
        model="m",
    )
    findings = RankingFamily().data(context, RankingParams(), silent).facts["findings"]
    assert any("holds the same values as x" in one["message"] for one in findings)


def test_infinities_of_a_table_are_told_and_count_as_missing(tmp_path: Path) -> None:
    frame = table().with_columns(pl.when(pl.col("day") < 9).then(float("inf")).otherwise("noise").alias("noise"))
    found = data(tmp_path, frame)
    assert any("infinite" in one["message"] for one in found.facts["findings"])
    assert not np.isinf(found.train.values).any()


def older_folder(folder: Path) -> XgbRanker:
    """A version as homes hold it that were made before there were schemas, and the model that it holds."""
    folder.mkdir()
    random = np.random.default_rng(3)
    values = random.normal(size=(400, 2)).astype(np.float32)
    booster = xgboost.train(
        {"objective": "binary:logistic", "seed": 1},
        xgboost.DMatrix(values, (values[:, 0] + values[:, 1] > 1).astype(int)),
        num_boost_round=5,
    )
    booster.save_model(folder / "trees.ubj")
    facts = {"feature_names": ["pieces", "price"], "defaults": [0.0, float("nan")]}
    (folder / "xgb.json").write_text(json.dumps(facts))
    return XgbRanker(booster, Schema.of_numbers(facts["feature_names"], facts["defaults"]), None, None)


def test_a_version_of_a_home_without_schemas_goes_on_answering(tmp_path: Path) -> None:
    made, old = older_folder(tmp_path / "old"), XgbRanker.load(tmp_path / "old")
    rows: list[dict[str, Any]] = [{"pieces": 2, "price": 1.5}, {"pieces": -1}, {"price": 0.2}, {}]
    assert old.score_rows(rows) == made.score_rows(rows)
    assert len(set(old.score_rows(rows))) == 4
    assert len(RankingFamily().probe(old, {"rows": rows})) == 4, "golden rows of such a version asked one form"
    old.save(tmp_path)
    assert XgbRanker.load(tmp_path).score_rows(rows) == made.score_rows(rows)


def test_a_version_without_schema_whose_names_do_not_fit_is_refused(tmp_path: Path) -> None:
    older_folder(tmp_path / "old")
    (tmp_path / "old" / "xgb.json").write_text('{"feature_names": ["pieces"], "defaults": [0.0]}')
    with pytest.raises(Invalid, match="know 2 features, the schema names 1"):
        XgbRanker.load(tmp_path / "old")


def test_golden_rows_with_gaps_are_nobodys_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Else the warning of a version would be used up when it is loaded, and the counter would count loads."""
    model = Lgbm(Lgbm.Params(trees=20), 7).fit(quick(tmp_path).train, silent)
    rows: list[dict[str, Any]] = [{"town": "York"}]
    RankingFamily().probe(model, {"rows": rows})
    assert "missing" not in caplog.text
    model.score_rows(rows)
    assert "feature prix is missing" in caplog.text
