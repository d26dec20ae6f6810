"""Samples: only real and older edges, none twice, at most so many, evenly drawn, and the same as the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
from graph_random import CALL, ORDER, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph import sampler as sampling
from shopkeeper.profiles.graph.blocks import Blocks, whole
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph, age_buckets
from shopkeeper.profiles.graph.sampler import Sampler, drawn, older
from shopkeeper.profiles.graph.schema import GraphSchema

RNG = np.random.default_rng(0)
LATE = 1_000


def told(blocks: Blocks, number: int) -> dict[tuple[str, int, int], set[tuple[str, int, int, int]]]:
    """What a layer reads: of each (type, node, moment) the (relation, source node, source moment, bucket) into it,
    with how often."""
    found: dict[tuple[str, int, int], list[tuple[str, int, int, int]]] = {}
    for relation, block in blocks.layer(number).items():
        into, out = blocks.nodes[relation.target], blocks.nodes[relation.source]
        then, when = blocks.moments[relation.target], blocks.moments[relation.source]
        for target, source, bucket in zip(block.target, block.source, block.bucket, strict=True):
            key = (relation.target, int(into[target]), int(then[target]))
            found.setdefault(key, []).append((str(relation), int(out[source]), int(when[source]), int(bucket)))
    return {key: sorted(each) for key, each in found.items()}  # type: ignore[misc]


def expected(graph: HeteroGraph, key: tuple[str, int, int], most: int) -> list[tuple[str, int, int, int]]:
    """The same, edge by edge: the newest of each relation before the moment."""
    node_type, node, moment = key
    found = []
    for relation in graph.schema.into(node_type):
        edges = graph.edges[relation]
        span = range(edges.indptr[node], edges.indptr[node + 1])
        past = [j for j in span if edges.time[j] < moment][-most:]
        for j in past:
            bucket = int(age_buckets(edges.time[j : j + 1], moment)[0])
            found.append((str(relation), int(edges.source[j]), moment, bucket))
    return sorted(found)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    fanouts=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    moments=st.lists(st.integers(-1, 60), min_size=1, max_size=4),
    table=st.booleans(),
)
def test_each_node_reads_the_newest_edges_before_its_own_moment(seed, fanouts, moments, table):
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    seeds = {"user": rng.integers(0, 30, 8, dtype=np.int32), "product": rng.integers(0, 12, 3, dtype=np.int32)}
    times = {node_type: rng.choice(moments, len(nodes)) for node_type, nodes in seeds.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_TABLE", 2**24 if table else 0)
        blocks = Sampler(graph, fanouts).sample(seeds, times, RNG)
    assert blocks.layers == len(fanouts)
    for node_type, nodes in seeds.items():
        at = blocks.seeds[node_type]
        assert blocks.nodes[node_type][at].tolist() == nodes.tolist()
        assert blocks.moments[node_type][at].tolist() == times[node_type].tolist()
        pairs = list(zip(blocks.nodes[node_type].tolist(), blocks.moments[node_type].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
    for number in range(blocks.layers):
        read = told(blocks, number)
        for node_type, count in blocks.counts[number + 1].items():
            for place in range(count):
                # reached over `hops` edges first: that hop's fan-out holds
                hops = next(h for h in range(len(fanouts)) if place < blocks.counts[len(fanouts) - h][node_type])
                key = (node_type, int(blocks.nodes[node_type][place]), int(blocks.moments[node_type][place]))
                assert read.get(key, []) == expected(graph, key, fanouts[hops])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), fanout=st.integers(1, 9), moment=st.integers(0, 60))
def test_drawn_edges_are_real_older_and_none_is_taken_twice(seed, fanout, moment):
    graph = random_graph(seed, edges=300)
    everyone = {"user": np.arange(30, dtype=np.int32)}
    blocks = Sampler(graph, [fanout], newest=False).sample(everyone, moment, np.random.default_rng(seed))
    read = told(blocks, 0)
    for node in range(30):
        key = ("user", node, moment)
        past = expected(graph, key, LATE)
        for relation in graph.schema.into("user"):
            mine = [edge for edge in read.get(key, []) if edge[0] == str(relation)]
            possible = [edge for edge in past if edge[0] == str(relation)]
            assert len(mine) == min(fanout, len(possible))
            for edge in set(mine):
                assert mine.count(edge) <= possible.count(edge)


def test_edges_lie_by_target_and_layers_are_slices_of_them():
    blocks = Sampler(random_graph(3), [4, 3], newest=False).sample({"user": np.arange(5, dtype=np.int32)}, LATE, RNG)
    for relation in blocks.edges:
        for number in (0, 1):
            block = blocks.layer(number).get(relation)
            if block is None:
                continue
            assert (np.diff(block.target) >= 0).all()
            assert block.target.max() < blocks.counts[number + 1][relation.target]
            assert block.source.max() < blocks.counts[number][relation.source]
    assert len(blocks) == sum(len(block) for number in (0, 1) for block in blocks.layer(number).values())


def test_each_edge_of_a_hub_is_drawn_as_often_as_another():
    start, end = np.zeros(20_000, dtype=np.int64), np.full(20_000, 12)
    picked = drawn(start, end, 5, np.random.default_rng(1))
    counts = np.bincount(picked, minlength=12) / 20_000
    assert counts == pytest.approx(np.full(12, 5 / 12), abs=0.02)
    assert (np.diff(picked.reshape(-1, 5), axis=1) > 0).all()


def test_spans_that_are_short_are_taken_whole():
    start, end = np.array([4, 7, 7, 20]), np.array([7, 7, 9, 120])
    picked = drawn(start, end, 3, np.random.default_rng(0))
    assert picked[:5].tolist() == [4, 5, 6, 7, 8]
    assert len(picked) == 8
    assert ((picked[5:] >= 20) & (picked[5:] < 120)).all()


def test_what_is_of_the_moment_itself_is_not_older():
    edges = random_graph(5, edges=2000, times=9).edges[ORDER.reverse]
    node = np.repeat(np.arange(30), 11)
    moment = np.tile(np.arange(-1, 10), 30)
    by_hand = [
        edges.indptr[n] + np.count_nonzero(edges.time[edges.indptr[n] : edges.indptr[n + 1]] < m)
        for n, m in zip(node, moment, strict=True)
    ]
    assert older(edges, node, moment).tolist() == by_hand


def test_with_everything_read_the_sample_has_the_edges_of_the_whole_graph():
    graph, moment = random_graph(7), 30
    everyone = {node_type: np.arange(n, dtype=np.int32) for node_type, n in graph.nodes.items()}
    sample = Sampler(graph, [3, 3]).sample(everyone, moment, RNG)
    full = whole(graph.before(moment).newest(3), moment, 2)
    assert sample.counts == full.counts
    for number in (0, 1):
        assert told(sample, number) == told(full, number)


def test_the_same_draws_give_the_same_sample():
    graph, seeds = random_graph(11), {"product": np.array([0, 3], dtype=np.int32)}
    one, two, other = (
        Sampler(graph, [2, 2], newest=False).sample(seeds, LATE, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert told(one, 0) == told(two, 0)
    assert told(one, 0) != told(other, 0)


def test_nothing_is_asked_for_and_nothing_stands_there():
    graph = random_graph(1)
    blocks = Sampler(graph, [2, 2]).sample({"user": np.empty(0, dtype=np.int32)}, LATE, RNG)
    assert len(blocks) == 0
    assert blocks.counts[0] == {"user": 0, "product": 0, "category": 0}
    nobody = {"user": 2, "product": 0, "category": 0}
    empty = HeteroGraph.of(GraphSchema.of(nobody, [ORDER, CALL]), nobody, {})
    blocks = Sampler(empty, [2]).sample({"user": np.array([1, 1], dtype=np.int32)}, NO_TIME, RNG)
    assert blocks.seeds["user"].tolist() == [0, 0]
    assert blocks.layer(0) == {}


@pytest.mark.parametrize("fanouts", [[], [0], [3, -1]])
def test_a_fanout_is_a_number_from_1(fanouts):
    with pytest.raises(Invalid, match="fan-outs"):
        Sampler(random_graph(1), fanouts)


@pytest.mark.parametrize(("node_type", "node"), [("user", 30), ("user", -1), ("shop", 0)])
def test_a_seed_is_a_node_of_the_graph(node_type, node):
    with pytest.raises(Invalid, match="a seed is none of them"):
        Sampler(random_graph(1), [2]).sample({node_type: np.array([node], dtype=np.int32)}, LATE, RNG)
