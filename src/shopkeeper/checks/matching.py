"""Checks for every matching algorithm. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own pairs: goods in English and Chinese, each with names for it; a
query is right for the documents of its good, whatever words it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import EmbedsItems, EmbedsQueries, ItemVectors, RowScorer, Trainer, silent
from shopkeeper.quality.classification import auc
from shopkeeper.recommend.matching.model import Matcher
from shopkeeper.recommend.matching.pairs import Columns, Pairs, Side, distinct
from shopkeeper.recommend.matching.params import MatchingParams

GOODS = (
    (("sofa", "couch", "settee"), ("leather seat for three", "velvet seat with cushions")),
    (("mug", "cup", "beaker"), ("china drinking vessel", "tin camping vessel")),
    (("lamp", "light", "lantern"), ("brass reading glow", "paper hanging glow")),
    (("手机", "电话", "智能机"), ("五寸屏幕通讯设备", "双卡通讯设备")),
    (("雨伞", "阳伞", "折叠伞"), ("防水遮雨用品", "轻便遮雨用品")),
    (("nut", "bolt", "screw"), ("steel fastener m8", "brass fastener m6")),
)
_HOW = ("cheap {}", "{} please", "buy {} now", "my {}", "{}")


def small_pairs(seed: int = 5, noise: float = 0.0) -> Pairs:
    """Each query with the two documents of its good, and with four of others; `noise`: share of labels turned round."""
    random = np.random.default_rng(seed)
    docs = [text for _, texts in GOODS for text in texts]
    rows: list[tuple[str, int, float]] = []
    for good, (names, _) in enumerate(GOODS):
        for name in names:
            for how in _HOW:
                wrong = random.permutation([at for at in range(len(docs)) if at // 2 != good])[:4].tolist()
                rows += [(how.format(name), 2 * good + at, 1.0) for at in (0, 1)]
                rows += [(how.format(name), at, 0.0) for at in wrong]
    queries, of_query = distinct(_texts([query for query, _, _ in rows]))
    label = np.array([label for _, _, label in rows], dtype=np.float32)
    label = np.where(random.random(len(label)) < noise, 1 - label, label).astype(np.float32)
    of_doc = np.array([doc for _, doc, _ in rows], dtype=np.int64)
    ids = tuple(f"D{at}" for at in range(len(docs)))
    query_columns, doc_columns = Columns(texts=("query",)), Columns(texts=("doc",))
    return Pairs(query_columns, doc_columns, queries, _texts(docs), of_query, of_doc, label, ids)


def numeric_pairs(seed: int = 5) -> Pairs:
    """Numbers alone: three of a query, three of a document, which match where the first ones have the same sign."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(2, 60, 3)).astype(np.float32)
    values[0, 0, 1] = np.nan
    query, doc = (random.integers(0, 60, 1500) for _ in range(2))
    label = (values[0, query, 0] * values[1, doc, 0] > 0).astype(np.float32)
    columns = [Columns(numbers=tuple(f"{side}_f{at}" for at in (1, 2, 3))) for side in ("query", "doc")]
    sides = [Side(("",) * 60, each) for each in values]
    return Pairs(columns[0], columns[1], sides[0], sides[1], query, doc, label)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; its parameters extend the family's, each with a default and help."""
    assert trainer.family == "matching"
    assert trainer.description
    assert issubclass(trainer.Params, MatchingParams)
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def learns(trainer: type[Trainer]) -> None:
    """Words that no document holds find those of their good: also in ways of asking that it has not seen."""
    model, pairs = fitted(trainer), small_pairs()
    asked = [f"where is a {name}" for names, _ in GOODS for name in names]
    said = model.shelf(pairs.docs).chances(_texts(asked))
    right = np.array([[doc // 2 == at // 3 for doc in range(len(pairs.docs))] for at in range(len(asked))])
    assert auc(right.ravel().astype(np.float32), said.ravel()) > 0.8


def says_below_and_above_half(trainer: type[Trainer]) -> None:
    """Probabilities: right pairs above those that are wrong, and on either side of one half."""
    pairs = small_pairs()
    said = fitted(trainer).match(pairs.queries, pairs.docs, pairs.query, pairs.doc)
    assert ((said >= 0) & (said <= 1)).all()
    assert said[pairs.label > 0.5].mean() > 0.5 > said[pairs.label < 0.5].mean()


def gives_vectors_of_length_one(trainer: type[Trainer]) -> None:
    """Of queries and documents, known or not, of empty texts too; as wide as it says."""
    model = fitted(trainer)
    assert isinstance(model, RowScorer)
    assert isinstance(model, EmbedsQueries)
    assert isinstance(model, EmbedsItems)
    asked: tuple[Any, ...] = ("red mug", "", None, "杯子", 7)
    rows: list[dict[str, Any]] = [{}, *({"query": each} for each in asked)]
    vectors = np.array(model.score_rows(rows))
    assert vectors.shape == (len(rows), model.output_size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(model.query_embedding(rows[1]), vectors[1], atol=1e-5)
    assert len(model.item_embedding({"doc": "never seen"})) == model.output_size
    assert model.score_rows([]) == []


def names_its_documents(trainer: type[Trainer]) -> None:
    """The vectors of the documents that have names are those that their texts get anew; new ones get one too."""
    model, pairs = fitted(trainer), small_pairs()
    assert isinstance(model, ItemVectors)
    assert model.item_ids == pairs.doc_ids
    np.testing.assert_allclose(model.item_vectors, model.doc_vectors(pairs.docs), atol=1e-5)


def knows_new_documents(trainer: type[Trainer]) -> None:
    """A document that no training saw is found by what it says: whoever claims to know new items is asked."""
    if not trainer.knows_new_items:
        return
    model = fitted(trainer)
    shelf = model.shelf(_texts(["steel seat for a terrace", "paper vessel", "wooden fastener m9", "遮雨通勤用品"]))
    found = shelf.chances(_texts(["couch", "beaker", "bolt", "阳伞"])).argmax(axis=1)
    assert (found == np.arange(4)).sum() >= 3, found


def knows_new_queries(trainer: type[Trainer]) -> None:
    """So is a query that nobody asked: a word in another form, upper case, accents, signs around it."""
    if not trainer.knows_new_users:
        return
    model, pairs = fitted(trainer), small_pairs()
    best = model.shelf(pairs.docs).chances(_texts(["SOFAS!", "càmping", "灯 lamps"])).argmax(axis=1)
    assert (best // 2 == np.array([0, 1, 2])).sum() >= 2, best


def takes_numbers(trainer: type[Trainer]) -> None:
    """Columns of numbers alone, one of them missing; a text where a number belongs is Invalid, and named."""
    pairs = numeric_pairs()
    model = _fit(trainer, pairs)
    said = model.match(pairs.queries, pairs.docs, pairs.query, pairs.doc)
    assert auc(pairs.label, said) > 0.6
    assert np.isfinite(model.score_rows([{"query_f1": 1.0}, {"query_f2": None}])).all()
    wrong: tuple[Any, ...] = ("many", float("nan"), [1.0])
    for value in wrong:
        assert "query_f1" in _refusal(model, {"query_f1": value}), f"{value!r} was taken"


def refuses_what_is_no_text(trainer: type[Trainer]) -> None:
    """Lists and dicts are Invalid, and the message names the column."""
    model = fitted(trainer)
    wrong: tuple[Any, ...] = (["mug"], {"is": "mug"})
    for value in wrong:
        assert "query" in _refusal(model, {"query": value}), f"{value!r} was taken"


def reads_long_and_odd_texts(trainer: type[Trainer]) -> None:
    """A megabyte of words, signs alone, a lone half of a character: an answer each, and soon."""
    model = fitted(trainer)
    odd = ["mug " * 250_000, "x" * 1_000_000, "?!…", "\ud83d", "\x00\x00", "🦜🦜", "ｆｕｌｌ　ｗｉｄｔｈ"]
    assert np.isfinite(model.score_rows([{"query": text} for text in odd])).all()


def bears_wrong_labels(trainer: type[Trainer]) -> None:
    """A fifth of the labels turned round: still better than chance by far."""
    pairs = small_pairs()
    model = _fit(trainer, small_pairs(noise=0.2))
    assert auc(pairs.label, model.match(pairs.queries, pairs.docs, pairs.query, pairs.doc)) > 0.7


def learns_without_wrong_pairs(trainer: type[Trainer]) -> None:
    """Right pairs are enough; without one it is Invalid."""
    pairs = small_pairs()
    right = pairs.label > 0.5
    some = replace(pairs, query=pairs.query[right], doc=pairs.doc[right], label=pairs.label[right])
    said = _fit(trainer, some).match(pairs.queries, pairs.docs, pairs.query, pairs.doc)
    assert auc(pairs.label, said) > 0.7
    code = None
    try:
        _fit(trainer, replace(some, label=np.zeros_like(some.label)))
    except Invalid as error:
        code = error.code
    assert code == "no_data", code


def survives_one_pair(trainer: type[Trainer]) -> None:
    """One query, one document."""
    side = _texts(["mug"])
    one = np.zeros(1, dtype=np.int64)
    pairs = Pairs(Columns(texts=("query",)), Columns(texts=("doc",)), side, side, one, one, np.ones(1, np.float32))
    assert np.isfinite(_fit(trainer, pairs).score_rows([{"query": "mug"}])).all()


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(Matcher, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer, small_pairs()))


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Vectors asked for at the same time from several threads are those that one thread gives."""
    model = fitted(trainer)
    texts = [_texts([how.format(name) for how in _HOW]) for names, _ in GOODS for name in names]
    assert not differing_in_threads(model.query_vectors, texts)


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    learns,
    says_below_and_above_half,
    gives_vectors_of_length_one,
    names_its_documents,
    knows_new_documents,
    knows_new_queries,
    takes_numbers,
    refuses_what_is_no_text,
    reads_long_and_odd_texts,
    bears_wrong_labels,
    learns_without_wrong_pairs,
    survives_one_pair,
    loads_what_it_saved,
    same_seed_same_model,
    answers_many_threads,
)


def _texts(texts: list[str]) -> Side:
    return Side(tuple(texts), np.zeros((len(texts), 0), dtype=np.float32))


def _fit(trainer: type[Trainer], pairs: Pairs) -> Matcher:
    return cast(Matcher, trainer(brief_params(trainer), 11).fit(pairs, silent))


@cache
def fitted(trainer: type[Trainer]) -> Matcher:
    return _fit(trainer, small_pairs())


def _refusal(model: Matcher, row: dict[str, Any]) -> str:
    try:
        model.score_rows([row])
    except Invalid as error:
        return error.message
    return ""


def _same(one: Matcher, other: Matcher) -> None:
    pairs = small_pairs()
    assert one.feature_names == other.feature_names
    assert one.item_ids == other.item_ids
    np.testing.assert_allclose(one.item_vectors, other.item_vectors, atol=1e-6)
    said = [model.match(pairs.queries, pairs.docs, pairs.query, pairs.doc) for model in (one, other)]
    np.testing.assert_allclose(said[0], said[1], atol=1e-5)
