"""What the layers of a graph transformer run on: nodes in the order in which they are needed, edges by destination.

A whole graph and a sample of it have the same shape, so one forward pass runs on both. The nodes that layer l gives an
output for are the first ones, and so are its edges: a layer is a slice, nothing is copied or renumbered between layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.hetero import HeteroGraph, age_buckets
from shopkeeper.profiles.graph.schema import Relation


@dataclass(frozen=True)
class Block:
    """Edges of one relation: `target` int32 (m,) ascending and `source` int32 (m,) are places among the nodes of their
    types in `Blocks`; `bucket` int8 (m,) is the age of each edge at the moment of its target."""

    target: NDArray[np.int32]
    source: NDArray[np.int32]
    bucket: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Blocks:
    """For L layers, by node type or relation.

    nodes    int32 (n,), positions in the graph; one node may stand here several times, at several moments
    moments  int64 (n,), us: the node is seen as it was just before
    seeds    int32 (k,), places in `nodes` of what was asked for, in the order in which it was asked for
    counts   L + 1 times: layer l (from 0) reads the first `counts[l]` nodes and gives the first `counts[l + 1]`
    edges    of layer 0, which has them all
    bounds   L numbers: layer l has the first `bounds[l]` edges
    """

    nodes: Mapping[str, NDArray[np.int32]]
    moments: Mapping[str, NDArray[np.int64]]
    seeds: Mapping[str, NDArray[np.int32]]
    counts: tuple[Mapping[str, int], ...]
    edges: Mapping[Relation, Block]
    bounds: Mapping[Relation, tuple[int, ...]]

    @property
    def layers(self) -> int:
        return len(self.counts) - 1

    def layer(self, number: int) -> dict[Relation, Block]:
        """The edges of one layer, from 0; relations without any are left out."""
        found = {}
        for relation, block in self.edges.items():
            if m := self.bounds[relation][number]:
                found[relation] = Block(block.target[:m], block.source[:m], block.bucket[:m])
        return found

    def __len__(self) -> int:
        """Edges that the layers read, all together."""
        return sum(sum(bounds) for bounds in self.bounds.values())


def whole(graph: HeteroGraph, moment: int, layers: int) -> Blocks:
    """Every node of a graph at one moment (us), which ages are counted from; all edges of the graph are read, so the
    caller takes away those that came later (`graph.before`) and those over the limit (`graph.newest`)."""
    nodes = {node_type: np.arange(n, dtype=np.int32) for node_type, n in graph.nodes.items()}
    edges = {
        relation: Block(found.target, found.source, age_buckets(found.time, moment))
        for relation, found in graph.edges.items()
    }
    return Blocks(
        nodes,
        {node_type: np.full(n, moment, dtype=np.int64) for node_type, n in graph.nodes.items()},
        nodes,
        (dict(graph.nodes),) * (layers + 1),
        edges,
        {relation: (len(block),) * layers for relation, block in edges.items()},
    )
