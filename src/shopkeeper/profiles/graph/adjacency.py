"""The graph of a shop while it lives: grown by events, with edges taken back when a person goes or does not agree.

It holds what `build` would make of the same log. Users are nodes by row; an item's position among those of its kind,
and a category's, is given when it is first seen and never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.features.base import grown
from shopkeeper.profiles.graph.build import IN, event_edges, kind_name, relation_name, usable
from shopkeeper.profiles.graph.hetero import NO_TIME, Edges
from shopkeeper.profiles.graph.incoming import Incoming, Ints
from shopkeeper.profiles.graph.schema import CATEGORY, USER, Relation
from shopkeeper.profiles.graph.statistics import GraphStatistics, statistics

Touched: TypeAlias = dict[str, list[Ints]]
"""Nodes whose incoming edges have changed, by type; they may be named twice."""
_NOBODY = np.empty(0, dtype=np.int64)


class LiveGraph:
    """`types` gives the name of an event type's row; it may grow. One thread at a time."""

    def __init__(self, types: Sequence[str]) -> None:
        self._types = types
        self.nodes: dict[str, int] = {USER: 0}
        self.relations: dict[Relation, Incoming] = {}
        self.categories: dict[str, int] = {}
        self.dropped = {"no_user": 0, "no_target": 0, "refused": 0}
        self._rows: dict[str, NDArray[np.int32]] = {}  # item rows by position, of each kind
        self._kinds: list[str] = []
        self._n_items = 0
        self._kind_of = np.empty(0, dtype=np.int16)  # by item row, a place in _kinds
        self._place = np.empty(0, dtype=np.int32)
        self._category_of: list[str | None] = []
        self._refused = np.empty(0, dtype=np.bool_)
        self._shelf: list[EventBatch] = []  # events of who does not agree now

    # -- nodes

    def grow(self, n_users: int, kinds: Sequence[str], categories: Sequence[str | None], n_items: int) -> None:
        """Nodes up to these numbers; new items (kind and category by row) come with the edge to their category."""
        self.nodes[USER] = max(self.nodes[USER], n_users)
        self._refused = grown(self._refused, n_users)
        if n_items > self._n_items:
            first, self._n_items = self._n_items, n_items
            self._kind_of, self._place = grown(self._kind_of, n_items), grown(self._place, n_items)
            for row in range(first, n_items):
                self._new_item(row, kind_name(kinds[row]))
            self._category_of += [None] * (n_items - first)
            self._categorise(range(first, n_items), categories)
        self._make_room()

    def move(self, rows: Iterable[int], categories: Sequence[str | None]) -> Touched:
        """Items of these rows are in other categories now."""
        touched: Touched = {}
        for row in rows:
            old = self._category_of[row]
            if row >= self._n_items or old == categories[row]:
                continue
            if old:
                kind, place = self.node_of(row)
                into = Relation(kind, IN, CATEGORY)
                _take_edges(self.relations[into], self.categories[old], place)
                _take_edges(self.relations[into.reverse], place, self.categories[old])
                _touch(touched, CATEGORY, self.categories[old])
                _touch(touched, kind, place)
            _join(touched, self._categorise([row], categories))
        return touched

    def node_of(self, row: int) -> tuple[str, int]:
        """Node type and position of an item row."""
        return self._kinds[self._kind_of[row]], int(self._place[row])

    def item_rows(self, kind: str) -> NDArray[np.int32]:
        """int32 (n,): the item row of each node of a kind."""
        return self._rows[kind][: self.nodes[kind]]

    @property
    def item_types(self) -> tuple[str, ...]:
        return tuple(self._kinds)

    def place(self, node_type: str, key: int | str) -> int | None:
        """The position of a user's or an item's row, or of a category's name; None for what is no node of the type."""
        if node_type == CATEGORY:
            return self.categories.get(str(key))
        row = int(key)
        if node_type == USER:
            return row if row < self.nodes[USER] else None
        if row >= self._n_items or self.node_of(row)[0] != node_type:
            return None
        return self.node_of(row)[1]

    def places(self, node_type: str, rows: Ints) -> Ints:
        """The same of many rows of users or items: int64 (k,), -1 for what is no node of the type."""
        if node_type == USER:
            return np.where(rows < self.nodes[USER], rows, -1)
        found = np.full(len(rows), -1, dtype=np.int64)
        if node_type in self._kinds:
            inside = np.flatnonzero(rows < self._n_items)
            mine = inside[self._kind_of[rows[inside]] == self._kinds.index(node_type)]
            found[mine] = self._place[rows[mine]]
        return found

    # -- edges

    def add(self, events: EventBatch) -> Touched:
        """Edges of events, in log order from call to call; `grow` first. Of who does not agree they are put aside."""
        held = self._held(events)
        if held.any():
            self._put_aside(events.take(held))
            self.dropped["refused"] += int(np.count_nonzero(held))
            events = events.take(~held)
        kept, dropped = usable(events, self.nodes[USER], self._n_items, _NOBODY)
        for reason in ("no_user", "no_target"):
            self.dropped[reason] += dropped[reason]
        touched: Touched = {}
        edges = event_edges(kept, self._kinds, self._kind_of, self._place, self._types)
        for relation, at, source, target in edges:
            _join(touched, self._connect(relation, source, target, kept.time[at], kept.seq[at]))
        return touched

    @contextmanager
    def trial(self, events: EventBatch) -> Iterator[Touched]:
        """As it would be after events with numbers that no event of the log has; afterwards it is as it was."""
        dropped, shelf = dict(self.dropped), list(self._shelf)
        touched = self.add(events)
        try:
            yield touched
        finally:
            for row in np.unique(events.user[events.user >= 0]).tolist():
                self._withdraw(row, events.seq)
            self.dropped, self._shelf = dropped, shelf

    def merge(self, source: int, target: int) -> Touched:
        """All edges of user row `source` are of `target`."""
        if bool(self._refused[source]) != bool(self._refused[target]):
            touched = self.refuse(source)
            _join(touched, self.refuse(target))
        else:
            touched = {}
        self._shelf = [
            replace(events, user=_renamed(events.user, source, target), other=_renamed(events.other, source, target))
            for events in self._shelf
        ]
        mine = [relation for relation in self.relations if relation.target == USER]
        ends = {relation: np.unique(self.relations[relation].of(source)[0]).tolist() for relation in mine}
        for relation, nodes in ends.items():
            for node in nodes:
                self.relations[relation.reverse].rename(node, source, target)
                _touch(touched, relation.source, node)
        for relation in mine:
            incoming = self.relations[relation]
            heard, time, order = incoming.copy_of(source)
            incoming.take(source, np.ones(len(heard), dtype=np.bool_))
            incoming.add(np.full(len(heard), target, dtype=np.int64), heard, time, order)
        _touch(touched, USER, source, target)
        return touched

    def forget(self, row: int) -> Touched:
        """No edge of the user's stays, nor an event put aside."""
        touched, _ = self._withdraw(row)
        self._shelf = [events.take((events.user != row) & (events.other != row)) for events in self._shelf]
        self._shelf = [events for events in self._shelf if len(events)]
        return touched

    # -- consent

    def refused(self, row: int) -> bool:
        return bool(self._refused[row])

    def refuse(self, row: int) -> Touched:
        """The user does not agree to be profiled: the edges are put aside, and those of events to come."""
        if self._refused[row]:
            return {}
        self._refused[row] = True
        touched, events = self._withdraw(row)
        if len(events):
            self._put_aside(events)
            self.dropped["refused"] += len(events)
        return touched

    def allow(self, row: int) -> Touched:
        """The user agrees, again."""
        if not self._refused[row]:
            return {}
        self._refused[row] = False
        aside = EventBatch.join(self._shelf)
        held = self._held(aside)
        self._shelf = [aside.take(held)] if held.any() else []
        back = aside.take(~held)
        self.dropped["refused"] -= len(back)
        touched = self.add(back.take(np.argsort(back.seq)))
        _touch(touched, USER, row)
        return touched

    # -- asking

    def newest(self, relation: Relation, nodes: Ints | None, most: int) -> Edges:
        """What is read into nodes (k,), or into all of the type, along a relation. One that is not there: nothing."""
        incoming = self.relations.get(relation)
        if incoming is None:
            return Edges.none(self.nodes.get(relation.target, 0) if nodes is None else len(nodes))
        return incoming.newest(nodes, most)

    def degree(self, node_type: str, nodes: Ints | None = None) -> Ints:
        """int64 (k,): edges into nodes of a type, of all relations."""
        total = np.zeros(self.nodes.get(node_type, 0) if nodes is None else len(nodes), dtype=np.int64)
        for relation, incoming in self.relations.items():
            if relation.target == node_type:
                total += incoming.degree(nodes)
        return total

    def statistics(self) -> GraphStatistics:
        """Each edge once: that it is read the other way too is no other edge."""
        forward = [relation for relation in sorted(self.relations) if not relation.backward]
        edges = {relation: count for relation in forward if (count := len(self.relations[relation]))}
        return statistics(self.nodes, edges, self.dropped)

    def __len__(self) -> int:
        return sum(len(incoming) for relation, incoming in self.relations.items() if not relation.backward)

    # -- inside

    def _new_item(self, row: int, kind: str) -> None:
        if kind not in self._rows:
            self._rows[kind], self.nodes[kind] = np.empty(0, dtype=np.int32), 0
            self._kinds.append(kind)
        place = self.nodes[kind]
        self._rows[kind] = grown(self._rows[kind], place + 1)
        self._rows[kind][place] = row
        self._kind_of[row], self._place[row] = self._kinds.index(kind), place
        self.nodes[kind] = place + 1

    def _categorise(self, rows: Iterable[int], categories: Sequence[str | None]) -> Touched:
        found: dict[str, list[tuple[int, int, int]]] = {}
        for row in rows:
            category = self._category_of[row] = categories[row]
            if category:
                number = self.categories.setdefault(category, len(self.categories))
                kind, place = self.node_of(row)
                found.setdefault(kind, []).append((place, number, row))
        if self.categories:
            self.nodes[CATEGORY] = len(self.categories)
        touched: Touched = {}
        for kind, edges in found.items():
            place, number, order = np.array(edges, dtype=np.int64).T
            time = np.full(len(edges), NO_TIME)
            relation = Relation(kind, IN, CATEGORY)
            _join(touched, self._connect(relation, place.astype(np.int32), number.astype(np.int32), time, order))
        self._make_room()
        return touched

    def _make_room(self) -> None:
        for relation, incoming in self.relations.items():
            incoming.grow(self.nodes[relation.target])

    def _connect(
        self, relation: Relation, source: NDArray[np.int32], target: NDArray[np.int32], time: Ints, order: Ints
    ) -> Touched:
        touched: Touched = {}
        for one, at, heard in ((relation, target, source), (relation.reverse, source, target)):
            incoming = self.relations.get(one)
            if incoming is None:
                incoming = self.relations[one] = Incoming()
            incoming.grow(self.nodes[one.target])
            incoming.add(at.astype(np.int64), heard, time, order)
            touched.setdefault(one.target, []).append(at.astype(np.int64))
        return touched

    def _held(self, events: EventBatch) -> NDArray[np.bool_]:
        """bool (m,): which events are of, or aim at, somebody who does not agree."""
        n = self.nodes[USER]
        held = np.zeros(len(events), dtype=np.bool_)
        for rows in (events.user, events.other):
            inside = (rows >= 0) & (rows < n)
            held[inside] |= self._refused[rows[inside]]
        return held

    def _withdraw(self, row: int, seqs: Ints | None = None) -> tuple[Touched, EventBatch]:
        """Takes the edges of a user's (of some events) out of the graph, and tells the events that they were."""
        touched: Touched = {}
        _touch(touched, USER, row)
        events: list[EventBatch] = []
        for relation in [relation for relation in self.relations if relation.target == USER]:
            incoming, other_way = self.relations[relation], self.relations[relation.reverse]
            heard, time, order = incoming.copy_of(row)
            gone = np.ones(len(heard), dtype=np.bool_) if seqs is None else np.isin(order, seqs)
            if not gone.any():
                continue
            incoming.take(row, gone)
            heard, time, order = heard[gone], time[gone], order[gone]
            for node in np.unique(heard).tolist():
                back, _, orders = other_way.of(node)
                other_way.take(node, (back == row) & np.isin(orders, order[heard == node]))
                _touch(touched, relation.source, node)
            events.append(self._events(relation, row, heard, time, order))
        return touched, EventBatch.join(events)

    def _put_aside(self, events: EventBatch) -> None:
        """Batches of about one size are joined, so that a few hold what came one by one."""
        self._shelf.append(events)
        while len(self._shelf) > 1 and len(self._shelf[-2]) <= 2 * len(self._shelf[-1]):
            self._shelf[-2:] = [EventBatch.join(self._shelf[-2:])]

    def _events(self, relation: Relation, row: int, heard: NDArray[np.int32], time: Ints, order: Ints) -> EventBatch:
        n = len(heard)
        me, nobody = np.full(n, row, dtype=np.int32), np.full(n, -1, dtype=np.int32)
        user, item, other = me, nobody, nobody
        if relation.source != USER:
            item = self._rows[relation.source][heard]
        elif relation.backward:
            other = heard
        else:
            user, other = heard, me
        name = relation.reverse.name if relation.backward else relation.name
        kind = next(at for at in range(len(self._types)) if relation_name(self._types[at]) == name)
        nothing, never = np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
        types = np.full(n, kind, dtype=np.int32)
        return EventBatch(order, user, item, other, types, nobody, time, nothing, nothing, nothing, never)


def _take_edges(incoming: Incoming, node: int, source: int) -> None:
    incoming.take(node, incoming.of(node)[0] == source)


def _renamed(rows: NDArray[np.int32], source: int, target: int) -> NDArray[np.int32]:
    return np.where(rows == source, np.int32(target), rows)


def _touch(touched: Touched, node_type: str, *nodes: int) -> None:
    touched.setdefault(node_type, []).append(np.array(nodes, dtype=np.int64))


def _join(into: Touched, more: Mapping[str, list[Ints]]) -> None:
    for node_type, nodes in more.items():
        into.setdefault(node_type, []).extend(nodes)
