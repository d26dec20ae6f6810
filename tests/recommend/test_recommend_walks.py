"""Graphs, walks of second order, and skip-gram: what is drawn, and that it is the same whoever draws."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.embedding.chance import seeds_of
from shopkeeper.recommend.embedding.graph import Graph
from shopkeeper.recommend.embedding.samples import Near, noise, parts_of, samples
from shopkeeper.recommend.embedding.sequences import SequenceCorpus, Sequences
from shopkeeper.recommend.embedding.skipgram import PARTS, Plan, train
from shopkeeper.recommend.embedding.walks import WalkCorpus, walks

EDGES = [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4), (3, 4), (4, 5)]
WEIGHTS = [1.0, 2.0, 4.0, 0.5, 3.0, 1.0, 2.0]


def graph_of(edges: list[tuple[int, int]], n: int, weights: list[float] | None = None, **how: bool) -> Graph:
    source, target = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True))
    return Graph.of(n, source, target, None if weights is None else np.array(weights, dtype=np.float32), **how)


def weight_of(graph: Graph, a: int, b: int) -> float:
    """The share of an edge among those of its row; 0: there is none."""
    row = graph.nodes[graph.start[a] : graph.start[a + 1]].tolist()
    if b not in row:
        return 0.0
    if not len(graph.reach):
        return 1.0 / len(row)
    reach = np.concatenate([[0], graph.reach[graph.start[a] : graph.start[a + 1]]])
    return float(np.diff(reach)[row.index(b)])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25), (0.2, 0.2), (5.0, 3.0)])
def test_steps_are_drawn_as_p_and_q_say(weights, p, q):
    graph = graph_of(EDGES, 6, weights)
    begin = np.repeat(np.arange(6, dtype=np.int32), 2000)
    tokens, bounds = walks(graph, begin, seeds_of(3, 0, 0, len(begin)), 20, p, q)
    assert (np.diff(bounds) == 20).all()
    paths = tokens.reshape(-1, 20)
    counts = np.zeros((6, 6, 6))
    for k in range(18):
        np.add.at(counts, (paths[:, k], paths[:, k + 1], paths[:, k + 2]), 1)
    for before, at in itertools.product(range(6), range(6)):
        if counts[before, at].sum() < 3000:
            continue
        bias = [1 / p if x == before else 1.0 if weight_of(graph, before, x) else 1 / q for x in range(6)]
        wanted = np.array([weight_of(graph, at, x) * bias[x] for x in range(6)])
        n = counts[before, at].sum()
        share = wanted / wanted.sum()
        assert np.abs(counts[before, at] / n - share).max() < 5 * np.sqrt(0.25 / n), (before, at)


def test_a_walk_ends_where_no_edge_leads_on():
    graph = graph_of([(0, 1), (1, 2)], 4, directed=True)
    tokens, bounds = walks(graph, np.array([0, 2, 1, 3], dtype=np.int32), seeds_of(1, 0, 0, 4), 5, 1.0, 1.0)
    assert [tokens[a:b].tolist() for a, b in itertools.pairwise(bounds)] == [[0, 1, 2], [2], [1, 2], [3]]


def test_a_walk_hangs_on_its_own_seed_only():
    graph = graph_of(EDGES, 6)
    corpus = WalkCorpus(graph, 3, 10, 0.5, 2.0, 9)
    whole = np.concatenate([tokens for tokens, _, _ in corpus.chunks(0, 1000)])
    pieces = np.concatenate([tokens for tokens, _, _ in corpus.chunks(0, 20)])
    assert np.array_equal(whole, pieces)
    assert not np.array_equal(whole, np.concatenate([tokens for tokens, _, _ in corpus.chunks(1, 1000)]))
    assert corpus.counts().sum() == len(whole) == corpus.tokens()


def test_edges_to_oneself_lead_nowhere_and_repeated_ones_add_up():
    graph = graph_of([(0, 0), (0, 1), (0, 1), (1, 0), (0, 2)], 4, [9.0, 1.0, 1.0, 2.0, 12.0])
    assert graph.degree.tolist() == [2, 1, 1, 0]
    assert graph.reach.tolist() == [0.25, 1.0, 1.0, 1.0]
    assert graph_of([(0, 0)], 1).degree.tolist() == [0]


def test_links_count_whichever_way_an_edge_leads():
    pairs = [(0, 1), (0, 2), (1, 0), (3, 3), (4, 2)]
    one_way, both = (graph_of(pairs, 5, directed=directed) for directed in (True, False))
    assert one_way.degree.tolist() == [2, 1, 0, 0, 1]
    assert one_way.links.tolist() == both.links.tolist() == both.degree.tolist() == [2, 1, 2, 0, 1]
    assert graph_of([(0, 0)], 1).links.tolist() == [0]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_must_be_above_zero(weight):
    with pytest.raises(Invalid, match="above 0"):
        graph_of([(0, 1)], 2, [weight])


def test_others_are_drawn_by_the_power_of_their_counts():
    counts = np.array([100, 10, 1, 0, 50])
    for exponent in (-1.0, 0.0, 0.75, 1.0):
        chance, other = noise(counts, exponent)
        share = chance.astype(float)
        for small, large in enumerate(other):
            share[large] += 1 - chance[small] if large != small else 0
        wanted = np.where(counts > 0, np.maximum(counts, 1.0) ** exponent, 0)
        np.testing.assert_allclose(share / len(counts), wanted / wanted.sum(), atol=1e-6)


def test_samples_are_the_pairs_in_the_window_each_with_others_beside():
    tokens = np.array([0, 1, 2, 3, 4, 9, 8], dtype=np.int32)
    bounds = np.array([0, 5, 5, 6, 7], dtype=np.int64)
    ones = np.ones(10, dtype=np.int64)
    near = Near(2, True, 3, np.ones(10, dtype=np.float32), *noise(ones, 0.0), parts_of(ones, 2), 2)
    found = samples(tokens, bounds, seeds_of(1, 0, 0, 4), near)
    right = found.outer >= 0
    pairs = sorted(zip(found.inner[right].tolist(), found.outer[right].tolist(), strict=True))
    assert pairs == sorted((a, b) for a in range(5) for b in range(5) if 0 < abs(a - b) <= 2)
    assert 0 < (~right).sum() <= 3 * right.sum()
    outer = np.where(right, found.outer, -1 - found.outer)
    for block in range(4):
        here = slice(found.start[block], found.start[block + 1])
        assert (near.part[found.inner[here]] == block // 2).all()
        assert (near.part[outer[here]] == block % 2).all()
    assert found.start[-1] == len(found.inner)


def test_what_is_frequent_is_read_less_often():
    sequences = Sequences.of([["often"] * 50 + ["seldom"]] * 40)
    often = Near(1, True, 1, np.array([0.1, 1.0], dtype=np.float32), *noise(np.ones(2), 0), np.zeros(2, np.int32), 1)
    found = samples(sequences.tokens, sequences.bounds, seeds_of(1, 0, 0, 40), often)
    right = found.outer >= 0
    assert 0.02 * 4000 < right.sum() < 0.25 * 4000


def many(n: int = 900, seed: int = 3) -> Sequences:
    """Enough items for several parts, in thirty groups that stand together."""
    random = np.random.default_rng(seed)
    return Sequences.of(
        [f"{group}-{item}" for item in random.integers(0, n // 30, 12)] for group in random.integers(0, 30, 2500)
    )


def test_any_number_of_workers_learns_the_same_to_the_last_bit():
    sequences = many()
    assert len(sequences.ids) >= PARTS * 64
    plan = Plan(dim=20, epochs=2, window=4, negatives=3, rate=0.05, workers=1, thin=0.01)
    one = train(SequenceCorpus(sequences, 5), plan, 5, silent)
    for workers in (2, 4, 8):
        other = train(SequenceCorpus(sequences, 5), Plan(**{**plan.__dict__, "workers": workers}), 5, silent)
        assert np.array_equal(one.inner, other.inner)
        assert np.array_equal(one.outer, other.outer)
        assert one.losses == other.losses


def test_groups_are_found_with_parts_as_without():
    sequences = many()
    plan = Plan(dim=24, epochs=12, window=5, negatives=5, rate=0.05, workers=4)
    vectors = train(SequenceCorpus(sequences, 5), plan, 5, silent).inner
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    group = np.array([name.split("-")[0] for name in sequences.ids])
    like = vectors @ vectors.T
    np.fill_diagonal(like, -2)
    nearest = np.argsort(-like, axis=1)[:, :5]
    assert (group[nearest] == group[:, None]).mean() > 0.9


def test_a_step_that_is_too_large_is_told():
    sequences = Sequences.of([["a", "b", "c"]] * 20)
    plan = Plan(dim=4, epochs=200, window=2, negatives=5, rate=1e30, workers=1)
    with pytest.raises(Invalid, match="smaller learning_rate"):
        train(SequenceCorpus(sequences, 1), plan, 1, silent)


def test_sequences_of_one_item_teach_nothing():
    with pytest.raises(Invalid, match="nothing to learn"):
        train(SequenceCorpus(Sequences.of([["a"], ["b"]]), 1), Plan(4, 1, 2, 5, 0.1, 1), 1, silent)


def test_chunks_hold_every_sequence_once_and_no_more_than_they_should():
    sequences = Sequences.of([[f"i{k}"] * k for k in range(1, 30)])
    corpus = SequenceCorpus(sequences, 2)
    chunks = list(corpus.chunks(0, 40))
    assert sum(len(tokens) for tokens, _, _ in chunks) == len(sequences.tokens) - 1  # the one that stands alone
    assert all(len(tokens) <= 40 or len(bounds) == 2 for tokens, bounds, _ in chunks)
    assert [first for _, _, first in chunks] == np.cumsum([0, *(len(b) - 1 for _, b, _ in chunks)])[:-1].tolist()
    sizes = np.concatenate([np.diff(bounds) for _, bounds, _ in chunks])
    assert sorted(sizes) == list(range(2, 30))


def test_what_came_at_one_moment_has_no_order():
    moments = np.array([0, 1, 1, 1, 1, 1, 1, 2], dtype=np.int64)
    sequences = Sequences(np.arange(8, dtype=np.int32), np.array([0, 8]), moments, tuple("abcdefgh"))
    seen = {tuple(next(SequenceCorpus(sequences, 1).chunks(epoch, 100))[0].tolist()) for epoch in range(10)}
    assert len(seen) > 5
    assert {(order[0], order[-1]) for order in seen} == {(0, 7)}


def test_a_training_stops_when_asked():
    told = SimpleNamespace(times=0)

    def report(*_: object, **__: object) -> None:
        told.times += 1
        if told.times == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train(SequenceCorpus(many(), 5), Plan(8, 50, 5, 5, 0.05, 4), 5, report)
    assert told.times == 3
