"""The layers of the graph model, of PyG's HGTConv and of GAT behind one face: what `graph_quality` trains the same way.

Every model gets h of layer 0 of all nodes by type and gives h of the last layer, all of one width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.nn import GATConv, HGTConv

from shopkeeper.profiles.graph.blocks import whole
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.hgt import HgtLayers, edges_of
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema, Relation

WIDTH, HEADS, LAYERS, DROP = 64, 4, 2, 0.4
Ends = Mapping[Relation, tuple[NDArray[np.int32], NDArray[np.int32]]]


def graph_of(nodes: Mapping[str, int], ends: Ends) -> HeteroGraph:
    """Of edges without a time; the reverse ones are added."""
    forward = {
        relation: (source.astype(np.int32), target.astype(np.int32), np.full(len(source), NO_TIME))
        for relation, (source, target) in ends.items()
    }
    return HeteroGraph.of(GraphSchema.of(nodes, ends), nodes, forward)


class Ours(torch.nn.Module):
    name = "Shopkeeper"

    def __init__(self, graph: HeteroGraph, seed: int) -> None:
        super().__init__()
        shape = Shape(WIDTH, WIDTH, HEADS, LAYERS)
        self.layers = HgtLayers(graph.schema, shape, np.random.default_rng(seed), DROP)

    def read(self, graph: HeteroGraph) -> None:
        """The edges that the next passes run on."""
        self.blocks = whole(graph, 0, LAYERS)
        self.edges = {relation: edges_of(block) for relation, block in self.blocks.edges.items() if len(block)}

    def forward(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self.layers(self.blocks, inputs, self.edges)


class Hgt(torch.nn.Module):
    """As in PyG's own example: no norm, the skip in the layer."""

    name = "PyG HGTConv"

    def __init__(self, graph: HeteroGraph, _seed: int) -> None:
        super().__init__()
        self.kinds = [(r.source, str(r.name), r.target) for r in graph.schema.relations]
        metadata = (list(graph.schema.node_types), self.kinds)
        self.layers = torch.nn.ModuleList(HGTConv(WIDTH, WIDTH, metadata, heads=HEADS) for _ in range(LAYERS))

    def read(self, graph: HeteroGraph) -> None:
        # In the order of the metadata: HGTConv is silently wrong in any other.
        self.edges = {
            kind: _index(graph.edges[relation].source, graph.edges[relation].target)
            for kind, relation in zip(self.kinds, graph.schema.relations, strict=True)
        }

    def forward(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        h = dict(inputs)
        for layer in self.layers:
            h = layer(
                {name: torch.nn.functional.dropout(of, DROP, self.training) for name, of in h.items()}, self.edges
            )
        return h


class Gat(torch.nn.Module):
    """Types forgotten after layer 0: one graph of all nodes and edges, with a way past each layer."""

    name = "PyG GATConv"

    def __init__(self, graph: HeteroGraph, _seed: int) -> None:
        super().__init__()
        self.types: Sequence[str] = graph.schema.node_types
        self.sizes = [graph.nodes[name] for name in self.types]
        self.layers = torch.nn.ModuleList(
            GATConv(WIDTH, WIDTH // HEADS, heads=HEADS, dropout=DROP, residual=True) for _ in range(LAYERS)
        )

    def read(self, graph: HeteroGraph) -> None:
        first = dict(zip(self.types, np.cumsum([0, *self.sizes[:-1]]), strict=True))
        parts = [
            _index(edges.source + first[relation.source], edges.target + first[relation.target])
            for relation, edges in graph.edges.items()
        ]
        self.edges = torch.cat(parts, dim=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        h = torch.cat([inputs[name] for name in self.types])
        for layer in self.layers:
            h = torch.nn.functional.elu(layer(torch.nn.functional.dropout(h, DROP, self.training), self.edges))
        return dict(zip(self.types, h.split(self.sizes), strict=True))


MODELS = (Ours, Hgt, Gat)


def _index(source: NDArray[np.int64], target: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))
