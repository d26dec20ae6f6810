"""`space:NAME` of a model with vectors of items alone: by an index or by all of them, and always of one version."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from recommend_world import NOW, Hand, Held, Shelf, version

from shopkeeper.learning import vector_index
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.recommend import nearest
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.history import given_items


class Vectors:
    """Vectors of the shelf's items and of one that the shop has not."""

    feature_names = ()

    def __init__(self, sign: float = 1.0, *, stretched: bool = False) -> None:
        drawn = np.random.default_rng(5).normal(size=(26, 8))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        self.item_vectors = (sign * drawn * (np.arange(1, 27)[:, None] if stretched else 1)).astype(np.float32)
        self.item_ids = ("gone", *Shelf().ids)


class Indexed(Vectors):
    """The same with lists over them."""

    def __init__(self, metric: Any = "cosine", **more: Any) -> None:
        super().__init__(**more)
        self.index = VectorIndex.build(self.item_vectors, metric, exact=1)


def scores(model: Any, *taken: int) -> Any:
    hand = Hand({"item2vec": model})
    hand.held["item2vec"].item_index = getattr(model, "index", None)  # type: ignore[attr-defined]
    found = Binder(hand, Shelf().ids).vectors("item2vec")
    assert found is not None
    return found[0].scores(given_items(np.array(taken, dtype=np.int32)), NOW, 25)


def test_nearest_to_what_was_taken_comes_first() -> None:
    model = Vectors()
    found = scores(model, 4)
    truth = model.item_vectors[1:] @ model.item_vectors[5]
    assert found == pytest.approx(np.maximum(truth, 0), abs=1e-6)
    assert int(found.argmax()) == 4
    assert scores(Vectors(stretched=True), 4) == pytest.approx(found, abs=1e-6)
    assert not scores(model).any()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists also over so few vectors, of which the five nearest are asked for."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_index, "LEAST_RECALL", 0.0)
    monkeypatch.setattr(nearest, "MOST", 5)


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_an_index_names_the_same(metric: Any, few: None) -> None:
    model = Indexed(metric)
    assert model.index.facts.kind == "ivf"
    found = scores(model, 4)
    assert int(found.argmax()) == 4
    all_of_them = scores(Vectors(), 4)
    named = found > 0
    assert 2 <= named.sum() <= 5
    assert found[named] == pytest.approx(all_of_them[named], abs=1e-5)


def test_an_index_that_ranks_otherwise_is_not_asked(few: None) -> None:
    model = Indexed("ip", stretched=True)
    assert model.index.facts.kind == "ivf"
    found = scores(model, 4)
    assert found == pytest.approx(scores(Vectors(), 4), abs=1e-5)


def test_a_model_without_vectors_is_no_space() -> None:
    binder = Binder(Hand({"plain": object()}), Shelf().ids)
    assert binder.vectors("plain") is None
    assert binder.vectors("nobody") is None


def test_whoever_asks_while_another_version_takes_over_gets_one_of_the_two_whole() -> None:
    hand = Hand({"item2vec": Vectors()})
    new = Held(version("item2vec", 2), Vectors(-1.0, stretched=True))
    binder = Binder(hand, Shelf().ids)
    one, other = (Binder(Hand({"m": model}), Shelf().ids).vectors("m") for model in (Vectors(), new.model))
    assert one is not None
    assert other is not None
    asked = given_items(np.array([3], dtype=np.int32))
    expected = {1: one[0].scores(asked, NOW, 25), 2: other[0].scores(asked, NOW, 25)}
    begun = threading.Event()

    def take_over() -> None:
        begun.wait(10)
        hand.held["item2vec"] = new

    thread = threading.Thread(target=take_over)
    thread.start()
    seen = set()
    for turn in range(100_000):
        found = binder.vectors("item2vec")
        assert found is not None
        np.testing.assert_array_equal(found[0].scores(asked, NOW, 25), expected[found[1].version])
        seen.add(found[1].version)
        if turn == 10:
            begun.set()
        if 2 in seen:
            break
    thread.join()
    assert seen == {1, 2}
