"""The layers of a model over the states of a live graph: h as it is, and as it would be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.hetero import Edges
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.inference import layer_of, vectors_of
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.pace import Some
from shopkeeper.profiles.graph.schema import USER, Relation
from shopkeeper.profiles.graph.states import NodeStates
from shopkeeper.profiles.graph.telling import Telling
from shopkeeper.profiles.graph.weights import Floats


class Layers:
    """`states` by node type, which others write too. `reference` (us): the moment from which ages are counted."""

    def __init__(self, model: GraphWeights, graph: LiveGraph, reference: int, states: dict[str, NodeStates]) -> None:
        self._model = model
        self._graph = graph
        self._reference = reference
        self._states = states

    def fresh(self, layer: int, chosen: Some) -> dict[str, Floats]:
        """h of a layer, computed from h of the one below as it is now. Nothing is written."""
        below = self._below(layer)
        return {name: self._of(layer, name, nodes, below) for name, nodes in chosen.items()}

    def vectors(self, node_type: str, last: Floats) -> Floats:
        """float32 (k, dim) of nodes from their last layer (k, d)."""
        return vectors_of(self._model.heads[node_type], last, self._model.dim)

    def supposed(self, row: int, chosen: Some, telling: Telling) -> Floats:
        """The vector (dim,) of a user's row if the edges of the chosen nodes were what they are in the graph now, and
        only what hears of them computed. States are afterwards what they were."""
        depth = len(self._model.layers)
        written: list[tuple[int, str, Ints, Floats]] = []
        try:
            for layer in range(1, depth):
                here = {
                    name: nodes[nodes < states.n]
                    for name, nodes in chosen.items()
                    if (states := self._states.get(name)) is not None and layer <= states.depth
                }
                for name, h in self.fresh(layer, here).items():
                    written.append((layer, name, here[name], self._states[name].h(layer)[here[name]]))
                    self._states[name].h(layer)[here[name]] = h
                chosen = telling.with_readers(layer, chosen)
            last = self._of(depth, USER, np.array([row], dtype=np.int64), self._below(depth))
        finally:
            for layer, name, nodes, before in reversed(written):
                self._states[name].h(layer)[nodes] = before
        vector: Floats = self.vectors(USER, last)[0]
        return vector

    def as_of(self, node_type: str, nodes: Ints, reference: int) -> Floats:
        """Vectors (k, dim) of some nodes, with ages of edges as of another moment; their neighbours are as they are."""
        own = self._states[node_type].h(0)[nodes]
        for layer in range(1, len(self._model.layers) + 1):
            with self._replaced(layer - 1, node_type, nodes, own):
                own = self._of(layer, node_type, nodes, self._below(layer), reference)
        return self.vectors(node_type, own)

    @contextmanager
    def _replaced(self, layer: int, node_type: str, nodes: Ints, h: Floats) -> Iterator[None]:
        """A copy of a whole layer would be as large as the shop."""
        kept = self._states[node_type].h(layer)
        before = kept[nodes]
        kept[nodes] = h
        try:
            yield
        finally:
            kept[nodes] = before

    def _of(self, layer: int, name: str, nodes: Ints, below: dict[str, Floats], reference: int | None = None) -> Floats:
        moment = self._reference if reference is None else reference
        return layer_of(self._model.layers[layer - 1], name, nodes, below, self._into, moment)

    def _below(self, layer: int) -> dict[str, Floats]:
        return {name: one.h(layer - 1) for name, one in self._states.items() if layer - 1 <= one.depth}

    def _into(self, relation: Relation, nodes: Ints | None) -> Edges:
        return self._graph.newest(relation, nodes, self._model.recent)
