"""Targets and measures: no target is a message, ties count half, known links are not foreseen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from graph_random import CALL, IN, ORDER, random_graph

from shopkeeper.core.errors import Conflict
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.measures import HALF_LIFE, by_relation, measure, naive, negatives, popularity
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.targets import candidates, cutoffs, split_at, target_relations, window

RETURN = Relation("user", "return", "product")


def pairs_between(graph: HeteroGraph, moment: int, end: int) -> set[tuple[int, int]]:
    edges = graph.edges[ORDER.reverse]
    rows = zip(edges.target.tolist(), edges.source.tolist(), edges.time.tolist(), strict=True)
    return {(user, item) for user, item, time in rows if moment <= time < end}


def graph_of(links: list[tuple[int, int, int]], users: int = 4, products: int = 5) -> HeteroGraph:
    """Of `(user, product, time)`."""
    user, item, time = (np.array(column) for column in zip(*links, strict=True))
    nodes = {"user": users, "product": products}
    ends = (user.astype(np.int32), item.astype(np.int32), time.astype(np.int64))
    return HeteroGraph.of(GraphSchema.of(nodes, [ORDER]), nodes, {ORDER: ends})


def test_links_to_items_are_foreseen_and_calls_categories_and_returns_are_not() -> None:
    schema = GraphSchema.of(("user", "product", "category"), [ORDER, CALL, IN, RETURN])
    assert target_relations(schema) == (ORDER,)


@pytest.mark.parametrize("seed", range(5))
def test_no_target_is_a_message_and_none_is_lost(seed: int) -> None:
    graph = random_graph(seed)
    split = split_at(graph, 0.8, 0.1)
    spans = cutoffs(graph, split.train_end, 4)
    assert len(spans) > 1
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert spans[-1][1] == split.train_end
    for moment, end in [*spans, (split.train_end, split.until), (split.until, split.end)]:
        found, before = window(graph, moment, end), graph.before(moment)
        links = found.links[ORDER]
        told = set(zip(links.user.tolist(), links.item.tolist(), strict=True))
        assert told == pairs_between(graph, moment, end)
        known = pairs_between(before, -1, moment)
        assert {pair for pair, fresh in zip(sorted(told), links.new, strict=True) if fresh} == told - known
        assert all((edges.time < moment).all() for edges in before.edges.values())


def test_too_few_links_are_said_to_be_too_few() -> None:
    with pytest.raises(Conflict, match="3 dated links"):
        split_at(graph_of([(0, 0, 1), (0, 1, 2), (1, 0, 3)]), 0.8, 0.1)
    with pytest.raises(Conflict, match="too few"):
        split_at(graph_of([(at % 4, at % 5, 7) for at in range(40)]), 0.8, 0.1)


def test_what_a_batch_chooses_among_is_corrected_by_how_often_it_was_expected() -> None:
    random = np.random.default_rng(0)
    popularity_ = np.array([50.0, 5.0, 1.0, 0.0, 0.0])
    items = np.array([0] * 50 + [1] * 5 + [2], dtype=np.int32)
    chosen, expected = candidates(items, popularity_, 0, random)
    assert chosen.tolist() == [0, 1, 2]
    assert (np.diff(expected) < 0).all()
    np.testing.assert_allclose(np.exp(expected), 1 - np.exp(-np.array([50.0, 5.0, 1.0])), rtol=1e-5)
    chosen, expected = candidates(items, popularity_, 1000, random)
    assert chosen.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(expected, 0, atol=1e-6)


def test_ties_count_half_and_popularity_is_measured_as_it_is() -> None:
    graph = graph_of([(0, 0, 1), (1, 0, 2), (2, 1, 3), (0, 2, 10), (3, 0, 11), (1, 1, 12)])
    later = window(graph, 10, 20)
    before = graph.before(10)
    flat = {name: np.ones((n, 1), dtype=np.float32) for name, n in graph.nodes.items()}
    assert measure(flat, before, later)["auc"] == 0.5
    found = measure(popularity(before), before, later)
    # user 3 takes the most popular, user 1 the second of what is new, user 0 one of those that nobody took
    assert found["recall@20"] == 1.0
    assert found["users"] == 3
    assert 0.5 < found["auc"] <= 1
    assert by_relation(found) == {
        str(ORDER): {part: found[f"{part} {ORDER}"] for part in ("auc", "pos_mean", "neg_mean")}
    }


def test_what_everybody_is_shown_was_taken_most_ever_or_lately() -> None:
    now = 10 * HALF_LIFE
    old, young = [(at % 4, 0, at) for at in range(9)], [(at, 1, now - 1 - at) for at in range(2)]
    graph = graph_of([*old, *young, (3, 1, now)], products=30)
    before, later = graph.before(now), window(graph, now, now + 1)
    ever, lately = popularity(before)["product"][:, 0], popularity(before, now)["product"][:, 0]
    assert ever[:3].tolist() == [9, 2, 0]
    np.testing.assert_allclose(lately[:3], [9 / 1024, 2, 0], rtol=1e-3)
    found = naive(before, later)
    assert found["lately_auc"] == 1.0
    assert found["naive_auc"] == 1.0
    assert found["naive_pos_mean user / order / product"] == 2.0
    assert found["naive_recall@20"] == found["lately_recall@20"] == 1.0


def test_a_window_of_some_users() -> None:
    graph = graph_of([(0, 0, 1), (0, 1, 10), (1, 2, 11), (2, 0, 12)])
    some = window(graph, 10, 20).of(np.array([True, False, True, False]))
    assert len(some) == 2
    assert some.by_kind["product"].user.tolist() == [0, 2]
    assert some.links[ORDER].item.tolist() == [1, 0]
    assert (some.moment, some.end) == (10, 20)


def test_a_known_link_that_comes_again_is_no_foresight() -> None:
    graph = graph_of([(0, 0, 1), (0, 0, 10), (1, 1, 2)])
    found = measure(popularity(graph.before(10)), graph.before(10), window(graph, 10, 20))
    assert np.isnan(found["auc"])
    assert np.isnan(found["recall@20"])
    assert found["users"] == 0


def test_what_a_user_has_is_not_shown_again() -> None:
    graph = graph_of([(0, item, 1) for item in range(30)] + [(0, 30, 10)], products=60)
    vectors = {"user": np.ones((4, 1), np.float32), "product": -np.arange(60, dtype=np.float32)[:, None]}
    found = measure(vectors, graph.before(10), window(graph, 10, 20))
    assert found["recall@20"] == 1.0
    assert found["ndcg@10"] == 1.0


def test_negatives_are_pairs_that_never_came_and_there_may_be_none() -> None:
    random, n = np.random.default_rng(0), 6
    user = np.repeat(np.arange(4, dtype=np.int32), 50)
    taken = np.array([0, 1, 2, n + 5, *range(2 * n, 3 * n)])
    wrong = negatives(user, taken, n, random)
    assert set(wrong[user == 0].tolist()) == {3, 4, 5}
    assert (wrong[user == 1] != 5).all()
    assert (wrong[user == 2] == -1).all(), "who has taken everything"
    assert set(wrong[user == 3].tolist()) == set(range(n))
    # all but one of many: drawing alone would hardly find it
    assert negatives(np.zeros(9, dtype=np.int32), np.arange(4999), 5000, random).tolist() == [4999] * 9


def test_what_a_user_had_before_is_nobodys_negative() -> None:
    """A user who has taken all products but one of two: the other one is all that the new link is told from."""
    products = 12
    graph = graph_of([(0, item, 1) for item in range(products - 2)] + [(0, products - 2, 10)], products=products)
    scores = np.where(np.arange(products) == products - 1, -1.0, 5.0)
    scores[products - 2] = 0.0
    vectors = {"user": np.ones((4, 1), np.float32), "product": scores.astype(np.float32)[:, None]}
    found = measure(vectors, graph.before(10), window(graph, 10, 20))
    assert found["auc"] == 1.0
    assert found[f"neg_mean {ORDER}"] == -1.0


def test_links_of_who_has_taken_everything_are_not_measured_against_anything() -> None:
    graph = graph_of([(0, 0, 1), (0, 1, 10), (1, 0, 11)], products=2)
    found = measure(popularity(graph.before(10)), graph.before(10), window(graph, 10, 20))
    assert found["auc"] == 1.0, "user 1 alone is left"
    alone = measure(popularity(graph.before(10)), graph.before(10), window(graph, 10, 11))
    assert np.isnan(alone["auc"])
    assert alone["recall@20"] == 1.0


def test_many_items_are_ranked_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(
        [(user, user % 7, 1 + user % 3) for user in range(4)] + [(u, 8 + u, 10) for u in range(4)], products=12
    )
    vectors = {name: np.random.default_rng(3).random((n, 3)).astype(np.float32) for name, n in graph.nodes.items()}
    before, later = graph.before(10), window(graph, 10, 20)
    whole = measure(vectors, before, later)
    monkeypatch.setattr("shopkeeper.profiles.graph.measures._SCORES", 1)
    assert measure(vectors, before, later) == whole
