"""What records say of the nodes of a live graph, as encoders read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.reading import item_facts
from shopkeeper.profiles.graph.schema import CATEGORY, USER
from shopkeeper.profiles.graph.tables import NodeTable, table_apart
from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database

_CHUNK = 500
_I, _U = schema.items.c, schema.users.c


class Known:
    """Read from SQL when it is asked for. Of users who do not agree to be profiled nothing is known."""

    def __init__(self, db: Database, graph: LiveGraph, allows: Callable[[int], bool]) -> None:
        self._db = db
        self._graph = graph
        self._allows = allows

    def __call__(self, node_type: str, nodes: Ints) -> tuple[Sequence[str], NodeTable]:
        """Ids and attributes of nodes (k,) of a type; users have no ids here, categories nothing but their names."""
        if node_type == CATEGORY:
            names = list(self._graph.categories)
            return [names[node] for node in nodes.tolist()], NodeTable(len(nodes))
        if node_type == USER:
            attributes = self.people(nodes.tolist())
            return [], table_apart([attributes.get(row, {}) for row in nodes.tolist()])
        rows = self._graph.item_rows(node_type)[nodes].tolist()
        items = self._items(rows)
        return [items[row]["item_id"] for row in rows], table_apart([item_facts(items[row]) for row in rows])

    def people(self, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Attributes of those among these rows who have a record, and agree."""
        found: dict[int, dict[str, Any]] = {}
        query = select(_U.row, _U.attributes).where(_U.listed, _U.kind == "user")
        with self._db.read() as connection:
            for start in range(0, len(rows), _CHUNK):
                part = query.where(_U.row.in_(rows[start : start + _CHUNK]))
                found.update((row, attributes) for row, attributes in connection.execute(part).all())
        return {row: attributes for row, attributes in found.items() if self._allows(row)}

    def described(self) -> set[int]:
        """Rows of all who have attributes, whether they agree or not. From any thread."""
        query = select(_U.row, _U.attributes).where(_U.listed, _U.kind == "user")
        with self._db.read() as connection:
            return {row for row, attributes in connection.execute(query) if attributes}

    def _items(self, rows: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        found: dict[int, Mapping[str, Any]] = {}
        with self._db.read() as connection:
            for start in range(0, len(rows), _CHUNK):
                part = select(schema.items).where(_I.row.in_(rows[start : start + _CHUNK]))
                found.update((row["row"], dict(row)) for row in connection.execute(part).mappings().all())
        return found
