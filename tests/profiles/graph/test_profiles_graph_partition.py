"""Parts: every node in one, edges inside with their times, positions in the whole graph, seed and balance obeyed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from graph_random import ORDER, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.partition import partition
from shopkeeper.profiles.graph.schema import GraphSchema, Relation


def villages(count: int = 4, users: int = 40, products: int = 10, seed: int = 0) -> HeteroGraph:
    """Customers of each village buy in it, and one of ten orders is from another."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(count * users, dtype=np.int32), 10)
    home = source // users
    strange = rng.random(len(source)) < 0.1
    village = np.where(strange, rng.integers(0, count, len(source)), home)
    target = (village * products + rng.integers(0, products, len(source))).astype(np.int32)
    nodes = {"user": count * users, "product": count * products}
    time = rng.integers(0, 1000, len(source))
    return HeteroGraph.of(GraphSchema.of(nodes, [ORDER]), nodes, {ORDER: (source, target, time)})


def triples(
    graph: HeteroGraph, relation: Relation, nodes: dict[str, np.ndarray] | None = None
) -> list[tuple[int, ...]]:
    edges = graph.edges[relation]
    source, target = edges.source, edges.target
    if nodes is not None:
        source, target = nodes[relation.source][source], nodes[relation.target][target]
    return list(zip(target.tolist(), edges.time.tolist(), source.tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), parts=st.integers(1, 6), recursive=st.booleans())
def test_a_part_has_the_nodes_edges_times_and_order_of_the_whole(seed, parts, recursive):
    graph = random_graph(seed)
    found = partition(graph, parts, recursive=recursive)
    assert found.sizes().sum() == sum(graph.nodes.values())
    inside = 0
    for number in range(parts):
        part = found.part(graph, number)
        inside += len(part.graph)
        assert part.graph.schema is graph.schema
        for node_type, nodes in part.nodes.items():
            assert nodes.tolist() == np.flatnonzero(found.of[node_type] == number).tolist()
            assert part.graph.nodes[node_type] == len(nodes)
        for relation in graph.schema.relations:
            both = [
                (target, time, source)
                for target, time, source in triples(graph, relation)
                if found.of[relation.target][target] == number and found.of[relation.source][source] == number
            ]
            assert triples(part.graph, relation, dict(part.nodes)) == both
            assert part.graph.edges[relation].n_targets == part.graph.nodes[relation.target]
    assert inside == found.inside
    assert found.total == len(graph)


@pytest.mark.parametrize("recursive", [True, False])
def test_parts_follow_what_belongs_together(recursive):
    graph = villages()
    found = partition(graph, 4, imbalance=0.05, recursive=recursive)
    by_chance = found.total / 4
    assert found.inside > 3 * by_chance
    for village in range(4):
        assert len(np.unique(found.of["user"][village * 40 : village * 40 + 40])) == 1


def test_the_same_seed_gives_the_same_parts_and_another_gives_others():
    graph = random_graph(2, users=300, products=60, edges=2000)
    one, two = (partition(graph, 4, seed=5).of["user"] for _ in range(2))
    assert one.tolist() == two.tolist()
    assert any(partition(graph, 4, seed=seed).of["user"].tolist() != one.tolist() for seed in range(6, 10))


def test_bisection_and_all_parts_at_once_are_two_ways():
    graph = random_graph(2, users=300, products=60, edges=2000)
    assert (
        partition(graph, 6, recursive=True).of["user"].tolist()
        != partition(graph, 6, recursive=False).of["user"].tolist()
    )


def test_the_imbalance_factor_is_what_a_part_may_have_more():
    graph = random_graph(4, users=900, products=99, edges=6000)

    def largest(imbalance: float, recursive: bool) -> float:
        sizes = partition(graph, 5, imbalance=imbalance, recursive=recursive).sizes()
        return float(sizes.max() / sizes.mean())

    assert largest(0.01, False) <= 1.02
    assert largest(0.0, True) <= 1.02
    assert 1.05 < largest(0.5, False) <= 1.51


def test_nodes_without_edges_find_a_place_too():
    nodes = {"user": 9, "product": 0}
    graph = HeteroGraph.of(GraphSchema.of(nodes, [ORDER]), nodes, {})
    assert partition(graph, 3).sizes().sum() == 9
    nobody = HeteroGraph.of(graph.schema, {"user": 0, "product": 0}, {})
    assert partition(nobody, 1).sizes().tolist() == [0]


def test_one_part_is_the_graph():
    graph = random_graph(8)
    part = partition(graph, 1).part(graph, 0)
    for relation in graph.schema.relations:
        assert triples(part.graph, relation) == triples(graph, relation)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("metis_num_parts", {"parts": 46}),
        ("metis_num_parts", {"parts": 0}),
        ("metis_imbalance_factor", {"imbalance": -0.1}),
        ("metis_imbalance_factor", {"imbalance": 1.5}),
        ("metis_seed", {"seed": -1}),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(field, change):
    with pytest.raises(Invalid) as caught:
        partition(random_graph(1), **({"parts": 2} | change))
    assert caught.value.field == field


def test_a_part_that_is_not_there_is_refused():
    graph = random_graph(1)
    for number in (-1, 2):
        with pytest.raises(Invalid, match="from 0"):
            partition(graph, 2).part(graph, number)


def test_without_pymetis_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(Unavailable, match=r"shopkeeper\[deep\]"):
        partition(random_graph(1), 2)


def test_when_metis_gives_up_the_error_says_what_else_there_is(monkeypatch):
    def gives_up(*_args, **_options):
        raise RuntimeError("Caught an unknown exception!")

    monkeypatch.setattr("pymetis.part_graph", gives_up)
    with pytest.raises(Unavailable, match="METIS gave up on 2 parts"):
        partition(random_graph(1), 2)
