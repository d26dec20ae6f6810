"""Users and items whose records or consents changed: told from any thread, taken up a few at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.known import Known
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.spaces import Spaces
from shopkeeper.stores.catalog import Catalog

_AT_ONCE = 256
"""Users, and items, that are read from SQL in one turn."""


class Changed:
    """`described` are the rows of users with attributes, kept here. `take_up` is the followers' thread's."""

    def __init__(
        self,
        graph: LiveGraph,
        known: Known,
        spaces: Spaces,
        catalog: Catalog,
        *,
        allows: Callable[[int], bool],
        touch: Callable[..., None],
    ) -> None:
        self._graph = graph
        self._known = known
        self._spaces = spaces
        self._catalog = catalog
        self._allows = allows
        self._touch = touch
        self._lock = threading.Lock()
        self._users: set[int] = set()
        self._items: set[int] = set()
        self.described: set[int] = set()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._users) + len(self._items)

    def users(self, rows: Iterable[int]) -> None:
        with self._lock:
            self._users.update(rows)

    def items(self, rows: Iterable[int]) -> None:
        with self._lock:
            self._items.update(rows)

    async def describe_all(self) -> None:
        """Who has attributes, as of now."""
        self.described = await asyncio.to_thread(self._known.described)

    def take_up(self) -> bool:
        """A few of them; the graph has room for them all. False: nobody waits any more.

        Raises Unavailable when the database does not answer: they wait further.
        """
        with self._lock:
            users, items = set(islice(self._users, _AT_ONCE)), set(islice(self._items, _AT_ONCE))
            self._users -= users
            self._items -= items
        if not users and not items:
            return False
        try:
            self._take_up_users([row for row in sorted(users) if 0 <= row < self._graph.nodes[USER]])
            self._take_up_items([row for row in sorted(items) if row < len(self._catalog)])
        except ShopkeeperError:
            self.users(users)
            self.items(items)
            raise
        return True

    def _take_up_users(self, rows: list[int]) -> None:
        for row in rows:
            allowed = self._allows(row)
            if allowed == self._graph.refused(row):
                touched = self._graph.allow(row) if allowed else self._graph.refuse(row)
                self._touch(touched, taken_back=not allowed)
                if not allowed:
                    self._spaces.clear(row)
        described = self._known.people(rows)
        self.described.difference_update(rows)
        self.described.update(row for row, attributes in described.items() if attributes)
        for living in self._spaces.both():
            living.engine.reread(USER, np.array(rows, dtype=np.int64))

    def _take_up_items(self, rows: list[int]) -> None:
        moved: Touched = self._graph.move(rows, self._catalog.category)
        self._touch(moved, taken_back=True)
        places: dict[str, list[int]] = {}
        for row in rows:
            kind, place = self._graph.node_of(row)
            places.setdefault(kind, []).append(place)
        for kind, found in places.items():
            nodes: Ints = np.array(found, dtype=np.int64)
            for living in self._spaces.both():
                living.engine.reread(kind, nodes)
