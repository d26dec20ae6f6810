"""The channel `meaning`: a search finds what is meant, whatever words are used, as soon as a model `dssm` serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recommend_world import Hand, Shelf, World, recall_models

from shopkeeper import plugins
from shopkeeper.checks.matching import GOODS
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.asking import Told
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.matching.dssm import Dssm
from shopkeeper.recommend.matching.model import Matcher
from shopkeeper.recommend.matching.pairs import Columns, Pairs, Side, distinct
from shopkeeper.recommend.matching.shop_pairs import DOC, QUERY, described
from shopkeeper.recommend.meaning import LEAST, Meanings

N = 2 * len(GOODS)


def side(texts: list[str]) -> Side:
    return Side(tuple(texts), np.zeros((len(texts), 0), dtype=np.float32))


class Named(Shelf):
    """Items 0 to 11 are named by the documents of the checks' goods, the others are things."""

    def __init__(self) -> None:
        super().__init__()
        self.names[:N] = [text for _, texts in GOODS for text in texts]


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    """Taught what the names of goods mean."""
    shelf = Named()
    rows = list(zip(shelf.names, shelf.category, shelf.attributes, strict=True))
    docs = side(list(DOC.read([described(*row) for row in rows]).texts))
    asked = [(how.format(name), 2 * good + at) for good, (names, _) in enumerate(GOODS) for name in names
             for how in ("{}", "my {}", "buy {}", "{} please") for at in (0, 1)]  # fmt: skip
    queries, of_query = distinct(side([text for text, _ in asked]))
    of_doc = np.array([doc for _, doc in asked], dtype=np.int64)
    label = np.ones(len(asked), dtype=np.float32)
    pairs = Pairs(QUERY, DOC, queries, docs, of_query, of_doc, label, tuple(shelf.ids))
    found = Dssm(plugins.read_params(Dssm, Dssm.brief), 3).fit(pairs, silent)
    assert isinstance(found, Matcher)
    return found


def world(matcher: Matcher | None) -> World:
    shelf = Named()
    models: dict[str, Any] = recall_models()
    if matcher is not None:
        models["dssm"] = matcher
    return World(models=Hand(models), shelf=shelf, told=Told(ContentIndex(shelf)))


def search(there: World, query: str, n: int = 5) -> list[Any]:
    request = RecRequest(user_id="stranger", n_recommendations=n, scenario="search", context={"query": query})
    return there.service.recommend(request).recommendations


def test_a_search_in_other_words_finds_what_is_meant(matcher: Matcher) -> None:
    found = search(world(matcher), "couch")
    assert {item.item_id for item in found[:2]} == {"I0", "I1"}
    assert "meaning" in found[0].metadata["channels"]
    assert found[0].metadata["reason"]["kind"] == "matches"


def test_without_a_model_the_search_is_as_before(matcher: Matcher) -> None:
    found = search(world(None), "couch")
    assert found
    assert all("meaning" not in item.metadata["channels"] for item in found)


def test_words_come_first(matcher: Matcher) -> None:
    """What a word is said of narrows the slate, whatever else is meant."""
    found = search(world(matcher), "lantern velvet")
    assert [item.item_id for item in found] == ["I1"]


def test_an_item_that_just_came_is_found_by_what_it_says(matcher: Matcher) -> None:
    there = world(matcher)
    shelf = there.shelf
    before = search(there, "beaker")
    assert {item.item_id for item in before[:2]} == {"I2", "I3"}
    meanings = Meanings(matcher, shelf.ids, ContentIndex(shelf).shelf)
    shelf.ids.append("N1")
    shelf.names.append("plain drinking vessel")
    shelf.category.append("g0")
    shelf.attributes.append({})
    shelf.price = np.append(shelf.price, np.float32(4))
    shelf.active = np.append(shelf.active, True)
    near = meanings.near("beaker", len(shelf.ids))
    assert near[len(shelf.ids) - 1] >= LEAST
    assert set(np.argsort(-near)[:3].tolist()) == {2, 3, len(shelf.ids) - 1}


def test_an_item_is_asked_about_before_it_is_there(matcher: Matcher) -> None:
    """A question of more items than are known, and of fewer."""
    shelf = Named()
    meanings = Meanings(matcher, shelf.ids, ContentIndex(shelf).shelf)
    assert meanings.near("mug", len(shelf.ids) + 5)[len(shelf.ids) :].tolist() == [0] * 5
    assert len(meanings.near("mug", 3)) == 3
    np.testing.assert_allclose(meanings.near("mug", 3), meanings.near("mug", 25)[:3])


def test_a_matcher_of_numbers_has_nothing_to_say_to_a_text(matcher: Matcher) -> None:
    there = world(matcher)
    other = Hand({"dssm": matcher})
    kept = matcher.query_columns
    matcher.query_columns = Columns(numbers=("query_f1",))
    try:
        there.models = other
        there.open()
        assert all("meaning" not in item.metadata["channels"] for item in search(there, "couch"))
    finally:
        matcher.query_columns = kept


def of_table(doc: Columns, named: bool = False) -> Matcher:
    """Taught by a table whose documents stand in other columns than the shop's."""
    asked = [(how.format(name), good) for good, (names, _) in enumerate(GOODS) for name in names
             for how in ("{}", "my {}", "buy {}")]  # fmt: skip
    docs = side([texts[0] for _, texts in GOODS])
    if doc.numbers:
        docs = Side(docs.texts, np.arange(len(docs), dtype=np.float32)[:, None])
    queries, of_query = distinct(side([text for text, _ in asked]))
    of_doc = np.array([place for _, place in asked], dtype=np.int64)
    ids = tuple(f"I{2 * good}" for good in range(len(GOODS))) if named else ()
    pairs = Pairs(QUERY, doc, queries, docs, of_query, of_doc, np.ones(len(asked), dtype=np.float32), ids)
    found = Dssm(plugins.read_params(Dssm, {**Dssm.brief, "epochs": 4}), 3).fit(pairs, silent)
    assert isinstance(found, Matcher)
    return found


@pytest.mark.parametrize("doc", [Columns(texts=("doc",)), Columns(texts=("name",), numbers=("doc_f1",))])
def test_a_matcher_of_other_columns_says_nothing_of_items_that_it_cannot_read(doc: Columns) -> None:
    """Read as empty texts all items would have one vector, and any search that lies near it would bring all of them."""
    model = of_table(doc)
    there = world(model)
    assert Binder(Hand({"dssm": model}), there.shelf.ids).meanings("dssm", ContentIndex(there.shelf).shelf) is None
    for text in ("couch", "beaker", "unheard"):
        assert all("meaning" not in item.metadata["channels"] for item in search(there, text))


def test_a_matcher_of_other_columns_knows_the_items_that_it_was_trained_with() -> None:
    model, shelf = of_table(Columns(texts=("doc",)), named=True), Named()
    meanings = Meanings(model, shelf.ids, ContentIndex(shelf).shelf)
    near = meanings.near("couch", len(shelf.ids))
    assert np.argmax(near) == 0
    assert near[0] >= LEAST
    known = meanings._vectors.any(axis=1)
    assert np.flatnonzero(known).tolist() == list(range(0, N, 2))


def test_an_item_of_which_nothing_is_said_is_not_meant(matcher: Matcher) -> None:
    shelf = Named()
    meanings = Meanings(matcher, shelf.ids, ContentIndex(shelf).shelf)
    shelf.ids.append("N1")
    shelf.names.append("")
    shelf.category.append(None)
    shelf.attributes.append({})
    empty = matcher.doc_vectors(side([""]))[0]
    assert empty.any()
    meanings.near("mug", len(shelf.ids))
    assert not meanings._vectors[len(shelf.ids) - 1].any()
