"""What the live graph is asked by ids: its nodes and edges, and who stands beside whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.answers import Neighbor
from shopkeeper.profiles.graph.neighbors import neighbors
from shopkeeper.profiles.graph.schema import USER, Relation
from shopkeeper.profiles.graph.statistics import GraphStatistics
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary


class Asking:
    """On the thread of the followers."""

    def __init__(self, graph: LiveGraph, vocabularies: Vocabularies) -> None:
        self._graph = graph
        self._vocab = vocabularies

    def statistics(self) -> GraphStatistics:
        """Raises NotFound (code `no_graph`) while there is no edge."""
        if not len(self._graph):
            raise NotFound("the shop has no graph yet: no event has joined a user and an item", code="no_graph")
        return self._graph.statistics()

    def neighbors(self, node_type: str, id: str, *, relation: str | None, limit: int) -> list[Neighbor]:
        """The newest first. Raises NotFound (node), Invalid (node type, relation)."""
        chosen = None if relation is None else Relation.read(relation)
        node = self._node(node_type, id)
        found = neighbors(self._graph, node_type, node, relation=chosen, limit=limit)
        return [
            Neighbor(node=self._id(end, at), type=end, relation=str(along), weight=weight, time=when)
            for end, at, along, weight, when in found
        ]

    def _node(self, node_type: str, id: str) -> int:
        if node_type not in self._graph.nodes:
            known = ", ".join(self._graph.nodes)
            raise Invalid(f"there are no nodes of type {node_type!r}, only {known}", field="node_type")
        key: int | str | None = id
        if node_type == USER:
            key = self._vocab.users.row(id)
        elif node_type in self._graph.item_types:
            key = self._vocab.items.row(id)
        place = None if key is None else self._graph.place(node_type, key)
        if place is None:
            raise NotFound(f"no {node_type} {id!r} in the graph", code="unknown_node", field="id")
        return place

    def _id(self, node_type: str, node: int) -> str:
        if node_type == USER:
            return self._vocab.users.id(node)
        if node_type in self._graph.item_types:
            return self._vocab.items.id(int(self._graph.item_rows(node_type)[node]))
        return list(self._graph.categories)[node]


class Names(Sequence[str]):
    """The names of event types by row, as they come."""

    def __init__(self, types: Vocabulary) -> None:
        self._types = types

    def __len__(self) -> int:
        return len(self._types)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return [self._types.id(row) for row in range(len(self))[at]]
        return self._types.id(at)
