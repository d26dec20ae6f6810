"""One model around each kind of layer: the graph model's own, PyG's HGTConv and PyG's GATConv.

Only what a node hears from its neighbours differs. The residual, the norm and the dropout stand outside of the layers
and are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import dropout
from torch_geometric.nn import GATConv, HGTConv

from shopkeeper.profiles.graph.blocks import whole
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.hgt import HgtLayers, edges_of
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema, Relation

WIDTH, HEADS, LAYERS = 32, 4, 2
Ends = Mapping[Relation, tuple[NDArray[np.int64], NDArray[np.int64]]]


def graph_of(nodes: Mapping[str, int], ends: Ends) -> HeteroGraph:
    """Of edges without a time; the reverse ones are added."""
    forward = {
        relation: (source.astype(np.int32), target.astype(np.int32), np.full(len(source), NO_TIME))
        for relation, (source, target) in ends.items()
    }
    return HeteroGraph.of(GraphSchema.of(nodes, ends), nodes, forward)


class Ours(torch.nn.Module):
    name: ClassVar = "Shopkeeper"

    def __init__(self, graph: HeteroGraph, width: int, seed: int) -> None:
        super().__init__()
        shape = Shape(width, width, HEADS, layers=1, norm=False, timed=False)
        self.layer = HgtLayers(graph.schema, shape, np.random.default_rng(seed))
        for name, number in self.layer.numbers.items():
            # Vectors and ages are not asked for here.
            number.requires_grad_(not name.startswith("head.") and not name.endswith(".time"))

    @staticmethod
    def edges(graph: HeteroGraph) -> Any:
        blocks = whole(graph, 0, 1)
        return blocks, {relation: edges_of(block) for relation, block in blocks.edges.items() if len(block)}

    def forward(self, h: Mapping[str, Tensor], edges: Any) -> Mapping[str, Tensor]:
        blocks, found = edges
        return self.layer(blocks, h, found)


class Hgt(torch.nn.Module):
    name: ClassVar = "PyG HGTConv"

    def __init__(self, graph: HeteroGraph, width: int, _seed: int) -> None:
        super().__init__()
        kinds = [(r.source, str(r.name), r.target) for r in graph.schema.relations]
        self.layer = HGTConv(width, width, (list(graph.schema.node_types), kinds), heads=HEADS)

    @staticmethod
    def edges(graph: HeteroGraph) -> Any:
        # In the order of the metadata: HGTConv is silently wrong in any other.
        return {
            (r.source, str(r.name), r.target): _index(graph.edges[r].source, graph.edges[r].target)
            for r in graph.schema.relations
        }

    def forward(self, h: Mapping[str, Tensor], edges: Any) -> Mapping[str, Tensor]:
        return self.layer(dict(h), edges)


class Gat(torch.nn.Module):
    """Forgets types: one graph of all nodes and edges."""

    name: ClassVar = "PyG GATConv"

    def __init__(self, graph: HeteroGraph, width: int, _seed: int) -> None:
        super().__init__()
        self.sizes = {node_type: graph.nodes[node_type] for node_type in graph.schema.node_types}
        self.layer = GATConv(width, width // HEADS, heads=HEADS)

    @staticmethod
    def edges(graph: HeteroGraph) -> Any:
        types = graph.schema.node_types
        first = dict(zip(types, np.cumsum([0, *(graph.nodes[name] for name in types)])[:-1], strict=True))
        parts = [
            _index(edges.source + first[relation.source], edges.target + first[relation.target])
            for relation, edges in graph.edges.items()
        ]
        return torch.cat(parts, dim=1)

    def forward(self, h: Mapping[str, Tensor], edges: Any) -> Mapping[str, Tensor]:
        told = torch.nn.functional.elu(self.layer(torch.cat([h[name] for name in self.sizes]), edges))
        return dict(zip(self.sizes, told.split(list(self.sizes.values())), strict=True))


KINDS = (Ours, Hgt, Gat)


class Stack(torch.nn.Module):
    """h of layer 0 of all nodes by type to h of the last layer: after each layer h = norm(h + dropout(heard))."""

    def __init__(self, kind: Any, graph: HeteroGraph, width: int, drop: float, seed: int) -> None:
        super().__init__()
        self.drop = drop
        self.layers = torch.nn.ModuleList(kind(graph, width, 10 * seed + at) for at in range(LAYERS))
        self.norms = torch.nn.ModuleList(_norms(graph, width) for _ in range(LAYERS + 1))

    def forward(self, inputs: Mapping[str, Tensor], edges: Any) -> Mapping[str, Tensor]:
        norms = iter(self.norms)
        first = next(norms)
        h = {name: dropout(torch.relu(first[name](of)), self.drop, self.training) for name, of in inputs.items()}
        for layer, norm in zip(self.layers, norms, strict=True):
            told = layer(h, edges)
            h = {name: norm[name](of + dropout(told[name], self.drop, self.training)) for name, of in h.items()}
        return h


def _norms(graph: HeteroGraph, width: int) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({name: torch.nn.LayerNorm(width) for name in graph.schema.node_types})


def learned(net: torch.nn.Module) -> int:
    """How many numbers are learned."""
    return sum(each.numel() for each in net.parameters() if each.requires_grad)


def _index(source: NDArray[Any], target: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))
