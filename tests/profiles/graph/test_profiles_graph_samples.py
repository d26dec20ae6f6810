"""The torch layers say of the seeds of a sample what they say of them in the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_random import random_graph

from shopkeeper.profiles.graph.blocks import whole
from shopkeeper.profiles.graph.hgt import HgtLayers
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.sampler import Sampler

SHAPE = Shape(width=8, out=8, heads=2, layers=2)


@pytest.mark.parametrize("asked", [("user",), ("user", "product"), ("category",)])
def test_a_sample_with_everything_that_is_read_is_the_whole_graph(asked):
    graph, recent, moment = random_graph(5, edges=400), 4, 40
    layers = HgtLayers(graph.schema, SHAPE, np.random.default_rng(1))
    torch.manual_seed(0)
    h = {name: torch.randn(n, SHAPE.width) for name, n in graph.nodes.items()}
    seeds = {name: np.arange(graph.nodes[name], dtype=np.int32)[::-2] for name in asked}
    blocks = Sampler(graph, [recent, recent]).sample(seeds, moment, np.random.default_rng(0))
    with torch.no_grad():
        all_of_them = layers(whole(graph.before(moment).newest(recent), moment, 2), h)
        some = layers(blocks, {name: h[name][torch.from_numpy(at).long()] for name, at in blocks.nodes.items()})
    for name, nodes in seeds.items():
        mine = some[name][torch.from_numpy(blocks.seeds[name]).long()]
        torch.testing.assert_close(mine, all_of_them[name][torch.from_numpy(nodes.copy()).long()])
