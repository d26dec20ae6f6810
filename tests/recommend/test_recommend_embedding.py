"""Every algorithm of the family keeps what its suite asks."""

import numpy as np
import pytest
from recommend_world import NOW, Hand

from shopkeeper import plugins
from shopkeeper.checks import embedding
from shopkeeper.core.protocols import silent
from shopkeeper.lifecycle.views import seen
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.embedding.item2vec import Item2Vec
from shopkeeper.recommend.embedding.nodes import NodeEmbedding
from shopkeeper.recommend.history import given_items

NAMES = ("item2vec", "node2vec", "word2vec")


@pytest.mark.parametrize("check", embedding.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_passes(name, check):
    check(plugins.algorithm(name))


def test_all_of_the_family_are_here():
    found = [name for name in plugins.names("algorithm") if plugins.describe(name).task == "embedding"]
    assert found == list(NAMES)
    assert len(embedding.CHECKS) == 11


def test_item2vec_is_a_channel_under_its_name():
    model = Item2Vec(Item2Vec.Params(**Item2Vec.brief), 3).fit(embedding.small_rows(), silent)
    shop = [f"i{at}" for at in range(24)] + ["new in the shop"]
    channel, _ = Binder(Hand({"item2vec": model}), shop).channel("item2vec")
    history = given_items(np.array([0, 1, 24], dtype=np.int32))
    scores = channel.scores(history, NOW, 25)
    assert scores[24] == 0
    assert set(np.argsort(-scores)[:8].tolist()) == set(range(8))
    assert channel.because(history, np.array([2, 24], dtype=np.int32)).tolist()[1] == -1


def test_rows_of_a_large_graph_are_left_to_a_thread():
    def graph(items: int) -> NodeEmbedding:
        vectors = np.ones((items, 64), dtype=np.float32)
        ids, nobody = tuple(f"i{at}" for at in range(items)), np.zeros(0, dtype=np.int32)
        return NodeEmbedding((), vectors[:0], ids, vectors, vectors, np.zeros(1, dtype=np.int64), nobody)

    assert seen(graph(100), "recall", "node2vec").loop_rows > 0
    assert seen(graph(100_000), "recall", "node2vec").loop_rows == 0
