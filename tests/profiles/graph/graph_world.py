"""Small graphs and models with random numbers: what inference computes does not depend on whether a model is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph.build import Things, relation_name
from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema, Relation
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats, Head, Layer, RelationWeights, TypeWeights

NOW = 1_700_000_000_000_000
TYPES = ("view", "order", "call")
SCHEMA = GraphSchema.of(
    (USER, "product", "app", CATEGORY),
    [
        Relation(USER, "view", "product"),
        Relation(USER, "order", "product"),
        Relation(USER, "view", "app"),
        Relation(USER, "call", USER),
        Relation("product", "in", CATEGORY),
        Relation("app", "in", CATEGORY),
    ],
)


@dataclass(frozen=True)
class RandomModel:
    """GraphWeights with random numbers. Layer 0: of users age and plan, of items price and a number drawn by the id."""

    schema: GraphSchema = SCHEMA
    layers: Sequence[Layer] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    recent: int = 5
    dim: int = 9

    def inputs(self, node_type: str, ids: Sequence[str], table: NodeTable) -> Floats:
        h = np.zeros((table.n, WIDTH), dtype=np.float32)
        if node_type == USER:
            age = table.numbers.get("age", np.full(table.n, np.nan))
            h[:, 0] = np.where(np.isnan(age), 0, age / 50)
            plans = table.words.get("plan", [None] * table.n)
            h[:, 1] = [0 if plan is None else len(plan) / 5 for plan in plans]
        elif node_type != CATEGORY:
            price = table.numbers.get("price", np.full(table.n, np.nan))
            h[:, 0] = np.where(np.isnan(price), 0, np.log1p(np.abs(price)))
            for at, one in enumerate(ids):
                h[at, 1:] = np.random.default_rng(abs(hash_of(one))).normal(size=WIDTH - 1)
        else:
            h[:, 0] = 1
        return h


WIDTH = 6


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "little") % (2**31)


def random_model(seed: int = 0, *, depth: int = 2, recent: int = 5, schema: GraphSchema = SCHEMA) -> RandomModel:
    """Layers of widths 6, 8, 8; two heads of attention; an offset in the space."""
    rng = np.random.default_rng(seed)

    def some(*shape: int, scale: float = 0.6) -> Floats:
        return (rng.normal(size=shape) * scale).astype(np.float32)

    def time() -> Floats:
        table = some(BUCKETS, 8)
        table[0] = 0
        return table

    layers = []
    for number in range(depth):
        d_in = WIDTH if number == 0 else 8
        types = {
            name: TypeWeights(
                some(d_in, 8),
                some(8),
                some(8, 8),
                some(8),
                0.0 if d_in != 8 else 0.4,
                (1 + some(8, scale=0.1), some(8, scale=0.1)) if number else None,
            )
            for name in schema.node_types
        }
        relations = {
            relation: RelationWeights(some(d_in, 8), some(8), time(), some(d_in, 8), some(8), time())
            for relation in schema.relations
        }
        layers.append(Layer(2, types, relations))
    heads = {
        name: Head(some(8, 8), some(8), None if name == USER else some(8), 0.0 if name == USER else 0.3)
        for name in schema.node_types
        if name != CATEGORY
    }
    return RandomModel(schema, layers, heads, recent)


def things(n_items: int = 12) -> Things:
    """Two in three are products, the rest apps; four categories, one item in five has none."""
    kinds = ["app" if row % 3 == 2 else "product" for row in range(n_items)]
    categories = [None if row % 5 == 4 else f"c{row % 4}" for row in range(n_items)]
    return Things(kinds, categories)


def events(seed: int, n: int, *, n_users: int = 10, n_items: int = 12, first_seq: int = 1) -> EventBatch:
    """Views, orders and calls of the last 200 days in any order of time; some of nobody, some of nothing."""
    rng = np.random.default_rng(seed)
    user = rng.integers(-1, n_users, n).astype(np.int32)
    item = rng.integers(-1, n_items, n).astype(np.int32)
    kind = rng.integers(0, len(TYPES), n).astype(np.int32)
    calls = kind == TYPES.index("call")
    item[calls] = -1
    other = np.where(calls, rng.integers(-1, n_users, n), -1).astype(np.int32)
    time = NOW - rng.integers(0, 200, n) * DAY - rng.integers(0, 3, n) * 1_000_000
    nothing = np.full(n, np.nan)
    return EventBatch(
        np.arange(first_seq, first_seq + n, dtype=np.int64),
        user,
        item,
        other,
        kind,
        np.full(n, -1, dtype=np.int32),
        time.astype(np.int64),
        nothing,
        nothing,
        nothing,
        np.zeros(n, dtype=np.bool_),
    )


def names_of(batch: EventBatch) -> set[str]:
    """Of the relations that its events can make."""
    return {relation_name(TYPES[row]) for row in np.unique(batch.type).tolist()}
