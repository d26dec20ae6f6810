"""Small random graphs with several node types, hubs, nodes without edges and edges of one moment."""

from __future__ import annotations

import numpy as np

from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.schema import GraphSchema, Relation

CALL = Relation("user", "call", "user")
ORDER = Relation("user", "order", "product")
IN = Relation("product", "in", "category")


def random_graph(
    seed: int, users: int = 30, products: int = 12, categories: int = 3, edges: int = 200, times: int = 50
) -> HeteroGraph:
    rng = np.random.default_rng(seed)
    nodes = {"user": users, "product": products, "category": categories}

    def drawn(relation: Relation, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # squared: the first nodes are hubs, the last ones have few edges or none
        source = (rng.random(m) ** 2 * nodes[relation.source]).astype(np.int32)
        target = (rng.random(m) ** 2 * nodes[relation.target]).astype(np.int32)
        time = rng.integers(0, times, m) if relation is not IN else np.full(m, NO_TIME)
        return source, target, time.astype(np.int64)

    forward = {ORDER: drawn(ORDER, edges), CALL: drawn(CALL, edges // 4), IN: drawn(IN, products)}
    return HeteroGraph.of(GraphSchema.of(nodes, forward), nodes, forward)
