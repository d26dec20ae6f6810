"""How large a graph is, in the shape of the API."""

from __future__ import annotations

from collections.abc import Mapping

from shopkeeper.core.records import Record
from shopkeeper.profiles.graph.schema import Relation


class GraphStatistics(Record, kw_only=True):
    """`edge_counts` and `edge_types` by `a / rel / b`; `dropped` events that made no edge, by reason."""

    node_counts: dict[str, int]
    edge_counts: dict[str, int]
    total_nodes: int
    total_edges: int
    node_types: list[str]
    edge_types: list[str]
    dropped: dict[str, int]


def statistics(nodes: Mapping[str, int], edges: Mapping[Relation, int], dropped: Mapping[str, int]) -> GraphStatistics:
    """From the number of nodes of each type and of edges of each relation."""
    counts = {str(relation): count for relation, count in edges.items()}
    return GraphStatistics(
        node_counts=dict(nodes),
        edge_counts=counts,
        total_nodes=sum(nodes.values()),
        total_edges=sum(counts.values()),
        node_types=list(nodes),
        edge_types=list(counts),
        dropped=dict(dropped),
    )
