"""Edges, sequences and texts from tables and from a shop's log: what is read, measured, refused, served."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shopkeeper import plugins
from shopkeeper.checks.recall import NOW, small_orders
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import LegacyFiles, TrainingContext, TrainingData, silent
from shopkeeper.recommend.embedding.family import EmbeddingFamily
from shopkeeper.recommend.embedding.item2vec import Item2Vec
from shopkeeper.recommend.embedding.node2vec import Node2Vec
from shopkeeper.recommend.embedding.nodes import NodeEmbedding
from shopkeeper.recommend.embedding.reading import MOST_WORDS, split, words_of
from shopkeeper.recommend.embedding.word2vec import Word2Vec
from shopkeeper.stores import schema
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

FAMILY = EmbeddingFamily()
QUICK: dict[str, Any] = {"dim": 16, "epochs": 8}
WALK = {**QUICK, "num_walks": 3, "walk_length": 10}


def read(folder: Path, frame: pl.DataFrame, params: Any, **source: Any) -> TrainingData:
    path = folder / "rows.parquet"
    frame.write_parquet(path)
    source = {"kind": "file", "path": str(path), **source}
    context = TrainingContext(folder, "", source, 0, "UTC", 7, "m")
    return FAMILY.data(context, params, silent)


def purchases(seed: int = 1) -> pl.DataFrame:
    """Forty people of two tastes, each with most of ten things of theirs."""
    random = np.random.default_rng(seed)
    rows = [
        (f"u{user}", f"{'ab'[user % 2]}{item}")
        for user in range(40)
        for item in random.choice(10, 7, replace=False).tolist()
    ]
    return pl.DataFrame(rows, schema=["from_id", "to_id"], orient="row")


def fitted(trainer: Any, data: TrainingData, **params: Any) -> Any:
    return trainer(trainer.Params(**params), 3).fit(data.train, silent)


# -- edges


def test_items_are_recalled_for_users_and_never_users(tmp_path):
    data = read(tmp_path, purchases(), Node2Vec.Params())
    model = fitted(Node2Vec, data, **WALK)
    measured = FAMILY.evaluate(model, data.holdout)
    assert measured["auc"] > 0.75 > measured["naive_auc"]
    assert measured["recall@20"] == pytest.approx(1.0)
    assert data.facts["nodes"] == 60
    assert data.facts["items"] == 20
    rows = [{"user_id": "u0"}, {"user_id": "u1", "top_k": 2}, {"user_id": "nobody"}, {"user_id": "a0"}, {"user_id": 5}]
    first, second, *none = model.score_rows(rows)
    assert none == [[], [], []]
    assert len(second) == 2
    known = {data.train.edges.ids[at] for at in data.train.edges.target}
    taken = {data.train.edges.ids[b] for a, b in zip(*edges_of(data), strict=True) if data.train.edges.ids[a] == "u0"}
    assert set(first) <= known - taken
    assert all(item[0] == "a" for item in first[:2])
    assert len(model.score_rows([{"user_id": "u0", "top_k": 10**9}])[0]) <= 20
    assert len(model.score_rows([{"user_id": "u0", "top_k": -3}])[0]) == 1
    ids, scores = model.recall("u0", 5)
    assert scores == sorted(scores, reverse=True)
    assert all(np.isfinite(scores))
    assert len(ids) == len(scores)


def test_edges_that_lead_one_way_are_measured_as_others_are(tmp_path):
    """No edge leads from an item: that it has some is no less true."""
    one_way, both = (read(tmp_path, purchases(), Node2Vec.Params(directed=each)) for each in (True, False))
    assert one_way.holdout == both.holdout
    assert one_way.facts["holdout_links"] > 10
    assert {key: one_way.facts[key] for key in ("nodes", "users", "items", "alone")} == {
        "nodes": 60, "users": 40, "items": 20, "alone": 0,
    }  # fmt: skip
    model = fitted(Node2Vec, one_way, directed=True, **{**WALK, "num_walks": 30})
    assert len(model.user_ids) == 40
    assert len(model.item_ids) == 20
    assert FAMILY.evaluate(model, one_way.holdout)["auc"] > 0.75


def edges_of(data: TrainingData) -> tuple[list[int], list[int]]:
    edges = data.train.edges
    return edges.source.tolist(), edges.target.tolist()


def test_what_a_user_has_is_recalled_again_where_that_is_wanted(tmp_path):
    data = read(tmp_path, purchases(), Node2Vec.Params(repeats=True))
    model = fitted(Node2Vec, data, repeats=True, **WALK)
    assert len(model.recall("u0", 500)[0]) > len(model.near("u0", 500, repeats=False)[0])


@pytest.mark.parametrize("row", [{}, {"user_id": None}, {"user_id": 1.5}, {"user_id": "u0", "top_k": "many"}])
def test_a_row_that_names_nobody_is_refused(row, tmp_path):
    model = fitted(Node2Vec, read(tmp_path, purchases(), Node2Vec.Params()), **WALK)
    with pytest.raises(Invalid, match=r"user_id|top_k"):
        model.score_rows([row])


def test_links_to_oneself_lonely_nodes_repeated_and_broken_rows(tmp_path):
    odd = pl.DataFrame(
        [("u0", "u0"), ("lonely", "lonely"), ("u1", "b1"), ("u1", "b1"), (None, "a1"), ("u2", None), ("", "a2")],
        schema=["from_id", "to_id"],
        orient="row",
    )
    data = read(tmp_path, pl.concat([purchases(), odd]), Node2Vec.Params())
    assert data.facts["left_out"] == 3
    assert data.facts["self_links"] == 2
    assert data.facts["alone"] == 1
    model = fitted(Node2Vec, data, **WALK)
    assert model.recall("lonely", 5) == ([], [])
    assert "lonely" not in model.user_ids
    assert np.isfinite(model.item_vectors).all()


def test_accounts_that_follow_each_other_are_recalled_when_it_is_said(tmp_path):
    random = np.random.default_rng(2)
    pairs = [(f"n{a}", f"n{b}") for a in range(30) for b in range(30) if a % 3 == b % 3 and random.random() < 0.5]
    frame = pl.DataFrame(pairs, schema=["from_id", "to_id"], orient="row")
    with pytest.raises(Invalid, match="social=true") as refused:
        read(tmp_path, frame, Node2Vec.Params())
    assert refused.value.code == "no_items"
    params = Node2Vec.Params(social=True)
    data = read(tmp_path, frame, params)
    model = fitted(Node2Vec, data, social=True, **WALK)
    found, _ = model.recall("n0", 5)
    assert "n0" not in found
    assert set(found) <= set(model.user_ids)
    assert FAMILY.evaluate(model, data.holdout)["auc"] > 0.8


def test_weights_count(tmp_path):
    frame = purchases().with_columns(pl.lit(1.0).alias("times"))
    data = read(tmp_path, frame, Node2Vec.Params(weight_col="times"))
    assert fitted(Node2Vec, data, weight_col="times", **WALK).recall("u0", 3)[0]
    for bad in (0.0, -1.0, None):
        broken = frame.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(bad).otherwise(1.0).alias("times"))
        with pytest.raises(Invalid, match="above 0") as refused:
            read(tmp_path, broken, Node2Vec.Params(weight_col="times"))
        assert refused.value.code == "bad_weight"


def test_a_column_of_another_name_is_told_with_those_there_are(tmp_path):
    frame = purchases().rename({"from_id": "who"})
    with pytest.raises(Invalid, match="no column 'from_id'; it has: who, to_id"):
        read(tmp_path, frame, Node2Vec.Params())
    assert read(tmp_path, frame, Node2Vec.Params(from_col="who")).facts["rows"] == frame.height


def test_one_edge_is_too_few_to_measure_on(tmp_path):
    with pytest.raises(Invalid, match="leave none to measure on") as refused:
        read(tmp_path, purchases()[:1], Node2Vec.Params())
    assert refused.value.code == "too_few"


def test_a_graph_without_any_way_is_refused(tmp_path):
    frame = pl.DataFrame({"from_id": ["a"] * 3, "to_id": ["a"] * 3})
    with pytest.raises(Invalid, match=r"leave none|no item"):
        read(tmp_path, frame, Node2Vec.Params(social=True))


def test_older_files_hold_every_vector_by_its_id(tmp_path):
    model = fitted(Node2Vec, read(tmp_path, purchases(), Node2Vec.Params()), **WALK)
    assert isinstance(model, LegacyFiles)
    model.save_legacy(tmp_path)
    found = json.loads((tmp_path / "node2vec_vectors.json").read_text())
    assert set(found) == {*model.user_ids, *model.item_ids}
    np.testing.assert_allclose(found["a1"], model.item_vectors[model.item_ids.index("a1")], atol=1e-6)


def test_a_broken_artifact_is_refused(tmp_path):
    model = fitted(Node2Vec, read(tmp_path, purchases(), Node2Vec.Params()), **WALK)
    model.save(tmp_path)
    facts = json.loads((tmp_path / "embedding.json").read_text())
    (tmp_path / "embedding.json").write_text(json.dumps({**facts, "item_ids": facts["item_ids"][1:]}))
    with pytest.raises(Invalid, match=r"do not fit|links") as refused:
        NodeEmbedding.load(tmp_path)
    assert refused.value.code == "bad_artifact"


# -- sequences


def sequences(form: str = "{}") -> pl.DataFrame:
    random = np.random.default_rng(4)
    lists = [[f"{'ab'[k % 2]}{item}" for item in random.integers(0, 10, 8)] for k in range(80)]
    written = [json.dumps(one) if form == "json" else form.join(one) for one in lists]
    return pl.DataFrame({"who": [f"u{k}" for k in range(80)], "sequence": written})


@pytest.mark.parametrize("form", [" ", ",", "; ", "|", "json"])
def test_sequences_are_read_in_the_forms_that_files_have(form, tmp_path):
    data = read(tmp_path, sequences(form), Item2Vec.Params())
    model = fitted(Item2Vec, data, **QUICK)
    assert len(model.item_ids) == 20
    measured = FAMILY.evaluate(model, data.holdout)
    assert measured["hit@10"] > measured["naive_hit@10"]
    near = model.score_rows([{"history": ["a1", "a2"], "top_k": 3}])[0]
    assert all(item[0] == "a" for item in near)
    assert not {"a1", "a2"} & set(near)


def test_rows_of_one_user_are_one_sequence_in_order_of_time(tmp_path):
    lines = [(f"u{k % 20}", f"i{k // 20}", 100 - k) for k in range(80)]
    frame = pl.DataFrame(lines, schema=["who", "what", "at"], orient="row")
    data = read(tmp_path, frame, Item2Vec.Params(sequence_col="what", user_col="who"), time="at")
    whole = data.train.sequences
    assert len(whole) == 20
    first = [whole.ids[at] for at in whole.tokens[: whole.bounds[1]]]
    assert first[:3] == ["i3", "i2", "i1"]


def test_what_is_alike_is_recalled_where_that_is_asked(tmp_path):
    data = read(tmp_path, sequences(" "), Item2Vec.Params())
    model = fitted(Item2Vec, data, match="alike", **QUICK)
    scores = model.scores(np.array([3], dtype=np.int32), np.ones(1, dtype=np.float32))
    assert scores.argmax() == 3
    assert scores == pytest.approx(1 / (1 + np.exp(-(model.item_vectors @ model.item_vectors[3]))), abs=1e-5)


def test_the_last_id_of_a_measured_sequence_is_never_learned_from(tmp_path):
    frame = pl.DataFrame({"sequence": [f"a b end{k}" for k in range(50)]})
    data = read(tmp_path, frame, Item2Vec.Params())
    whole = data.train.sequences
    learned = {whole.ids[at] for at in whole.tokens}
    kept_back = {data.holdout.item_ids[case.taken[0]] for case in data.holdout.cases}
    assert kept_back
    assert not learned & kept_back


def test_what_is_rare_gets_no_vector_where_that_is_asked(tmp_path):
    frame = pl.concat([sequences(" "), pl.DataFrame({"who": ["x"], "sequence": ["once a1 a2"]})])
    data = read(tmp_path, frame, Item2Vec.Params())
    assert "once" not in fitted(Item2Vec, data, min_count=2, **QUICK).item_ids


def test_histories_of_nothing_of_strangers_and_of_ten_thousand(tmp_path):
    model = fitted(Item2Vec, read(tmp_path, sequences(" "), Item2Vec.Params()), **QUICK)
    rows = [{}, {"history": []}, {"history": ["nobody"]}, {"history": ["a1"] * 10_000}, {"history": "a1, a2"}]
    *nothing, long, text = model.score_rows(rows)
    assert nothing == [[], [], []]
    assert long
    assert text
    items = np.zeros(10_000, dtype=np.int32)
    scores = model.scores(items, np.ones(10_000, dtype=np.float32))
    assert np.isfinite(scores).all()
    assert model.because(items, np.ones(10_000, dtype=np.float32), np.array([0, 1], dtype=np.int32)).shape == (2,)
    assert not np.any(model.user_embedding({}))
    for bad in (5, [["a1"]], [None], {"a": 1}):
        with pytest.raises(Invalid, match="history"):
            model.score_rows([{"history": bad}])


@pytest.mark.parametrize(("text", "why"), [('["a"', "no list"), ("[[1]]", "lists of ids"), ("[null]", "lists of ids")])
def test_a_broken_list_is_told(text, why):
    with pytest.raises(Invalid, match=why):
        split(text, "sequence")


def test_too_few_sequences_are_told(tmp_path):
    with pytest.raises(Invalid, match="at least are needed") as refused:
        read(tmp_path, sequences(" ")[:1], Item2Vec.Params())
    assert refused.value.code == "too_few"


# -- texts


def test_words_give_texts_and_unseen_items_their_vectors(tmp_path):
    about = [f"red {kind} mug for coffee" for kind in "abcde"] + [f"garden {kind} spade for soil" for kind in "abcde"]
    data = read(tmp_path, pl.DataFrame({"text": about * 20}), Word2Vec.Params())
    model = fitted(Word2Vec, data, thin=0.0, **QUICK)
    mug, coffee, spade = (np.array(model.query_embedding({"text": text})) for text in ("red mug", "coffee", "spade"))
    assert mug @ coffee > mug @ spade
    assert model.output_size == 16
    unseen = np.array(model.item_embedding({"name": "Mug", "category": "coffee"}))
    assert unseen @ coffee > unseen @ spade
    assert "hit@10" in FAMILY.evaluate(model, data.holdout)


def test_each_text_stands_by_itself_whoever_wrote_it(tmp_path):
    """Words of two texts of one user are not near each other for that."""
    frame = pl.DataFrame({"text": ["red mug", "blue spade", "old lamp"] * 10, "who": ["a", "a", "b"] * 10})
    given = {"mode": "word2vec", "user_col": "who", **QUICK}
    params = plugins.read_params(Word2Vec, given)
    one, other = read(tmp_path, frame, params), read(tmp_path, frame, Word2Vec.Params(**QUICK))
    assert one.facts == other.facts
    np.testing.assert_array_equal(one.train.sequences.bounds, other.train.sequences.bounds)
    models = [Word2Vec(params, 3).fit(one.train, silent), fitted(Word2Vec, other, **QUICK)]
    np.testing.assert_array_equal(models[0].word_vectors, models[1].word_vectors)


def test_texts_of_a_megabyte_of_nothing_and_in_chinese(tmp_path):
    frame = pl.DataFrame(
        {"text": ["红色 咖啡杯", "红色咖啡壶", "白色咖啡杯", "花园 铲子"] * 10 + ["word " * 200_000, ""]}
    )
    data = read(tmp_path, frame, Word2Vec.Params())
    model = fitted(Word2Vec, data, **QUICK)
    assert len(words_of("word " * 200_000)) == MOST_WORDS
    for text in ("word " * 200_000, "", "\0", "unheard of"):
        assert np.isfinite(model.score_rows([{"text": text}])[0]).all()
    assert not np.any(model.query_embedding({"text": ""}))
    cup, pot, spade = (np.array(model.query_embedding({"text": text})) for text in ("咖啡杯", "咖啡壶", "铲子"))
    assert cup @ pot > cup @ spade
    for bad in ({}, {"text": 5}, {"text": None}):
        with pytest.raises(Invalid, match="give a text"):
            model.score_rows([bad])


# -- the shop's own log


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> TrainingContext:
    folder = tmp_path_factory.mktemp("shop")
    db = open_database(sqlite_url(folder))
    log = EventLog(db, Vocabularies.load(db), StoppedClock(NOW))
    orders = small_orders()
    rows: list[tuple[Any, ...]] = [
        (f"e{k}", f"U{u}", None, "order", "product", orders.item_ids[i], None, int(t), 2.0, 3.0, 6.0, None, None)
        for k, (u, i, t) in enumerate(zip(orders.user, orders.item, orders.time, strict=True))
    ]
    assert log.append_columns(rows).result().accepted == len(orders)
    db.close()
    return TrainingContext(folder, sqlite_url(folder), {"kind": "shop"}, NOW, "UTC", 7, "m")


@pytest.mark.parametrize("kind", ["user", "basket"])
def test_item2vec_learns_from_the_orders_before_the_last_week(kind, shop):
    data = FAMILY.data(shop, Item2Vec.Params(sequences=kind), silent)
    model = fitted(Item2Vec, data, dim=16, epochs=20)
    measured = FAMILY.evaluate(model, data.holdout)
    assert measured["recall@20"] > 0.8
    assert measured["naive_ndcg@10"] < measured["ndcg@10"]
    assert data.facts["fingerprint"] == FAMILY.data(shop, Node2Vec.Params(), silent).facts["fingerprint"]
    assert FAMILY.judge(measured, measured).verdict == "PROMOTE"
    assert FAMILY.judge({**measured, "recall@20": 0.1}, measured).verdict == "REJECT"


def test_node2vec_learns_from_who_bought_what(shop):
    data = FAMILY.data(shop, Node2Vec.Params(), silent)
    model = fitted(Node2Vec, data, repeats=True, **WALK)
    found, _ = model.recall("U0", 6)
    assert {int(item[1:]) // 8 for item in found} == {0}
    assert not set(model.item_ids) & set(model.user_ids)
    assert FAMILY.judge({"recall@20": 0.5, "auc": 0.8}, {"recall@20": 0.5, "auc": 0.9}).verdict == "REJECT"


def test_word2vec_learns_from_what_is_said_of_items(shop):
    db = open_database(shop.sql_url)
    with db.read() as connection:
        rows = [each.row for each in connection.execute(schema.items.select())]
    db.close()
    assert rows
    with pytest.raises(Invalid, match=r"name of two words|at least are needed"):
        FAMILY.data(shop, Word2Vec.Params(), silent)


def test_who_does_not_agree_to_be_profiled_has_no_vector(shop):
    db = open_database(shop.sql_url)
    names = Vocabularies.load(db)
    consents = ConsentStore(db, names, StoppedClock(NOW))
    try:
        consents.change("U0", {"profiling": False}).result(30)
        data = FAMILY.data(shop, Node2Vec.Params(), silent)
        assert data.facts["refused"] == 1
        assert "U0" not in data.holdout.users
        model = fitted(Node2Vec, data, **WALK)
        assert "U0" not in model.user_ids
        assert "U1" in model.user_ids
    finally:
        consents.change("U0", {"profiling": True}).result(30)
        db.close()
