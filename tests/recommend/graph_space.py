"""A vector space over the small shop: computed from its graph by a graph model whose numbers were drawn."""

from __future__ import annotations

import numpy as np
from recommend_world import TYPES, World, shop_log

from shopkeeper.checks.recall import NOW
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.build import Things, build
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.schema import CATEGORY, USER
from shopkeeper.profiles.graph.tables import NodeTable


class Space:
    """Vectors as of NOW. Row `without` is a user who has no place in it."""

    name = "hgt"

    def __init__(self, world: World, *, seed: int = 3, without: int = 59) -> None:
        self.version: str | None = "hgt/7"
        self._without = without
        shelf = world.shelf
        shop = build(
            shop_log().events, n_users=len(world.users), things=Things(shelf.kind, shelf.category), types=TYPES
        )
        graph = shop.graph
        tables = {name: NodeTable(graph.nodes[name]) for name in graph.schema.node_types}
        ids = {kind: tuple(shelf.ids[row] for row in rows.tolist()) for kind, rows in shop.rows.items()}
        ids[CATEGORY] = shop.names[CATEGORY]
        model = HgtModel.untrained(graph.schema, tables, ids, seed=seed)
        inputs = {name: model.inputs(name, ids.get(name, ()), table) for name, table in tables.items()}
        found = embed_all(model, graph, inputs, NOW)
        self.users = found[USER]
        self.rows, self.vectors = shop.rows["product"], found["product"]

    def user_vector(self, row: int) -> np.ndarray | None:
        return self.users[row] if 0 <= row < len(self.users) and row != self._without else None

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        return (self.rows, self.vectors) if self.version else (self.rows[:0], self.vectors[:0])
