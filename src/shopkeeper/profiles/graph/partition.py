"""A graph in parts that have few edges between them, so that one part after the other fits into memory.

All node types together are one graph for METIS: a pair of nodes weighs as much as it has edges. What is inside a part
keeps its times and its order, and knows which nodes of the whole graph it is made of.

References: Karypis and Kumar, "A fast and high quality multilevel scheme for partitioning irregular graphs", 1998;
Chiang et al., "Cluster-GCN", KDD 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.profiles.graph.hetero import Edges, HeteroGraph

_LARGEST_SEED = 2**31


@dataclass(frozen=True)
class Part:
    """`graph` counts its nodes from 0; `nodes` int32 (n,), ascending, are their positions in the whole graph."""

    graph: HeteroGraph
    nodes: Mapping[str, NDArray[np.int32]]


@dataclass(frozen=True)
class Partition:
    """`of` int32 (n,) by node type: the part of each node. `inside` of `total` edges have both ends in one part."""

    of: Mapping[str, NDArray[np.int32]]
    parts: int
    inside: int
    total: int

    def sizes(self) -> NDArray[np.int64]:
        """int64 (parts,): nodes of each part."""
        return np.bincount(np.concatenate([*self.of.values()]), minlength=self.parts)

    def part(self, graph: HeteroGraph, number: int) -> Part:
        """Of the graph that was parted, or of the same nodes with other edges. Raises Invalid for an unknown number."""
        if not 0 <= number < self.parts:
            raise Invalid(f"there is no part {number}: the graph has {self.parts}, from 0", field="metis_partition_id")
        return subgraph(graph, {node_type: of == number for node_type, of in self.of.items()})


def partition(
    graph: HeteroGraph, parts: int, *, imbalance: float = 0.01, seed: int = 0, recursive: bool = True
) -> Partition:
    """`imbalance`: the largest part may have so much more than an even share of the nodes, .01 is one per cent (METIS
    holds to it in each bisection, and takes thousandths). The same seed gives the same parts.

    Raises Invalid for values out of range and for more parts than nodes, Unavailable without pymetis.
    """
    total = sum(graph.nodes.values())
    if parts < 1 or parts > max(total, 1):
        raise Invalid(f"{parts} parts of a graph of {total} nodes: expected 1 to {total}", field="metis_num_parts")
    if not 0 <= imbalance <= 1:
        raise Invalid(f"the imbalance factor is {imbalance}, expected 0 to 1", field="metis_imbalance_factor")
    if seed < 0:
        raise Invalid(f"the seed is {seed}, expected 0 or more", field="metis_seed")
    member = _metis(graph, parts, imbalance, seed, recursive) if parts > 1 else np.zeros(total, dtype=np.int32)
    ends = np.cumsum(list(graph.nodes.values()))[:-1]
    of = dict(zip(graph.nodes, np.split(member, ends), strict=True))
    inside = sum(
        int(np.count_nonzero(of[relation.target][edges.target] == of[relation.source][edges.source]))
        for relation, edges in graph.edges.items()
    )
    return Partition(of, parts, inside, len(graph))


def subgraph(graph: HeteroGraph, kept: Mapping[str, NDArray[np.bool_]]) -> Part:
    """The nodes of masks (n,) by node type, and the edges that have both ends among them."""
    nodes = {node_type: np.flatnonzero(mask).astype(np.int32) for node_type, mask in kept.items()}
    edges = {}
    for relation, found in graph.edges.items():
        into, out = kept[relation.target], kept[relation.source]
        both = found.where(np.repeat(into, found.degree) & out[found.source])
        place = np.cumsum(out, dtype=np.int32) - 1
        indptr = np.append(0, both.indptr[1:][into])
        edges[relation] = Edges(indptr, place[both.source].astype(np.int32), both.time)
    return Part(HeteroGraph(graph.schema, {each: len(found) for each, found in nodes.items()}, edges), nodes)


def _metis(graph: HeteroGraph, parts: int, imbalance: float, seed: int, recursive: bool) -> NDArray[np.int32]:
    try:
        import pymetis
    except ImportError as error:
        raise Unavailable(
            "the mode metis_sampling needs pymetis, which is not installed: pip install 'shopkeeper[deep]'"
        ) from error
    pairs = _pairs(graph)
    # `ufactor` counts thousandths and cannot be 0
    options = pymetis.Options(seed=seed % _LARGEST_SEED, ufactor=max(1, round(imbalance * 1000)))
    adjacency = pymetis.CSRAdjacency(pairs.indptr, pairs.indices)
    try:
        found = pymetis.part_graph(parts, adjacency, eweights=pairs.data, recursive=recursive, options=options)
    except (MemoryError, RuntimeError) as error:  # METIS catches signals too and turns them into one of these
        raise Unavailable(
            f"METIS gave up on {parts} parts of {len(graph):,} edges ({error}): train with mode sampled, or with a "
            "share of the events"
        ) from error
    return np.asarray(found.vertex_part, dtype=np.int32)


def _pairs(graph: HeteroGraph) -> Any:
    """All nodes, one type after the other, as a symmetric scipy CSR matrix: how many edges a pair has."""
    from scipy.sparse import coo_matrix

    begin = dict(zip(graph.nodes, np.cumsum([0, *graph.nodes.values()]).tolist(), strict=False))
    rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for relation in graph.schema.forward:
        edges = graph.edges[relation]
        apart = edges.target.astype(np.int64) + begin[relation.target], edges.source + np.int64(begin[relation.source])
        own = apart[0] == apart[1]
        rows += [apart[0][~own], apart[1][~own]]
        columns += [apart[1][~own], apart[0][~own]]
    row, column, n = np.concatenate(rows), np.concatenate(columns), sum(graph.nodes.values())
    return coo_matrix((np.ones(len(row), dtype=np.int32), (row, column)), shape=(n, n)).tocsr()
