"""A version of the graph model: encoders, layers and heads folded for serving, and the vectors of the items.

What is saved holds no user and no edge. `item_vectors` are those of the last moment that the training read; another
model that learns from them (fusion) so sees nothing of what came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph import parameters, storing
from shopkeeper.profiles.graph.encoders import SMALL, TypeEncoder, fitted_fields, started
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats, Head, Layer, RelationWeights, TypeWeights

RECENT = 32
PLAIN = Shape()


def ranked_types(schema: GraphSchema) -> tuple[str, ...]:
    """Node types of items: what a user's vector ranks."""
    return tuple(node_type for node_type in schema.node_types if node_type not in (USER, CATEGORY))


@dataclass(frozen=True)
class HgtModel:
    """`encoders` of every node type; `heads` of users and items. `reference` (us): the moment of `item_vectors`.
    `summary`: how the training went (docs/graph.md). `learned` and `shape`: the numbers as they were learned, from
    which another training can begin (`warm`); nothing that serves reads them."""

    schema: GraphSchema
    encoders: Mapping[str, TypeEncoder]
    layers: tuple[Layer, ...]
    heads: Mapping[str, Head]
    recent: int = RECENT
    reference: int = 0
    item_ids: tuple[str, ...] = ()
    item_vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    summary: Mapping[str, Any] = field(default_factory=dict)
    shape: Shape | None = None
    learned: Mapping[str, Floats] = field(default_factory=dict)

    feature_names: ClassVar[tuple[str, ...]] = ()

    @property
    def dim(self) -> int:
        first = next(iter(self.heads.values()))
        return len(first.bias) + any(head.offset_w is not None for head in self.heads.values())

    def inputs(self, node_type: str, ids: Sequence[str], table: NodeTable) -> Floats:
        """h of layer 0, float32 (n, d_in). `ids`: item ids, of categories their names; of users they are not read.
        Raises Invalid for a node type that the model does not know."""
        if node_type not in self.encoders:
            raise Invalid(f"this model knows no nodes of type {node_type!r}, only {', '.join(self.encoders)}")
        return self.encoders[node_type](ids, table)

    @classmethod
    def untrained(
        cls,
        schema: GraphSchema,
        tables: Mapping[str, NodeTable],
        ids: Mapping[str, Sequence[str]] | None = None,
        *,
        shape: Shape = PLAIN,
        recent: int = RECENT,
        seed: int = 0,
    ) -> HgtModel:
        """As a training begins: encoders fitted on `tables`, all numbers drawn by `seed`. `ids` of the node types that
        have learned vectors. It publishes no `item_vectors` yet."""
        random = np.random.default_rng(seed)
        encoders = new_encoders(schema, tables, ids or {}, shape.width, random)
        numbers = parameters.initial(schema, shape, random)
        return cls.folded(schema, encoders, numbers, shape, recent=recent)

    @classmethod
    def folded(
        cls,
        schema: GraphSchema,
        encoders: Mapping[str, TypeEncoder],
        numbers: Mapping[str, Floats],
        shape: Shape,
        **more: Any,
    ) -> HgtModel:
        """From learned numbers as `parameters` names them."""
        layers = tuple(_plain(parameters.fold(numbers, schema, shape, at, np)) for at in range(shape.layers))
        named = (USER, *ranked_types(schema))
        heads = {name: _plain_head(parameters.head(numbers, name, offset=name != USER)) for name in named}
        return cls(schema, encoders, layers, heads, shape=shape, learned=dict(numbers), **more)

    def save(self, folder: Path) -> None:
        storing.write(self, folder)

    @classmethod
    def load(cls, folder: Path) -> HgtModel:
        """Raises Invalid when the files do not fit together."""
        return storing.checked(cls(**storing.read(folder)))


def new_encoders(
    schema: GraphSchema,
    tables: Mapping[str, NodeTable],
    ids: Mapping[str, Sequence[str]],
    width: int,
    random: np.random.Generator,
) -> dict[str, TypeEncoder]:
    """Fitted on `tables`, with learned numbers as before a training. Users get no ids, whatever is given."""
    made = {}
    for name in schema.node_types:
        fields = fitted_fields(name, tables[name]) if name in tables else ()
        mine = tuple(ids.get(name, ())) if name != USER else ()
        start = (SMALL * random.standard_normal(width)).astype(np.float32)
        vectors = (random.standard_normal((len(mine), width)) / np.sqrt(width)).astype(np.float32)
        made[name] = TypeEncoder(fields, started(fields, width, random), start, mine, vectors)
    return made


def _plain(layer: Layer) -> Layer:
    """Whole arrays of float32 in row order, scalars as floats: what is fast to read and what a file keeps."""
    types = {}
    for name, t in layer.types.items():
        norm = None if t.norm is None else (_own(t.norm[0]), _own(t.norm[1]))
        types[name] = TypeWeights(_own(t.query_w), _own(t.query_b), _own(t.out_w), _own(t.out_b), float(t.keep), norm)
    relations = {
        relation: RelationWeights(*(_own(getattr(each, what)) for what in storing.OF_RELATION))
        for relation, each in layer.relations.items()
    }
    return Layer(layer.heads, types, relations)


def _plain_head(head: Head) -> Head:
    offset = None if head.offset_w is None else _own(head.offset_w)
    return Head(_own(head.weight), _own(head.bias), offset, float(head.offset_b))


def _own(array: Any) -> Floats:
    return np.ascontiguousarray(array, dtype=np.float32)
