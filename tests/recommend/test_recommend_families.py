"""Both families on a real log and on files, as a training job uses them."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shopkeeper.checks.recall import NOW, small_orders
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import User
from shopkeeper.recommend.ranking.deepfm import Deepfm
from shopkeeper.recommend.ranking.deepfm_model import DeepfmRanker
from shopkeeper.recommend.ranking.family import RankingFamily
from shopkeeper.recommend.ranking.xgb import Xgb, XgbRanker
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.family import RecallFamily
from shopkeeper.recommend.recall.popularity import Popularity
from shopkeeper.recommend.recall.two_tower import TwoTower
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

QUICK = Xgb.Params(trees=30, train_days=40, holdout_days=15, negatives=10, min_child_weight=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    db = open_database(sqlite_url(folder))
    log = EventLog(db, Vocabularies.load(db), StoppedClock(NOW))
    orders = small_orders()
    rows = [
        (
            f"e{k}",
            f"U{user}",
            None,
            "order",
            "product",
            orders.item_ids[item],
            None,
            int(time),
            2.0,
            3.0,
            6.0,
            None,
            None,
        )
        for k, (user, item, time) in enumerate(zip(orders.user, orders.item, orders.time, strict=True))
    ]
    assert log.append_columns(rows).result().accepted == len(orders)
    db.close()
    return folder


def context(home: Path, **source) -> TrainingContext:
    return TrainingContext(
        home=home, sql_url=sqlite_url(home), source=source or {"kind": "shop"}, now=NOW, zone="UTC", seed=7, model="m"
    )


def test_a_recall_model_is_trained_measured_and_judged(home: Path) -> None:
    family = RecallFamily()
    data = family.data(context(home), Ease.Params(), silent)
    assert data.facts["rows"] == len(data.train.orders)
    assert len(data.facts["fingerprint"]) == 64
    assert int(data.train.orders.time.max()) < data.train.now
    model = Ease(Ease.Params(l2=5), 1).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["recall@20"] >= metrics["naive_recall@20"]
    assert {"new_recall@20", "naive_ndcg@10", "knn_recall@20"} <= set(metrics)
    assert family.judge(metrics, None).verdict == "PROMOTE"
    assert family.judge(metrics, {**metrics, "recall@20": metrics["recall@20"] * 1.5}).verdict == "REJECT"
    golden = json.loads(json.dumps(data.golden))
    assert np.isfinite(family.probe(model, golden)).all()
    popular = Popularity(Popularity.Params(), 1).fit(data.train, silent)
    assert len(family.probe(popular, golden)) == len(family.probe(model, golden))


def test_a_recall_model_is_told_what_the_records_say(home: Path) -> None:
    train = RecallFamily().data(context(home), Ease.Params(), silent).train
    assert train.items
    assert all(set(said) >= {"name", "kind"} for said in train.items.values())
    assert set(train.users) <= set(train.orders.user.tolist())


@pytest.mark.parametrize(("default", "refuses", "agrees"), [("yes", "U0", "U1"), ("no", "U2", "U3")])
def test_what_is_said_of_who_refuses_to_be_profiled_is_not_learned_from(
    home: Path, default: str, refuses: str, agrees: str
) -> None:
    everybody = {"city": "Ulm"}
    db = open_database(sqlite_url(home))
    names = Vocabularies.load(db)
    consents, meta = ConsentStore(db, names, StoppedClock(NOW)), Meta(db)
    gone, there = names.users.row(refuses), names.users.row(agrees)
    try:
        users = UserStore(db, names, StoppedClock(NOW))
        for id in (refuses, agrees):
            users.put(User(user_id=id, attributes=everybody)).result(30)
        before = RecallFamily().data(context(home), TwoTower.Params(), silent)
        assert {gone, there} <= set(before.train.users)
        if default == "yes":
            consents.change(refuses, {"profiling": False}).result(30)
        else:
            meta.set("consent.default", "no").result(30)
            consents.change(agrees, {"profiling": True}).result(30)
        after = RecallFamily().data(context(home), TwoTower.Params(), silent)
        assert gone not in after.train.users
        assert after.train.users[there] == everybody
        assert all(case.traits is None for case in after.holdout.cases if case.user == gone)
        assert after.facts["rows"] == before.facts["rows"], "sales stay sales"
    finally:
        meta.set("consent.default", "yes").result(30)
        consents.change(refuses, {"profiling": True}).result(30)
        db.close()


def test_a_ranker_is_trained_on_the_log(home: Path, tmp_path: Path) -> None:
    family = RankingFamily()
    data = family.data(context(home), QUICK, silent)
    model = Xgb(QUICK, 7).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert 0.5 < metrics["auc"] <= 1
    assert metrics["log_loss"] < metrics["naive_log_loss"]
    assert {"ndcg@10", "new_ndcg@10", "naive_ndcg@10", "calibration_error"} <= set(metrics)
    assert family.judge(metrics, None).verdict == "PROMOTE"
    assert family.judge(metrics, {**metrics, "auc": 1.2}).verdict == "REJECT"
    model.save(tmp_path)
    golden = json.loads(json.dumps(data.golden))
    again = XgbRanker.load(tmp_path)
    assert family.probe(model, golden) == pytest.approx(family.probe(again, golden), rel=1e-6)
    assert sum(model.importance().values()) == pytest.approx(1.0)


def test_a_net_is_trained_on_the_log(home: Path, tmp_path: Path) -> None:
    params = Deepfm.Params(epochs=6, train_days=40, holdout_days=15, negatives=10)
    family = RankingFamily()
    data = family.data(context(home), params, silent)
    model = Deepfm(params, 7).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert 0.5 < metrics["auc"] <= 1
    assert metrics["log_loss"] < metrics["naive_log_loss"]
    assert {"ndcg@10", "int8_auc", "int8_max_difference"} <= set(metrics)
    model.save(tmp_path)
    golden = json.loads(json.dumps(data.golden))
    np.testing.assert_array_equal(family.probe(DeepfmRanker.load(tmp_path), golden), family.probe(model, golden))


def test_on_the_log_too_numbers_may_be_standardised(home: Path, tmp_path: Path) -> None:
    family, params = RankingFamily(), msgspec.structs.replace(QUICK, normalize=True)
    data = family.data(context(home), params, silent)
    assert data.train.schema.standardised
    np.testing.assert_array_equal(data.train.values, family.data(context(home), QUICK, silent).train.values)
    model = Xgb(params, 7).fit(data.train, silent)
    assert family.evaluate(model, data.holdout)["auc"] > 0.5
    model.save(tmp_path)
    rows = data.holdout.values[:200]
    np.testing.assert_allclose(XgbRanker.load(tmp_path).score(rows), model.score(rows), rtol=1e-6)


def test_a_champion_with_other_features_is_measured_on_the_same_rows(home: Path) -> None:
    family = RankingFamily()
    few = Xgb.Params(trees=10, train_days=40, holdout_days=15, min_child_weight=1, features=["item_popularity_7d"])
    champion = Xgb(few, 7).fit(family.data(context(home), few, silent).train, silent)
    holdout = family.data(context(home), QUICK, silent).holdout
    assert family.evaluate(champion, holdout)["log_loss"] > 0


def csv_file(folder: Path, n: int = 400, **more: list) -> Path:
    random = np.random.default_rng(2)
    x = random.normal(size=n)
    label = (random.random(n) < 1 / (1 + np.exp(-2 * x))).astype(int)
    columns = {"x": x.round(4).tolist(), "noise": random.normal(size=n).round(4).tolist(), "label": label.tolist()}
    columns.update(more)
    lines = [",".join(columns), *(",".join(str(v) for v in row) for row in zip(*columns.values(), strict=True))]
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_ranker_is_trained_on_a_file_and_scores_its_rows(home: Path, tmp_path: Path) -> None:
    path = csv_file(tmp_path, seen=["2026-01-01"] * 400)
    family = RankingFamily()
    data = family.data(context(home, kind="file", path=str(path)), QUICK, silent)
    assert data.facts["columns_left_out"] == ["seen"]
    assert len(data.train) + len(data.holdout) == 400
    model = Xgb(Xgb.Params(min_child_weight=1), 7).fit(data.train, silent)
    assert model.feature_names == ("x", "noise")
    assert family.evaluate(model, data.holdout)["auc"] > 0.7
    low, high = model.score_rows([{"x": -2}, {"x": 2}])
    assert low < 0.35 < 0.65 < high


def test_a_file_with_a_time_is_split_by_it(home: Path, tmp_path: Path) -> None:
    path = csv_file(tmp_path, day=list(range(400, 0, -1)))
    data = RankingFamily().data(context(home, kind="file", path=str(path), time="day"), QUICK, silent)
    assert data.train.names == ("x", "noise")
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    newest = [float(line.split(",")[0]) for line in lines[:80]]
    assert sorted(data.holdout.values[:, 0].tolist()) == pytest.approx(sorted(newest), abs=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,label\n" + "1,2\n" * 30, "must hold 0 or 1"),
        ("x,label\n" + "1,1\n" * 30, "nothing to tell apart"),
        ("x,y\n1,2\n", "has no column 'label'"),
        ("x,label\n1,0\n2,1\n", "at least 20"),
        ("seen,label\n" + "2026-01-01,1\n2026-01-02,0\n" * 20, "no column to learn from"),
        ("x,label\n" + "1,\n2,1\n" * 20, "must hold 0 or 1"),
        ("", "file is empty"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(home: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Invalid, match=message):
        RankingFamily().data(context(home, kind="file", path=str(path)), QUICK, silent)


def test_a_missing_file_and_an_unknown_source_are_named(home: Path) -> None:
    with pytest.raises(NotFound, match="no file at"):
        RankingFamily().data(context(home, kind="file", path="gone.csv"), QUICK, silent)
    with pytest.raises(Invalid, match="no training data of kind 'moon'"):
        RankingFamily().data(context(home, kind="moon"), QUICK, silent)
