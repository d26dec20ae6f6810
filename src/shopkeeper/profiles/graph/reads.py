"""What a node reads, as one number: two moments of a graph can be compared without its edges being kept."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.schema import CATEGORY, USER

Marks = NDArray[np.uint64]
NEVER = 0
"""The mark of a node of which nothing is computed; no node has it otherwise."""


def node_keys(graph: LiveGraph, node_type: str) -> Ints:
    """int64 (n,): what each node of a type is called wherever it stands: its row, of a category a hash of the name."""
    if node_type == USER:
        return np.arange(graph.nodes[USER], dtype=np.int64)
    if node_type == CATEGORY:
        return np.array([zlib.crc32(name.encode()) for name in graph.categories], dtype=np.int64)
    return graph.item_rows(node_type).astype(np.int64)


def reads_of(graph: LiveGraph, model: GraphWeights, node_type: str, nodes: Ints | None = None) -> Marks:
    """uint64 (k,): of the edges that the model reads into some nodes, or into all: their sources and times."""
    count = graph.nodes.get(node_type, 0) if nodes is None else len(nodes)
    found = np.ones(count, dtype=np.uint64)
    for relation in model.layers[0].relations:
        if relation.target != node_type or relation.source not in graph.nodes:
            continue
        edges = graph.newest(relation, nodes, model.recent)
        if not len(edges):
            continue
        salt = np.uint64(zlib.crc32(str(relation).encode()) + 1)
        keys = node_keys(graph, relation.source)[edges.source].astype(np.uint64)
        mixed = _mixed(_mixed(keys + (salt << np.uint64(32))) ^ edges.time.astype(np.uint64))
        sums = np.zeros(len(mixed) + 1, dtype=np.uint64)
        np.cumsum(mixed, out=sums[1:])  # it runs over, as it should: differences stay right
        found += sums[edges.indptr[1:]] - sums[edges.indptr[:-1]]
    return np.where(found == NEVER, np.uint64(1), found)


def _mixed(values: Marks) -> Marks:
    """Each bit of a value changes about half of those of its result (splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
