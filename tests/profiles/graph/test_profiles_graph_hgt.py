"""The transformer beside an independent one, beside what serves, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_random import random_graph

from shopkeeper.profiles.graph.artifact import HgtModel, new_encoders
from shopkeeper.profiles.graph.attending import TensorEdges, attend
from shopkeeper.profiles.graph.blocks import whole
from shopkeeper.profiles.graph.hetero import BUCKETS, HeteroGraph
from shopkeeper.profiles.graph.hgt import HgtLayers
from shopkeeper.profiles.graph.inference import embed_states, vectors
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.sampler import Sampler
from shopkeeper.profiles.graph.weights import RelationWeights

MOMENT = 50
WIDTH, HEADS = 16, 4


def layers_of(graph: HeteroGraph, shape: Shape, seed: int = 3) -> HgtLayers:
    """With every learned number drawn anew: none is left where it does nothing."""
    made = HgtLayers(graph.schema, shape, np.random.default_rng(seed)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in made.parameters():
            each.add_(0.3 * torch.randn(each.shape, generator=generator))
    return made


def inputs_for(graph: HeteroGraph, width: int = WIDTH, seed: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, width, generator=generator) for name, n in graph.nodes.items()}


@pytest.mark.parametrize("depth", [1, 2])
def test_it_is_pygs_hgtconv_on_the_same_weights(depth: int) -> None:
    nn = pytest.importorskip("torch_geometric.nn", reason="torch-geometric, the reference, is not installed")
    graph = random_graph(1, edges=60)
    heard = sum(graph.edges[relation].degree for relation in graph.schema.into("user"))
    assert heard.min() == 0, "a user without an edge must be among them"
    shape = Shape(WIDTH, WIDTH, HEADS, depth, norm=False, timed=False)
    ours = layers_of(graph, shape)
    h = inputs_for(graph)
    with torch.no_grad():
        mine = ours(whole(graph, MOMENT, depth), h)
        # The edges in the order of the metadata: in another, HGTConv gives them each other's weights.
        types = [(r.source, r.name, r.target) for r in graph.schema.relations]
        index = {
            (r.source, r.name, r.target): torch.as_tensor(
                np.stack([graph.edges[r].source, graph.edges[r].target]).astype(np.int64)
            )
            for r in graph.schema.relations
        }
        for layer in range(depth):
            conv = nn.HGTConv(WIDTH, WIDTH, (list(graph.nodes), types), HEADS).eval()
            _copy(ours, layer, conv)
            h = conv(h, index)
    for name in graph.nodes:
        torch.testing.assert_close(mine[name], h[name], atol=1e-5, rtol=1e-5)


def _copy(ours: HgtLayers, layer: int, conv: torch.nn.Module) -> None:
    """Our numbers into an HGTConv: linear maps are transposed there, and its skip weighs what is new."""
    numbers, schema = ours.numbers, ours.schema
    for name in schema.node_types:
        at = f"{layer}.type.{name}"
        conv.kqv_lin.lins[name].weight.copy_(torch.cat([numbers[f"{at}.{w}"].T for w in ("key", "query", "value")]))
        conv.kqv_lin.lins[name].bias.copy_(torch.cat([numbers[f"{at}.{w}_shift"] for w in ("key", "query", "value")]))
        conv.out_lin.lins[name].weight.copy_(numbers[f"{at}.out"].T)
        conv.out_lin.lins[name].bias.copy_(numbers[f"{at}.out_shift"])
        conv.skip[name].fill_(-float(numbers[f"{at}.skip"]))
    for place, relation in enumerate(schema.relations):
        at = f"{layer}.relation.{relation}"
        for head in range(HEADS):
            number = head * len(schema.relations) + place
            conv.k_rel.weight[number].copy_(numbers[f"{at}.attention"][head])
            conv.v_rel.weight[number].copy_(numbers[f"{at}.message"][head])
        conv.p_rel["__".join((relation.source, relation.name, relation.target))].copy_(numbers[f"{at}.prior"][None])


@pytest.mark.parametrize("norm", [False, True])
def test_what_serves_is_what_was_trained(norm: bool) -> None:
    graph, shape = random_graph(2), Shape(WIDTH, 8, HEADS, 2, norm=norm)
    ours, h = layers_of(graph, shape), inputs_for(graph)
    encoders = new_encoders(graph.schema, {}, {}, WIDTH, np.random.default_rng(0))
    model = HgtModel.folded(graph.schema, encoders, ours.arrays(), shape, recent=1000)
    states = embed_states(model, graph, {name: each.numpy() for name, each in h.items()}, MOMENT)
    with torch.no_grad():
        last = ours(whole(graph, MOMENT, 2), h)
        served = vectors(model, states[-1])
        for name in graph.nodes:
            np.testing.assert_allclose(states[-1][name], last[name].numpy(), atol=1e-5)
        flat, offset = ours.vectors("product", last["product"], offset=True)
        np.testing.assert_allclose(served["product"][:, :-1], flat.numpy(), atol=1e-5)
        np.testing.assert_allclose(served["product"][:, -1], offset.numpy(), atol=1e-5)
    assert (served["user"][:, -1] == 1).all()
    assert served["user"].shape[1] == model.dim == 9


def test_a_sample_of_everything_says_what_the_whole_graph_says() -> None:
    graph, shape = random_graph(3), Shape(WIDTH, 8, HEADS, 2)
    ours, h = layers_of(graph, shape), inputs_for(graph)
    seeds = {"user": np.array([5, 0, 29], dtype=np.int32), "product": np.array([11, 2], dtype=np.int32)}
    blocks = Sampler(graph, (1000, 1000)).sample(seeds, MOMENT, np.random.default_rng(0))
    with torch.no_grad():
        all_nodes = ours(whole(graph.before(MOMENT), MOMENT, 2), h)
        some = ours(blocks, {name: h[name][torch.as_tensor(at.astype(np.int64))] for name, at in blocks.nodes.items()})
    for name, asked in seeds.items():
        places = torch.as_tensor(blocks.seeds[name].astype(np.int64))
        torch.testing.assert_close(some[name][places], all_nodes[name][torch.as_tensor(asked.astype(np.int64))])


def test_how_old_an_edge_is_counts_unless_it_is_not_to() -> None:
    graph = random_graph(4, times=10)
    h = inputs_for(graph)
    day = 24 * 3600 * 1_000_000
    for timed in (True, False):
        ours = layers_of(graph, Shape(WIDTH, 8, HEADS, 1, timed=timed))
        with torch.no_grad():
            now, later = (ours(whole(graph, moment, 1), h)["user"] for moment in (MOMENT, 100 * day))
        assert torch.equal(now, later) is not timed


def test_the_gradient_is_that_of_finite_differences() -> None:
    edges = TensorEdges(torch.tensor([0, 0, 2, 2, 2]), torch.tensor([1, 0, 3, 1, 1]), torch.tensor([0, 1, 2, 3, 15]))
    torch.manual_seed(0)
    shapes = ((3, 4), (4, 4), (4, 4), (BUCKETS, 4), (BUCKETS, 4))
    given = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]

    def sums(query, key, value, key_time, value_time):
        none = torch.empty(0)
        weights = RelationWeights(none, none, key_time, none, none, value_time)
        return attend(query, key, value, weights, edges, 2)

    assert torch.autograd.gradcheck(sums, given)
