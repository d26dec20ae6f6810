"""Vectors kept right while edges come and go: what an event touches at once, what hears of it when there is time.

A node whose edges or attributes changed is computed anew in every layer. When its h has changed by more than epsilon
since its readers were last told, they are to be computed anew in the layer above; the readers of a hub are told when
nothing else waits. With epsilon 0 and no work left, every number is what computing the whole graph gives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.hetero import Edges
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.inference import layer_of, vectors_of
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.reads import NEVER, Marks, reads_of
from shopkeeper.profiles.graph.schema import USER, Relation
from shopkeeper.profiles.graph.states import Kept, NodeStates, widths
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats

Known: TypeAlias = Callable[[str, Ints], tuple[Sequence[str], NodeTable]]
"""Ids and attributes of nodes (k,) of a type."""
Some: TypeAlias = Mapping[str, Ints]

Sources: TypeAlias = NDArray[np.int32]
_NOBODY = np.empty(0, dtype=np.int64)
_SAME = 1e-6
"""Changes up to this share are rounding."""
_LOOK = 512
"""Nodes compared with what they were computed from in one step."""
_TELL = 20_000
"""Edges of a hub that are followed in one step."""
_MANY = 8_192
"""Nodes that wait of which the most urgent are chosen."""
_TINY = 1e-12


@dataclass(frozen=True)
class Pace:
    """How the work is divided. `events`: so many, at both ends, are taken in at once; `top` others are computed in one
    step, in the order of `recency`, `degree` and `norm`, weights of numbers from 0 to 1. `epsilon`: the change, as a
    share of a node's h, that its readers do not hear of. `hub`: so many readers are told when nothing else waits."""

    events: int = 256
    top: int = 32
    recency: float = 0.6
    degree: float = 0.2
    norm: float = 0.2
    epsilon: float = 0.05
    hub: int = 500


@dataclass
class _Hub:
    """Whose readers are being told: how far along which of its relations."""

    layer: int
    node_type: str
    node: int
    relations: list[Relation]
    start: int = 0


class Incremental:
    """One thread at a time. `graph` is told of events first, then `touch` of what they changed.

    `kept` are states of an earlier moment by node type: they answer at once, and in the steps to come they are compared
    with what there is to read now. What is not among them is computed.
    """

    def __init__(
        self,
        model: GraphWeights,
        graph: LiveGraph,
        known: Known,
        reference: int,
        pace: Pace = Pace(),
        kept: Mapping[str, Kept] | None = None,
    ) -> None:
        self.model = model
        self.reference = reference
        self.pace = pace
        self._graph = graph
        self._known = known
        self._states: dict[str, NodeStates] = {}
        self._seen: dict[str, Marks] = {}
        self._unread: deque[tuple[str, int, int]] = deque()
        self._hub: _Hub | None = None
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
        return waiting + sum(stop - start for _, start, stop in self._unread) + (self._hub is not None)

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

    def _each(self) -> Iterator[NodeStates]:
        return iter(self._states.values())

    # -- what changed

    def grow(self) -> None:
        """New nodes of the graph: a few at once, with the next step; many in the course of steps."""
        for name, n in self._graph.nodes.items():
            first = self._make(name)
            if 0 < n - first <= _LOOK:
                self.reread(name, np.arange(first, n, dtype=np.int64), new=True)
            elif n > first:
                self._unread.append((name, first, n))

    def touch(self, touched: Touched, *, taken_back: bool = False) -> None:
        """The edges of these nodes changed; `taken_back`: some are gone."""
        self._tick += 1
        for name, parts in touched.items():
            if (states := self._states.get(name)) is not None:
                nodes = np.concatenate(parts)
                states.mark(nodes[nodes < states.n], self._tick)
        if taken_back and self._hub is not None:  # its edges may have moved: what was passed by is looked at again
            self._states[self._hub.node_type].hub[self._hub.layer, self._hub.node] = True

    def reread(self, node_type: str, nodes: Ints, *, new: bool = False) -> None:
        """The attributes of these nodes may have changed; nodes that are new are computed in any case."""
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

    def clear(self, row: int) -> None:
        """No number of a user's stays; what there is to know is computed in the next steps."""
        states = self._states.get(USER)
        if states is not None and row < states.n:
            nodes = np.array([row], dtype=np.int64)
            states.clear(nodes)
            self.reread(USER, nodes, new=True)

    # -- work

    def step(self) -> int:
        """A piece of the work: how many nodes it was about; 0 when nothing waits."""
        urgent = {name: np.flatnonzero(one.urgent[: one.n]) for name, one in self._states.items()}
        if chosen := self._chosen(urgent, 2 * self.pace.events):
            for name, nodes in chosen.items():
                self._states[name].urgent[nodes] = False
            for layer in range(1, len(self.model.layers) + 1):
                self._compute(layer, chosen)
            return sum(map(len, chosen.values()))
        if self._unread:
            return self._look()
        for layer in range(1, len(self.model.layers) + 1):
            waiting = {name: one.waiting(layer) for name, one in self._states.items() if layer <= one.depth}
            if chosen := self._chosen(waiting, self.pace.top):
                self._compute(layer, chosen)
                return sum(map(len, chosen.values()))
        return self._tell_hub()

    def settle(self) -> None:
        """All of the work, at once."""
        while self.step():
            pass

    def _chosen(self, waiting: Some, most: int) -> dict[str, Ints]:
        """The most urgent of them all, at most `most`."""
        waiting = {name: nodes for name, nodes in waiting.items() if len(nodes)}
        if sum(map(len, waiting.values())) <= most:
            return dict(waiting)
        waiting = {name: nodes[:_MANY] for name, nodes in waiting.items()}
        rank = np.concatenate([self._priority(name, nodes) for name, nodes in waiting.items()])
        cut = np.argpartition(-rank, most - 1)[:most]
        kept = np.zeros(len(rank), dtype=np.bool_)
        kept[cut] = True
        parts = np.split(kept, np.cumsum([len(nodes) for nodes in waiting.values()])[:-1])
        found = {name: nodes[part] for (name, nodes), part in zip(waiting.items(), parts, strict=True)}
        return {name: nodes for name, nodes in found.items() if len(nodes)}

    def _priority(self, name: str, nodes: Ints) -> Floats:
        states, pace = self._states[name], self.pace
        recency = np.exp2(-(self._tick - states.touched[nodes]) / pace.events)
        degree = np.log1p(self._graph.degree(name, nodes))
        norm = np.linalg.norm(states.h(states.depth)[nodes], axis=1)
        total = pace.recency * recency + pace.degree * _share(degree) + pace.norm * _share(norm)
        return np.asarray(total, dtype=np.float32)

    def _compute(self, layer: int, chosen: Some) -> None:
        """h of a layer of these nodes, where it waits: of all before any is written, as all read the layer below."""
        below = self._below(layer)
        fresh: dict[str, tuple[Ints, Floats]] = {}
        for name, nodes in chosen.items():
            states = self._states[name]
            if layer <= states.depth and len(todo := nodes[states.dirty[layer, nodes]]):
                weights = self.model.layers[layer - 1]
                fresh[name] = todo, layer_of(weights, name, todo, below, self._into, self.reference)
        for name, (nodes, h) in fresh.items():
            self._put(layer, name, nodes, h)

    def _below(self, layer: int) -> dict[str, Floats]:
        return {name: one.h(layer - 1) for name, one in self._states.items() if layer - 1 <= one.depth}

    def _into(self, relation: Relation, nodes: Ints | None) -> Edges:
        return self._graph.newest(relation, nodes, self.model.recent)

    def _put(self, layer: int, name: str, nodes: Ints, fresh: Floats) -> None:
        states = self._states[name]
        h = states.h(layer)
        before = h[nodes]
        h[nodes] = fresh
        states.dirty[layer, nodes] = False
        self.computed += len(nodes)
        if layer == states.depth:
            head = self.model.heads.get(name)
            if head is not None and states.vectors is not None:
                states.vectors[nodes] = vectors_of(head, fresh, self.model.dim)
            return
        change = np.linalg.norm(fresh - before, axis=1) / np.maximum(np.linalg.norm(fresh, axis=1), _TINY)
        moved = change > _SAME
        states.dirty[layer + 1, nodes[moved]] = True
        states.owed[layer, nodes[moved]] += change[moved]
        heard = nodes[states.owed[layer, nodes] > self.pace.epsilon]
        states.owed[layer, heard] = 0
        self._tell(layer, name, heard)

    # -- those who read

    def _tell(self, layer: int, name: str, nodes: Ints) -> None:
        """The readers of these nodes' h are to be computed anew in the layer above; those of hubs later."""
        if not len(nodes):
            return
        relations = self._heard_along(layer, name)
        readers = np.zeros(len(nodes), dtype=np.int64)
        for relation in relations:
            readers += self._graph.relations[relation.reverse].degree(nodes)
        hubs = readers > self.pace.hub
        self._states[name].hub[layer, nodes[hubs]] = True
        few = nodes[~hubs]
        for relation in relations:
            self._mark(layer, relation, self._graph.relations[relation.reverse].all(few))

    def _heard_along(self, layer: int, name: str) -> list[Relation]:
        """Relations along which h of a layer of nodes of a type is read."""
        known = self.model.layers[layer].relations
        return [relation for relation in known if relation.source == name and relation.reverse in self._graph.relations]

    def _readers(self, layer: int, relation: Relation, edges: tuple[Sources, Ints, Ints]) -> Ints:
        """Whose h of the layer above reads along a relation: the other ends of these edges, as far as the edge is among
        their newest."""
        reader, time, order = edges
        states = self._states.get(relation.target)
        if states is None or layer >= states.depth or not len(reader):
            return _NOBODY
        found = reader.astype(np.int64)
        return found[self._graph.relations[relation].among_newest(found, time, order, self.model.recent)]

    def _mark(self, layer: int, relation: Relation, edges: tuple[Sources, Ints, Ints]) -> None:
        readers = self._readers(layer, relation, edges)
        if len(readers):
            self._states[relation.target].dirty[layer + 1, readers] = True

    def _tell_hub(self) -> int:
        if self._hub is None and (found := self._next_hub()) is None:
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

    def _next_hub(self) -> _Hub | None:
        for layer in range(len(self.model.layers)):
            for name, states in self._states.items():
                if layer < states.depth and len(found := np.flatnonzero(states.hub[layer, : states.n])):
                    node = int(found[0])
                    states.hub[layer, node] = False
                    return _Hub(layer, name, node, self._heard_along(layer, name))
        return None

    # -- without a trace

    def after(self, row: int, events: EventBatch) -> Floats:
        """The vector (dim,) of a user's row as it would be after events with numbers that no event of the log has."""
        written: list[tuple[int, str, Ints, Floats]] = []
        user = np.array([row], dtype=np.int64)
        with self._graph.trial(events) as touched:
            try:
                chosen = {name: np.unique(np.concatenate([*parts])) for name, parts in touched.items()}
                for layer in range(1, len(self.model.layers)):
                    self._suppose(layer, chosen, written)
                    chosen = self._with_readers(layer, chosen)
                below = self._below(len(self.model.layers))
                h = layer_of(self.model.layers[-1], USER, user, below, self._into, self.reference)
            finally:
                for layer, name, nodes, before in reversed(written):
                    self._states[name].h(layer)[nodes] = before
        vector: Floats = vectors_of(self.model.heads[USER], h, self.model.dim)[0]
        return vector

    def measured(self, node_type: str, nodes: Ints, reference: int) -> Floats:
        """Vectors (k, dim) of some nodes, with ages of edges as of another moment; their neighbours are as they are."""
        own = self._states[node_type].h(0)[nodes]
        for layer, weights in enumerate(self.model.layers):
            below = dict(self._below(layer + 1))
            below[node_type] = _written(below[node_type], nodes, own)
            own = layer_of(weights, node_type, nodes, below, self._into, reference)
        return vectors_of(self.model.heads[node_type], own, self.model.dim)

    def _suppose(self, layer: int, chosen: Some, written: list[tuple[int, str, Ints, Floats]]) -> None:
        below, fresh = self._below(layer), {}
        for name, nodes in chosen.items():
            states = self._states.get(name)
            if states is not None and layer <= states.depth:
                inside = nodes[nodes < states.n]
                weights = self.model.layers[layer - 1]
                fresh[name] = inside, layer_of(weights, name, inside, below, self._into, self.reference)
        for name, (nodes, h) in fresh.items():
            states = self._states[name]
            written.append((layer, name, nodes, states.h(layer)[nodes]))
            states.h(layer)[nodes] = h

    def _with_readers(self, layer: int, chosen: Some) -> dict[str, Ints]:
        """Nodes whose h of the layer above differs when those of the chosen differ."""
        if layer + 1 >= len(self.model.layers):
            return dict(chosen)
        found = {name: [nodes] for name, nodes in chosen.items()}
        for name, nodes in chosen.items():
            for relation in self._heard_along(layer, name):
                edges = self._graph.relations[relation.reverse].all(nodes)
                found.setdefault(relation.target, []).append(self._readers(layer, relation, edges))
        return {name: np.unique(np.concatenate(parts)) for name, parts in found.items()}

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
        head = self.model.heads.get(name)
        if head is not None and states.vectors is not None:
            states.vectors[kept.nodes] = vectors_of(head, kept.h[-1], self.model.dim)
        states.owed[:, kept.nodes], states.hub[:, kept.nodes] = kept.owed, kept.hub
        self._seen[name] = np.zeros(states.n, dtype=np.uint64)
        self._seen[name][kept.nodes] = kept.reads

    def look_again(self) -> None:
        """Everything is looked at in the steps to come, as after a start."""
        self._unread = deque((name, 0, states.n) for name, states in self._states.items() if states.n)

    def _look(self) -> int:
        """At the next few nodes: where edges or attributes are others than those that h was computed from, it waits."""
        name, start, stop = self._unread.popleft()
        if stop - start > _LOOK:
            self._unread.appendleft((name, start + _LOOK, stop))
            stop = start + _LOOK
        nodes = np.arange(start, stop, dtype=np.int64)
        states, seen = self._states[name], self._seen.get(name)
        was = np.zeros(len(nodes), dtype=np.uint64) if seen is None else _padded(seen, start, stop)
        anew = was == NEVER
        self.reread(name, nodes[anew], new=True)
        self.reread(name, nodes[~anew])
        states.mark(nodes[was != reads_of(self._graph, self.model, name, nodes)], self._tick)
        if not self._unread:
            self._seen.clear()
        return len(nodes)

    def kept(self) -> dict[str, Kept]:
        """The states as they are, and what they were computed from: of nodes that wait, nothing."""
        found: dict[str, Kept] = {}
        for name, states in self._states.items():
            reads = reads_of(self._graph, self.model, name)[: states.n]
            reads[states.dirty[:, : states.n].any(axis=0)] = NEVER
            for _, start, stop in (part for part in self._unread if part[0] == name):
                reads[start:stop] = NEVER
            h = [states.h(layer).copy() for layer in range(states.depth + 1)]
            hub = states.hub[:, : states.n].copy()
            if self._hub is not None and self._hub.node_type == name:
                hub[self._hub.layer, self._hub.node] = True
            nodes = np.arange(states.n, dtype=np.int64)
            found[name] = Kept(nodes, h, reads, states.owed[:, : states.n].copy(), hub)
        return found


def _written(h: Floats, nodes: Ints, own: Floats) -> Floats:
    """A copy with other rows."""
    copy = h.copy()
    copy[nodes] = own
    return copy


def _share(values: Floats) -> Floats:
    """Of the largest of them."""
    largest = max(float(values.max(initial=0)), _TINY)
    return np.asarray(values / largest, dtype=np.float32)


def _padded(seen: Marks, start: int, stop: int) -> Marks:
    found = np.zeros(stop - start, dtype=np.uint64)
    part = seen[start:stop]
    found[: len(part)] = part
    return found
