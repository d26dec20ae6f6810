"""Vectors kept right while edges come and go: what an event touches at once, what hears of it when there is time.

A node whose edges or attributes changed is computed anew in every layer. When its h has changed by more than epsilon
since its readers were last told, they are to be computed anew in the layer above; the readers of a hub are told when
nothing else waits. With epsilon 0 and no work left, every number is what computing the whole graph gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.layers import Layers
from shopkeeper.profiles.graph.looking import Looking
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.pace import Pace, Some, chosen
from shopkeeper.profiles.graph.reads import NEVER, Marks, reads_of
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.states import Kept, NodeStates, widths
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.telling import Telling
from shopkeeper.profiles.graph.weights import Floats

Known: TypeAlias = Callable[[str, Ints], tuple[Sequence[str], NodeTable]]
"""Ids and attributes of nodes (k,) of a type."""
_PACE = Pace()
_SAME = 1e-6
"""Changes up to this share are rounding."""
_TINY = 1e-12


class Incremental:
    """One thread at a time. `graph` is told of events first, then `grow`, then `touch` of what they changed.

    `kept` are states of an earlier moment by node type: they answer at once, and in the steps to come they are compared
    with what there is to read now. What is not among them is computed.
    """

    def __init__(
        self,
        model: GraphWeights,
        graph: LiveGraph,
        known: Known,
        reference: int,
        pace: Pace = _PACE,
        kept: Mapping[str, Kept] | None = None,
    ) -> None:
        self.model = model
        self.reference = reference
        self.pace = pace
        self._graph = graph
        self._known = known
        self._states: dict[str, NodeStates] = {}
        self._layers = Layers(model, graph, reference, self._states)
        self._telling = Telling(model, graph, pace.hub, self._states)
        self._looking = Looking()
        self._tick = 0
        self.computed = 0
        """Vectors and parts of them that were computed, in all."""
        if kept is None:
            self.grow()
            return
        for name in graph.nodes:
            self._make(name)
            if name in kept:
                self._adopt(name, kept[name])
        self.look_again()

    # -- reading

    def vectors(self, node_type: str) -> Floats | None:
        """float32 (n, dim); None for a type without a place in the space."""
        states = self._states.get(node_type)
        return None if states is None else states.vectors

    def states(self, node_type: str) -> NodeStates | None:
        return self._states.get(node_type)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(self._states)

    @property
    def pending(self) -> int:
        """Nodes that wait to be computed anew in some layer, or to be looked at."""
        waiting = sum(int(np.count_nonzero(one.dirty.any(axis=0) | one.hub.any(axis=0))) for one in self._each())
        return waiting + len(self._looking) + self._telling.busy

    @property
    def urgent(self) -> int:
        """Nodes with events or records of their own that are not taken in."""
        return sum(int(np.count_nonzero(one.urgent)) for one in self._each())

    def waits(self, node_type: str, node: int) -> bool:
        """Whether something of its own is not taken in."""
        return bool(self._states[node_type].urgent[node])

    def owed(self) -> float:
        """By how much h of a node has changed on average since its readers were told, as a share."""
        parts = [one.owed[:, : one.n] for one in self._each() if one.n]
        total = sum(part.size for part in parts)
        return float(sum(part.sum() for part in parts)) / total if total else 0.0

    def after(self, row: int, events: EventBatch) -> Floats:
        """The vector (dim,) of a user's row as it would be after events with numbers that no event of the log has."""
        self._look_at_new()
        with self._graph.trial(events) as touched:
            ends = {name: np.unique(np.concatenate([*parts])) for name, parts in touched.items()}
            return self._layers.supposed(row, ends, self._telling)

    def measured(self, node_type: str, nodes: Ints, reference: int) -> Floats:
        """Vectors (k, dim) of some nodes, with ages of edges as of another moment; their neighbours are as they are."""
        return self._layers.as_of(node_type, nodes, reference)

    def _each(self) -> Iterator[NodeStates]:
        return iter(self._states.values())

    # -- what changed

    def grow(self) -> None:
        """New nodes of the graph: a few at once, with the next step; many in the course of steps."""
        for name, n in self._graph.nodes.items():
            self._looking.add(name, self._make(name), n)

    def touch(self, touched: Touched, *, taken_back: bool = False) -> None:
        """The edges of these nodes changed; `taken_back`: some are gone."""
        self._tick += 1
        for name, parts in touched.items():
            if (states := self._states.get(name)) is not None:
                nodes = np.concatenate(parts)
                states.mark(nodes[nodes < states.n], self._tick)
        if taken_back:
            self._telling.begin_again()

    def reread(self, node_type: str, nodes: Ints) -> None:
        """The attributes of these nodes may have changed."""
        self._reread(node_type, nodes, np.zeros(len(nodes), dtype=np.bool_))

    def clear(self, row: int) -> None:
        """No number of a user's stays; what there is to know is computed in the next steps."""
        states = self._states.get(USER)
        if states is not None and row < states.n:
            states.clear(np.array([row], dtype=np.int64))
            self._looking.add(USER, row, row + 1)

    def look_again(self) -> None:
        """Everything is looked at in the steps to come, as after a start."""
        self._looking.all({name: states.n for name, states in self._states.items()})

    # -- work

    def step(self) -> int:
        """A piece of the work: how many nodes it was about; 0 when nothing waits."""
        if self._looking.first:
            return self._looking.step(self._look)
        urgent = {name: np.flatnonzero(one.urgent[: one.n]) for name, one in self._states.items()}
        if now := chosen(urgent, 2 * self.pace.events, self._priority):
            for name, nodes in now.items():
                self._states[name].urgent[nodes] = False
            for layer in range(1, len(self.model.layers) + 1):
                self._compute(layer, now)
            return sum(map(len, now.values()))
        if len(self._looking):
            return self._looking.step(self._look)
        for layer in range(1, len(self.model.layers) + 1):
            waiting = {name: one.waiting(layer) for name, one in self._states.items() if layer <= one.depth}
            if now := chosen(waiting, self.pace.top, self._priority):
                self._compute(layer, now)
                return sum(map(len, now.values()))
        return self._telling.tell_hub()

    def settle(self) -> None:
        """All of the work, at once."""
        while self.step():
            pass

    def _priority(self, name: str, nodes: Ints) -> Floats:
        states = self._states[name]
        norm = np.linalg.norm(states.h(states.depth)[nodes], axis=1)
        return self.pace.priority(self._tick - states.touched[nodes], self._graph.degree(name, nodes), norm)

    def _compute(self, layer: int, nodes_of: Some) -> None:
        """h of a layer of these nodes, where it waits: of all before any is written, as all read the layer below."""
        todo: dict[str, Ints] = {}
        for name, nodes in nodes_of.items():
            states = self._states[name]
            if layer <= states.depth and len(wait := nodes[states.dirty[layer, nodes]]):
                todo[name] = wait
        for name, h in self._layers.fresh(layer, todo).items():
            self._put(layer, name, todo[name], h)

    def _put(self, layer: int, name: str, nodes: Ints, fresh: Floats) -> None:
        states = self._states[name]
        h = states.h(layer)
        before = h[nodes]
        h[nodes] = fresh
        states.dirty[layer, nodes] = False
        self.computed += len(nodes)
        if layer == states.depth:
            self._show(name, nodes, fresh)
            return
        change = np.linalg.norm(fresh - before, axis=1) / np.maximum(np.linalg.norm(fresh, axis=1), _TINY)
        moved = change > _SAME
        states.dirty[layer + 1, nodes[moved]] = True
        states.owed[layer, nodes[moved]] += change[moved]
        heard = nodes[states.owed[layer, nodes] > self.pace.epsilon]
        states.owed[layer, heard] = 0
        self._telling.tell(layer, name, heard)

    def _show(self, name: str, nodes: Ints, last: Floats) -> None:
        states = self._states[name]
        if name in self.model.heads and states.vectors is not None:
            states.vectors[nodes] = self._layers.vectors(name, last)

    # -- looking at nodes

    def _look_at_new(self) -> None:
        while self._looking.first:
            self._looking.step(self._look)

    def _look(self, name: str, nodes: Ints, was: Marks) -> None:
        """Where edges or attributes are others than those that h was computed from, it waits."""
        if (states := self._states.get(name)) is None:
            return
        self._reread(name, nodes, was == NEVER)
        states.mark(nodes[was != reads_of(self._graph, self.model, name, nodes)], self._tick)

    def _reread(self, node_type: str, nodes: Ints, new: NDArray[np.bool_]) -> None:
        """`new` (k,): is computed in any case."""
        states = self._states.get(node_type)
        if states is None or not len(nodes):
            return
        ids, table = self._known(node_type, nodes)
        fresh = self.model.inputs(node_type, ids, table)
        before = states.h(0)[nodes]
        changed = ~np.isclose(fresh, before, rtol=_SAME, atol=_SAME).all(axis=1) | new
        if changed.any():
            self._put(0, node_type, nodes[changed], fresh[changed])
            states.mark(nodes[changed], self._tick)

    # -- what was computed earlier

    def _make(self, name: str) -> int:
        """Room for all nodes of a type; how many there were."""
        n = self._graph.nodes[name]
        states = self._states.get(name)
        if states is None:
            if not (shape := widths(self.model, name)):
                return n
            states = self._states[name] = NodeStates(shape, self.model.dim if name in self.model.heads else None)
        first = states.n
        states.grow(n)
        return first

    def _adopt(self, name: str, kept: Kept) -> None:
        states = self._states.get(name)
        if states is None:
            return
        for layer, given in enumerate(kept.h):
            states.h(layer)[kept.nodes] = given
        self._show(name, kept.nodes, kept.h[-1])
        states.owed[:, kept.nodes], states.hub[:, kept.nodes] = kept.owed, kept.hub
        marks = np.full(states.n, NEVER, dtype=np.uint64)
        marks[kept.nodes] = kept.reads
        self._looking.remember(name, marks)

    def kept(self) -> dict[str, Kept]:
        """The states as they are, and what they were computed from: of nodes that wait, nothing."""
        found: dict[str, Kept] = {}
        for name, states in self._states.items():
            reads = reads_of(self._graph, self.model, name)[: states.n]
            reads[states.dirty[:, : states.n].any(axis=0)] = NEVER
            self._looking.forget(name, reads)
            h = [states.h(layer).copy() for layer in range(states.depth + 1)]
            owed, hub = states.owed[:, : states.n].copy(), self._telling.waiting(name)
            found[name] = Kept(np.arange(states.n, dtype=np.int64), h, reads, owed, hub)
        return found
