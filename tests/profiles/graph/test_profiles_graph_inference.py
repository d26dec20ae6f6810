"""The layers in numpy, against the formula written out edge by edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graph_world import NOW, TYPES, WIDTH, RandomModel, events, random_model, things

from shopkeeper.profiles.graph import inference
from shopkeeper.profiles.graph.build import ShopGraph, build
from shopkeeper.profiles.graph.hetero import Edges, HeteroGraph, age_buckets
from shopkeeper.profiles.graph.inference import embed_all, embed_states, layer_of
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT, Floats, Layer


def _graph(n: int = 150, seed: int = 0) -> ShopGraph:
    return build(events(seed, n), n_users=10, things=things(), types=TYPES)


def _inputs(graph: HeteroGraph, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(n, WIDTH)).astype(np.float32) for name, n in graph.nodes.items()}


def _by_hand(layer: Layer, graph: HeteroGraph, below: dict[str, Floats], node_type: str, node: int) -> Floats:
    """One node's next h by the formula of weights.py, in double precision, edge after edge."""
    weights = layer.types[node_type]
    own = below[node_type][node].astype(np.float64)
    query = own @ weights.query_w + weights.query_b
    width = len(query) // layer.heads
    top, bottom = np.zeros((layer.heads, width)), np.zeros(layer.heads)
    for relation, w in layer.relations.items():
        if relation.target != node_type or relation not in graph.edges:
            continue
        edges = graph.edges[relation]
        for at in range(edges.indptr[node], edges.indptr[node + 1]):
            bucket = age_buckets(edges.time[at : at + 1], NOW)[0]
            source = below[relation.source][edges.source[at]].astype(np.float64)
            key = source @ w.key_w + w.key_b + w.key_time[bucket]
            value = source @ w.value_w + w.value_b + w.value_time[bucket]
            for head in range(layer.heads):
                part = slice(head * width, (head + 1) * width)
                attention = math.exp(min(max(float(query[part] @ key[part]), -LOGIT_LIMIT), LOGIT_LIMIT))
                top[head] += attention * value[part]
                bottom[head] += attention
    heard = np.concatenate([top[h] / bottom[h] if bottom[h] else top[h] for h in range(layer.heads)])
    active = np.array([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in heard])
    out = active @ weights.out_w + weights.out_b
    if weights.keep:
        out = out + weights.keep * own
    if weights.norm is not None:
        out = (out - out.mean()) / np.sqrt(out.var() + 1e-5) * weights.norm[0] + weights.norm[1]
    return out.astype(np.float32)


def test_layers_are_the_formula_of_every_edge() -> None:
    graph, model = _graph().graph, random_model(recent=5)
    inputs = _inputs(graph)
    states = embed_states(model, graph, inputs, NOW)
    read = graph.newest(5)
    for number, layer in enumerate(model.layers):
        for name, n in graph.nodes.items():
            expected = np.stack([_by_hand(layer, read, states[number], name, node) for node in range(n)])
            np.testing.assert_allclose(states[number + 1][name], expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("block", [7, 10**6])
def test_the_size_of_a_step_and_how_sums_are_made_change_nothing(
    monkeypatch: pytest.MonkeyPatch, few: int, block: int
) -> None:
    graph, model = _graph(400).graph, random_model(recent=20)
    inputs = _inputs(graph)
    before = embed_all(model, graph, inputs, NOW)
    monkeypatch.setattr(inference, "_FEW", few)
    monkeypatch.setattr(inference, "_BLOCK", block)
    after = embed_all(model, graph, inputs, NOW)
    for name, found in before.items():
        np.testing.assert_allclose(after[name], found, rtol=1e-4, atol=1e-5)


def test_some_nodes_get_what_they_get_among_all() -> None:
    graph, model = _graph().graph, random_model(recent=100)
    inputs = _inputs(graph)
    whole = embed_states(model, graph, inputs, NOW)
    for name, nodes in ((USER, [7, 2, 2]), ("product", [0, 5])):
        chosen = np.array(nodes, dtype=np.int64)

        def into(relation, asked):  # type: ignore[no-untyped-def]
            edges = graph.edges[relation]
            pairs = [(j, at) for j, node in enumerate(asked) for at in range(*edges.indptr[node : node + 2])]
            target = np.array([j for j, _ in pairs], dtype=np.int32)
            at = np.array([at for _, at in pairs], dtype=np.int64)
            return Edges.of(target, edges.source[at], edges.time[at], len(asked))

        some = layer_of(model.layers[0], name, chosen, inputs, into, NOW)
        np.testing.assert_allclose(some, whole[1][name][chosen], rtol=1e-4, atol=1e-5)


def test_vectors_have_length_one_and_the_place_of_the_offset() -> None:
    graph, model = _graph().graph, random_model()
    found = embed_all(model, graph, _inputs(graph), NOW)
    assert set(found) == {USER, "product", "app"}
    for name, flat in found.items():
        assert flat.shape == (graph.nodes[name], model.dim)
        assert flat.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(flat[:, :-1], axis=1), 1, rtol=1e-5)
    assert (found[USER][:, -1] == 1).all()
    assert np.std(found["product"][:, -1]) > 0


def test_the_reference_moment_makes_edges_old() -> None:
    graph, model = _graph().graph, random_model()
    inputs = _inputs(graph)
    now, later = (embed_all(model, graph, inputs, moment)[USER] for moment in (NOW, NOW + 10**14))
    assert np.abs(now - later).max() > 1e-3


def test_an_empty_graph_and_nodes_alone_have_vectors_of_what_they_are() -> None:
    model = random_model()
    nothing = events(0, 0)
    graph = build(nothing, n_users=3, things=things(0), types=TYPES).graph
    assert graph.nodes == {USER: 3}
    found = embed_all(model, graph, _inputs(graph), NOW)[USER]
    assert np.isfinite(found).all()
    assert found.shape == (3, model.dim)
    none = build(nothing, n_users=0, things=things(0), types=TYPES).graph
    assert embed_all(model, none, _inputs(none), NOW)[USER].shape == (0, model.dim)


def test_relations_and_types_that_the_model_does_not_know_are_not_read() -> None:
    graph = _graph().graph
    relations = [r for r in graph.schema.forward if r.name == "view" and r.target == "product"]
    model = random_model(schema=GraphSchema.of((USER, "product"), relations))
    inputs = _inputs(graph)
    whole = embed_all(model, graph, inputs, NOW)
    kept = {r: e for r, e in graph.edges.items() if r in model.schema.relations}
    less = HeteroGraph(graph.schema, graph.nodes, kept)
    alone = embed_all(model, less, {name: inputs[name] for name in (USER, "product")}, NOW)
    for name in (USER, "product"):
        np.testing.assert_array_equal(whole[name], alone[name])
    assert "app" not in whole


def test_extreme_weights_stay_finite() -> None:
    graph, model = _graph().graph, random_model()
    inputs = {name: h * 1e4 for name, h in _inputs(graph).items()}
    for flat in embed_all(model, graph, inputs, NOW).values():
        assert np.isfinite(flat).all()


def test_the_world_of_these_tests_reads_attributes() -> None:
    model = RandomModel()
    table = NodeTable(2, numbers={"age": np.array([np.nan, 50.0])}, words={"plan": [None, "gold"]})
    assert model.inputs(USER, [], table)[:, :2].tolist() == [[0, 0], [1, np.float32(0.8)]]
    assert model.inputs(CATEGORY, [], NodeTable(1))[0, 0] == 1
