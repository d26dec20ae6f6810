"""Who reads a node's h: told at once, those of a hub a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.pace import Some
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.states import NodeStates

Heard: TypeAlias = tuple[NDArray[np.int32], Ints, Ints]
"""Edges: the ends that read, times, orders."""
_NOBODY = np.empty(0, dtype=np.int64)
_TELL = 20_000
"""Edges of a hub that are followed in one step."""


@dataclass
class _Hub:
    """Whose readers are being told: how far along which of its relations."""

    layer: int
    node_type: str
    node: int
    relations: list[Relation]
    start: int = 0


class Telling:
    """Marks in `states` (by node type, which others write too) whose h is to be computed anew. A node with more than
    `hub` readers is a hub."""

    def __init__(self, model: GraphWeights, graph: LiveGraph, hub: int, states: dict[str, NodeStates]) -> None:
        self._model = model
        self._graph = graph
        self._most = hub
        self._states = states
        self._hub: _Hub | None = None

    @property
    def busy(self) -> bool:
        """Whether readers of a hub are half told."""
        return self._hub is not None

    def tell(self, layer: int, name: str, nodes: Ints) -> None:
        """The readers of these nodes' h are to be computed anew in the layer above; those of hubs later."""
        if not len(nodes):
            return
        relations = self._heard_along(layer, name)
        readers = np.zeros(len(nodes), dtype=np.int64)
        for relation in relations:
            readers += self._graph.relations[relation.reverse].degree(nodes)
        hubs = readers > self._most
        self._states[name].hub[layer, nodes[hubs]] = True
        few = nodes[~hubs]
        for relation in relations:
            self._mark(layer, relation, self._graph.relations[relation.reverse].all(few))

    def with_readers(self, layer: int, chosen: Some) -> dict[str, Ints]:
        """Nodes whose h of the layer above differs when those of the chosen differ."""
        if layer + 1 >= len(self._model.layers):
            return dict(chosen)
        found = {name: [nodes] for name, nodes in chosen.items()}
        for name, nodes in chosen.items():
            for relation in self._heard_along(layer, name):
                edges = self._graph.relations[relation.reverse].all(nodes)
                found.setdefault(relation.target, []).append(self._readers(layer, relation, edges))
        return {name: np.unique(np.concatenate(parts)) for name, parts in found.items()}

    def tell_hub(self) -> int:
        """A piece of the readers of a hub: how many edges that was, 0 when none waits."""
        if self._hub is None and (found := self._next()) is None:
            return 0
        hub = self._hub = self._hub or found
        assert hub is not None
        if not hub.relations:
            self._hub = None
            return 1
        relation = hub.relations[0]
        edges = self._graph.relations[relation.reverse].of(hub.node, hub.start, _TELL)
        self._mark(hub.layer, relation, edges)
        hub.start += len(edges[0])
        if len(edges[0]) < _TELL:
            hub.start = 0
            hub.relations.pop(0)
        return max(len(edges[0]), 1)

    def begin_again(self) -> None:
        """Edges are gone, those of the hub may have moved: what was passed by is looked at again."""
        if self._hub is not None:
            self._states[self._hub.node_type].hub[self._hub.layer, self._hub.node] = True

    def waiting(self, name: str) -> NDArray[np.bool_]:
        """bool (layers, n), a copy: whose readers wait to be told, the one that is half told among them."""
        states = self._states[name]
        found: NDArray[np.bool_] = states.hub[:, : states.n].copy()
        if self._hub is not None and self._hub.node_type == name:
            found[self._hub.layer, self._hub.node] = True
        return found

    def _heard_along(self, layer: int, name: str) -> list[Relation]:
        """Relations along which h of a layer of nodes of a type is read."""
        known = self._model.layers[layer].relations
        return [relation for relation in known if relation.source == name and relation.reverse in self._graph.relations]

    def _readers(self, layer: int, relation: Relation, edges: Heard) -> Ints:
        """Whose h of the layer above reads along a relation: the other ends of these edges, as far as the edge is among
        their newest."""
        reader, time, order = edges
        states = self._states.get(relation.target)
        if states is None or layer >= states.depth or not len(reader):
            return _NOBODY
        found = reader.astype(np.int64)
        return found[self._graph.relations[relation].among_newest(found, time, order, self._model.recent)]

    def _mark(self, layer: int, relation: Relation, edges: Heard) -> None:
        readers = self._readers(layer, relation, edges)
        if len(readers):
            self._states[relation.target].dirty[layer + 1, readers] = True

    def _next(self) -> _Hub | None:
        for layer in range(len(self._model.layers)):
            for name, states in self._states.items():
                if layer < states.depth and len(found := np.flatnonzero(states.hub[layer, : states.n])):
                    node = int(found[0])
                    states.hub[layer, node] = False
                    return _Hub(layer, name, node, self._heard_along(layer, name))
        return None
