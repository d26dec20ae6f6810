"""Matchers from tables and from the shop, as a training job uses them; and the search that knows what is meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Connection

from shopkeeper import plugins
from shopkeeper.checks.matching import GOODS, small_pairs
from shopkeeper.core.clock import MINUTE, StoppedClock
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import TrainingContext, TrainingData, silent
from shopkeeper.recommend.matching import measuring
from shopkeeper.recommend.matching.baselines import Plain
from shopkeeper.recommend.matching.drawing import Drawing
from shopkeeper.recommend.matching.dssm import Dssm
from shopkeeper.recommend.matching.family import MatchingFamily, MatchingHoldout, held_queries, measured
from shopkeeper.recommend.matching.fitting import logistic
from shopkeeper.recommend.matching.model import Matcher, Shelf
from shopkeeper.recommend.matching.pairs import MOST_CHARACTERS, Columns
from shopkeeper.stores import schema
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 1_750_000_000_000_000


def brief(**more: Any) -> Any:
    return plugins.read_params(Dssm, {**Dssm.brief, **more})


def data(folder: Path, frame: pl.DataFrame, params: Any = None, **source: Any) -> TrainingData:
    path = folder / "pairs.parquet"
    frame.write_parquet(path)
    given = {"kind": "file", "path": str(path), **source}
    context = TrainingContext(home=folder, sql_url="", source=given, now=NOW, zone="UTC", seed=7, model="dssm")
    return MatchingFamily().data(context, params or brief(), silent)


def texts() -> pl.DataFrame:
    pairs = small_pairs()
    return pl.DataFrame(
        {
            "query": [pairs.queries.texts[at] for at in pairs.query],
            "doc_text": [pairs.docs.texts[at] for at in pairs.doc],
            "doc_id": [f"D{at}" for at in pairs.doc],
            "label": pairs.label.astype(int),
        }
    )


def numbers(n: int = 400) -> pl.DataFrame:
    """The columns of the older training script."""
    random = np.random.default_rng(1)
    columns = {f"{side}_f{at}": random.normal(size=n).round(1) for side in ("query", "doc") for at in (1, 2, 3)}
    label = (columns["query_f1"] * columns["doc_f1"] > 0).astype(int)
    return pl.DataFrame({**columns, "label": label})


def test_a_table_of_texts_is_learned_measured_and_judged(tmp_path: Path) -> None:
    found = data(tmp_path, texts())
    pairs, held = found.train, found.holdout.pairs
    assert pairs.doc_ids == tuple(dict.fromkeys(texts()["doc_id"].to_list()))
    assert not set(pairs.query.tolist()) & set(held.query.tolist()), "a query stands on both sides"
    assert found.facts["query_columns"] == ["query"]
    assert found.facts["doc_columns"] == ["doc_text"]
    model = Dssm(brief(), 1).fit(pairs, silent)
    metrics = MatchingFamily().evaluate(model, found.holdout)
    for name in ("map", "auc", "recall@10"):
        assert metrics[name] >= metrics[f"bm25_{name}"], name
    assert metrics["map"] > 0.9
    assert MatchingFamily().judge(metrics, metrics).verdict == "PROMOTE"
    assert MatchingFamily().judge({**metrics, "map": 0.5}, metrics).verdict == "REJECT"
    probed = MatchingFamily().probe(model, found.golden)
    assert len(probed) == len(found.golden["rows"]) * (2 * model.output_size + 1)


def test_columns_of_numbers_as_the_older_script_had_them(tmp_path: Path) -> None:
    found = data(tmp_path, numbers())
    model = Dssm(brief(), 1).fit(found.train, silent)
    assert model.feature_names == ("query_f1", "query_f2", "query_f3")
    assert MatchingFamily().evaluate(model, found.holdout)["auc"] > 0.6
    missing = numbers().with_columns(pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise("query_f2"))
    assert np.isnan(data(tmp_path, missing).train.queries.values).any() or "literal" in missing.columns


def test_columns_by_other_names_and_codes_as_words(tmp_path: Path) -> None:
    frame = texts().rename({"query": "asked", "doc_text": "answer"}).with_columns(doc_code=pl.col("label") * 0 + 4711)
    with pytest.raises(Invalid, match="no column of the query") as refused:
        data(tmp_path, frame)
    assert refused.value.code == "no_column"
    params = brief(query_columns=["asked"], doc_columns=["answer", "doc_code"])
    found = data(tmp_path, frame, params, categorical=["doc_code"])
    assert found.train.doc_columns.texts == ("answer", "doc_code")
    assert all(text.endswith(" 4711") for text in found.train.docs.texts)
    assert data(tmp_path, frame, params).train.doc_columns.numbers == ("doc_code",)


@pytest.mark.parametrize("values", [[3.0, 4.0], [True, False], [1e-5, 0.5], [2**60, 7]])
def test_a_value_is_one_text_in_a_table_and_in_a_row(tmp_path: Path, values: list[Any]) -> None:
    frame = texts().with_columns(query_code=pl.Series([values[at % 2] for at in range(len(texts()))]))
    found = data(tmp_path, frame, categorical=["query_code"]).train
    columns = found.query_columns
    assert columns.texts == ("query", "query_code")
    rows = [{"query": row["query"], "query_code": row["query_code"]} for row in frame.iter_rows(named=True)]
    assert set(columns.read(rows).texts) == set(found.queries.texts)


@pytest.mark.parametrize("value", [pytest.param(10**5000, id="long"), [1], {}])
def test_what_is_no_text_is_refused_with_its_name(value: Any) -> None:
    columns = Columns(texts=("query",), numbers=("query_f1",))
    assert columns.read([{"query": 10**400}]).texts == (str(10**400),)
    with pytest.raises(Invalid, match="row 1: query is") as refused:
        columns.read([{}, {"query": value}])
    assert (refused.value.code, refused.value.field) == ("not_a_text", "data[1].query")
    with pytest.raises(Invalid, match="row 0: query_f1 is") as refused:
        columns.read([{"query_f1": value}])
    assert refused.value.code == "not_a_number"


@pytest.mark.parametrize(
    ("change", "params", "source", "code"),
    [
        (lambda f: f.rename({"doc_text": "text"}), {}, {}, "no_column"),
        (lambda f: f, {"query_columns": ["asked"]}, {}, "no_column"),
        (lambda f: f, {}, {"label": "clicked"}, "no_column"),
        (lambda f: f, {"query_columns": ["doc_text"]}, {}, "bad_option"),
        (lambda f: f.with_columns(label=1), {}, {}, "bad_label"),
        (lambda f: f.with_columns(label=pl.lit(3)), {}, {}, "bad_label"),
        (lambda f: f.head(1), {}, {}, "too_few_rows"),
        (lambda f: f.drop("label").head(1), {}, {}, "no_data"),
        (lambda f: f.with_columns(query=pl.lit("mug")), {}, {}, "no_data"),
        (lambda f: f.with_columns(doc_f1=pl.lit(float("inf"))), {}, {}, "bad_data"),
        (lambda f: f.with_columns(doc_id=pl.lit(None, dtype=pl.String)), {}, {}, "bad_data"),
    ],
)
def test_a_table_that_nothing_can_be_learned_from(
    tmp_path: Path, change: Any, params: dict[str, Any], source: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        data(tmp_path, change(texts()), brief(**params), **source)
    assert refused.value.code == code


def test_without_a_label_every_row_is_right(tmp_path: Path) -> None:
    right = texts().filter(pl.col("label") == 1).drop("label")
    found = data(tmp_path, right)
    assert found.train.label.min() == 1
    model = Dssm(brief(), 1).fit(found.train, silent)
    metrics = MatchingFamily().evaluate(model, found.holdout)
    assert metrics["mrr@10"] > metrics["bm25_mrr@10"]
    assert "auc" not in metrics


def test_a_text_of_a_megabyte_in_a_table_is_cut(tmp_path: Path) -> None:
    frame = texts().with_columns(doc_text=pl.lit("mug " * 250_000) + pl.col("doc_text"))
    found = data(tmp_path, frame.head(60))
    assert max(map(len, found.train.docs.texts)) == MOST_CHARACTERS


def test_the_same_query_is_always_on_the_same_side() -> None:
    pairs = small_pairs()
    held = held_queries(pairs, 7)
    keep = np.arange(len(pairs.queries))[::2]
    some = replace(pairs, queries=pairs.queries.take(keep))
    some = replace(some, query=np.searchsorted(keep, pairs.query[np.isin(pairs.query, keep)]))
    some = replace(some, doc=pairs.doc[np.isin(pairs.query, keep)], label=pairs.label[np.isin(pairs.query, keep)])
    np.testing.assert_array_equal(held_queries(some, 7), held[keep])
    assert 0.1 < held.mean() < 0.35


def test_documents_are_searched_for_a_few_queries_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many documents there are: the measures are the same, and no more scores are held than that."""
    pairs = replace(small_pairs(), doc_ids=tuple(f"D{at}" for at in range(len(small_pairs().docs))))
    model = Dssm(brief(epochs=2), 1).fit(pairs, silent)
    held = MatchingHoldout(pairs, {})
    asked: list[tuple[int, int]] = []
    logits = Shelf.logits

    def heard(shelf: Shelf, queries: Any) -> Any:
        found = logits(shelf, queries)
        asked.append(found.shape)
        return found

    monkeypatch.setattr(Shelf, "logits", heard)
    whole = MatchingFamily().evaluate(model, held)
    plain = Plain(pairs, 4000)
    naive = [measured(pairs, plain.shared, plain.all_shared), measured(pairs, plain.bm25, plain.all_bm25)]
    right = np.unique(pairs.query[pairs.label > 0.5])
    assert asked == [(len(right), len(pairs.docs))]
    asked.clear()
    monkeypatch.setattr(measuring, "AT_ONCE", 3 * len(pairs.docs) + 1)
    assert MatchingFamily().evaluate(model, held) == pytest.approx(whole, abs=1e-12)
    assert [measured(pairs, plain.shared, plain.all_shared), measured(pairs, plain.bm25, plain.all_bm25)] == naive
    assert {many for many, _ in asked[:-1]} == {3}
    assert sum(many for many, _ in asked) == len(right)
    monkeypatch.setattr(measuring, "AT_ONCE", 1)
    assert MatchingFamily().evaluate(model, held) == pytest.approx(whole, abs=1e-12)


def test_a_training_is_cancelled_and_one_that_diverges_says_so() -> None:
    def stop(step: int, of: int, *rest: Any, **more: Any) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        Dssm(brief(), 1).fit(small_pairs(), stop)
    pairs = small_pairs()
    wild = np.full((len(pairs.queries), 1), 3e38, dtype=np.float32)
    wild[::2] = -3e38
    columns = replace(pairs, queries=replace(pairs.queries, values=wild))
    columns = replace(columns, query_columns=type(pairs.query_columns)(texts=("query",), numbers=("n",)))
    assert np.isfinite(Dssm(brief(), 1).fit(columns, silent).item_vectors).all()


def test_the_state_that_serves_is_the_best_one() -> None:
    """At a pace that is too high the first states are better than the last."""
    grades: list[float] = []

    def told(step: int, of: int, metrics: Any = None, **more: Any) -> None:
        grades.append(metrics["grade"])

    model = Dssm(brief(lr=0.3, epochs=12, patience=4), 1).fit(small_pairs(), told)
    best = model.towers.about.best_epoch
    assert best == 0 or grades[best - 1] == max(grades)


def test_a_step_holds_the_right_ones_first_and_no_alternative_that_is_right_too() -> None:
    pairs = small_pairs()
    drawing = Drawing(pairs.query, pairs.doc, pairs.label, size=16, negatives=3, seed=1)
    right = {(q, d) for q, d, label in zip(pairs.query, pairs.doc, pairs.label, strict=True) if label}
    seen = 0
    for batch in drawing.batches():
        rights = len(batch.masked)
        seen += rights
        named = [(batch.queries[q], batch.docs[d]) for q, d in zip(batch.pair_query, batch.pair_doc, strict=True)]
        assert [pair in right for pair in named] == [True] * rights + [False] * (len(named) - rights)
        assert batch.label.tolist() == [1.0] * rights + [0.0] * (len(named) - rights)
        for row, (query, own) in enumerate(named[:rights]):
            others = {doc for doc, masked in zip(batch.docs, batch.masked[row], strict=True) if masked}
            assert others == {doc for doc in batch.docs if (query, doc) in right and doc != own}
        for places in batch.lists:
            assert len({batch.pair_query[place] for place in places if place >= 0}) == 1
    assert seen == len(right)
    assert drawing.steps == -(-len(right) // 16)


def test_weights_are_those_of_what_came() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(6000, 2))
    label = (random.random(6000) < 1 / (1 + np.exp(-(3 * x[:, 0] + x[:, 1] - 2)))).astype(np.float64)
    found = logistic(np.column_stack([np.ones(6000), x]), label, ridge=1e-6)
    np.testing.assert_allclose(found, [-2, 3, 1], atol=0.25)
    alone = logistic(np.ones((4, 1)), np.array([1.0, 0, 0, 0]), ridge=1e-9)
    assert alone[0] == pytest.approx(np.log(1 / 3), abs=1e-4)


# -- the shop


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items with names; U0 searched `seat` and bought the sofa after a minute and the mug after an hour."""
    folder = tmp_path_factory.mktemp("shop")
    db = open_database(sqlite_url(folder))
    names = Vocabularies.load(db)
    log = EventLog(db, names, StoppedClock(NOW))
    begin = NOW - 100 * MINUTE

    def event(number: int, user: str, kind: str, item: str | None, minute: int, said: Any = None) -> tuple[Any, ...]:
        target = "product" if item else "search"
        at = begin + minute * MINUTE
        return (
            f"e{number}",
            user,
            None,
            kind,
            target,
            item or "box",
            None,
            at,
            1.0,
            3.0,
            3.0,
            None,
            None if said is None else json.dumps(said),
        )

    rows = [
        event(1, "U0", "search", None, 0, {"query": " seat "}),
        event(2, "U1", "order", "I0", 1),
        event(3, "U0", "order", "I0", 1),
        event(4, "U0", "order", "I1", 61),
        event(5, "U1", "view", "I2", 2, {"query": "glow"}),
        event(6, "U1", "view", "I3", 3, {"query": 7}),
        *(event(10 + at, "U2", "order", f"I{at}", 5) for at in range(12)),
    ]
    assert log.append_columns(rows).result().accepted == len(rows)

    def name_items(connection: Connection) -> None:
        for at in range(12):
            name = f"{GOODS[at // 2][0][at % 2]} number {at}"
            update = schema.items.update().where(schema.items.c.item_id == f"I{at}")
            connection.execute(update.values(name=name, category="goods", attributes={"said": GOODS[at // 2][1][0]}))

    db.writer.run(name_items)
    db.close()
    return folder


def shop_data(home: Path, **params: Any) -> TrainingData:
    context = TrainingContext(
        home=home, sql_url=sqlite_url(home), source={"kind": "shop"}, now=NOW, zone="UTC", seed=7, model="dssm"
    )
    return MatchingFamily().data(context, brief(**params), silent)


def test_searches_and_names_of_the_shop_are_learned_from(home: Path) -> None:
    found = shop_data(home)
    both = [found.train, found.holdout.pairs]
    named = {(p.queries.texts[q], p.doc_ids[d]) for p in both for q, d in zip(p.query, p.doc, strict=True)}
    assert {("seat", "I0"), ("glow", "I2"), ("glow", "I3")} <= named
    assert ("seat", "I1") not in named, "an hour later it was something else"
    assert found.facts["searches"] == 3
    assert found.facts["names"] == 36
    model = Dssm(brief(), 1).fit(found.train, silent)
    assert isinstance(model, Matcher)
    assert set(model.item_ids) == {f"I{at}" for at in range(12)}
    assert MatchingFamily().evaluate(model, found.holdout)["recall@10"] > 0.5
    assert len(model.item_embedding({"name": "new sofa", "category": "goods"})) == model.output_size


def test_the_number_of_pairs_is_bounded(home: Path) -> None:
    found = shop_data(home, max_queries=10)
    assert len(found.train) + len(found.holdout.pairs) == 10


def test_a_shop_without_names_says_so(tmp_path: Path) -> None:
    open_database(sqlite_url(tmp_path)).close()
    with pytest.raises(Invalid) as refused:
        shop_data(tmp_path)
    assert refused.value.code == "no_data"
