"""A log that changes as a shop's does, beside the live graph that is told of every change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from graph_world import TYPES, events, things

from shopkeeper.core.batch import EventBatch
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.build import ShopGraph, Things, build

USERS, ITEMS = 10, 12


class LiveLog:
    """`graph` was told all that `whole` builds from."""

    def __init__(self) -> None:
        self.graph = LiveGraph(TYPES)
        self.log = EventBatch.empty()
        self.things = things(ITEMS)
        self.refused: set[int] = set()
        self.grow()

    def grow(self) -> None:
        self.graph.grow(USERS, self.things.kind, self.things.category, ITEMS)

    def come(self, seed: int, n: int) -> Touched:
        batch = events(seed, n, n_users=USERS, n_items=ITEMS, first_seq=len(self.log) + 1)
        self.log = EventBatch.join([self.log, batch])
        return self.graph.add(batch)

    def merge(self, source: int, target: int) -> Touched:
        if source == target:
            return {}
        renamed = (np.where(rows == source, np.int32(target), rows) for rows in (self.log.user, self.log.other))
        user, other = renamed
        self.log = replace(self.log, user=user, other=other)
        touched = self.graph.merge(source, target)
        if source in self.refused:  # what either has refused stays refused
            self.refused.add(target)
        if target in self.refused:
            self.refused.add(source)
        for row in (source, target):  # the merged row is nobody's: what is said of it does not matter
            _more(touched, self.graph.refuse(row) if row in self.refused else self.graph.allow(row))
        return touched

    def forget(self, row: int) -> Touched:
        gone = (self.log.user == row) | (self.log.other == row)
        user, other = (np.where(gone, np.int32(-1), rows) for rows in (self.log.user, self.log.other))
        self.log = replace(self.log, user=user, other=other, item=np.where(gone, np.int32(-1), self.log.item))
        return self.graph.forget(row)

    def refuse(self, row: int) -> Touched:
        self.refused.add(row)
        return self.graph.refuse(row)

    def allow(self, row: int) -> Touched:
        self.refused.discard(row)
        return self.graph.allow(row)

    def move(self, row: int, category: str | None) -> Touched:
        categories = [*self.things.category]
        categories[row] = category
        self.things = Things(self.things.kind, categories)
        return self.graph.move([row], categories)

    def change(self, what: tuple[int, int, int]) -> Touched:
        """Something of it: one of seven kinds, by two numbers."""
        kind, a, b = what
        row, other = a % USERS, b % USERS
        if kind <= 2:
            return self.come(a, b % (40 if kind else 2))
        if kind == 3:
            return self.merge(row, other)
        if kind == 4:
            return self.forget(row)
        if kind == 5:
            return self.allow(row) if row in self.refused else self.refuse(row)
        return self.move(a % ITEMS, None if b % 4 == 3 else f"c{b % 6}")

    def whole(self) -> ShopGraph:
        return build(self.log, n_users=USERS, things=self.things, types=TYPES, refused=self.refused)


def _more(touched: Touched, more: Touched) -> None:
    for node_type, nodes in more.items():
        touched.setdefault(node_type, []).extend(nodes)
