"""The numbers of a heterogeneous graph transformer as they are learned, and how they fold into what serves.

Layer l has for each node type t: key, query, value and out maps, the skip; for each relation: an attention and a
message matrix per head, a prior per head; and one table of relative time. `fold` makes a `weights.Layer` of them, for
arrays of numpy or of torch: `xp` is their module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.weights import Floats, Head, Layer, RelationWeights, TypeWeights

Numbers: TypeAlias = Mapping[str, Any]
"""Learned arrays by name, of numpy or of torch."""


@dataclass(frozen=True)
class Shape:
    """`width` numbers of a node in every layer, split among `heads`; `out` numbers of a vector before its offset.
    `timed` false: how old an edge is does not count."""

    width: int = 64
    out: int = 64
    heads: int = 4
    layers: int = 2
    norm: bool = True
    timed: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise Invalid(f"{self.width} numbers cannot be split evenly among {self.heads} heads", field="heads")


def initial(schema: GraphSchema, shape: Shape, random: np.random.Generator) -> dict[str, Floats]:
    """Before training. Names: `LAYER.type.NODE TYPE.WHAT`, `LAYER.relation.RELATION.WHAT`, `LAYER.time`,
    `head.NODE TYPE.WHAT`."""
    d, h, made = shape.width, shape.heads, dict[str, Floats]()
    for layer in range(shape.layers):
        made[f"{layer}.time"] = _normal(random, (BUCKETS, d), 0.3 / np.sqrt(d))
        for node_type in schema.node_types:
            at = f"{layer}.type.{node_type}"
            for what in ("key", "query", "value", "out"):
                made[f"{at}.{what}"] = _normal(random, (d, d), 1 / np.sqrt(d))
                made[f"{at}.{what}_shift"] = np.zeros(d, dtype=np.float32)
            made[f"{at}.skip"] = np.zeros((), dtype=np.float32)
            if shape.norm:
                made[f"{at}.norm"] = np.ones(d, dtype=np.float32)
                made[f"{at}.norm_shift"] = np.zeros(d, dtype=np.float32)
        for relation in schema.relations:
            at = f"{layer}.relation.{relation}"
            for what in ("attention", "message"):
                made[f"{at}.{what}"] = np.tile(np.eye(d // h, dtype=np.float32), (h, 1, 1))
            made[f"{at}.prior"] = np.ones(h, dtype=np.float32)
    for node_type in schema.node_types:
        made[f"head.{node_type}.weight"] = _normal(random, (d, shape.out), 1 / np.sqrt(d))
        made[f"head.{node_type}.shift"] = np.zeros(shape.out, dtype=np.float32)
        made[f"head.{node_type}.offset"] = np.zeros(d, dtype=np.float32)
        made[f"head.{node_type}.offset_shift"] = np.zeros((), dtype=np.float32)
    return made


def fold(numbers: Numbers, schema: GraphSchema, shape: Shape, layer: int, xp: Any) -> Layer:
    """One layer as it serves; its arrays are those of `xp`."""
    types = {node_type: _type(numbers, f"{layer}.type.{node_type}", shape, xp) for node_type in schema.node_types}
    relations = {relation: _relation(numbers, layer, relation, shape, xp) for relation in schema.relations}
    return Layer(shape.heads, types, relations)


def _type(numbers: Numbers, at: str, shape: Shape, xp: Any) -> TypeWeights:
    keep = 1.0 / (1.0 + xp.exp(-numbers[f"{at}.skip"]))
    norm = (numbers[f"{at}.norm"], numbers[f"{at}.norm_shift"]) if shape.norm else None
    out, shift = numbers[f"{at}.out"] * (1.0 - keep), numbers[f"{at}.out_shift"] * (1.0 - keep)
    return TypeWeights(numbers[f"{at}.query"], numbers[f"{at}.query_shift"], out, shift, keep, norm)


def _relation(numbers: Numbers, layer: int, relation: Relation, shape: Shape, xp: Any) -> RelationWeights:
    at, source = f"{layer}.relation.{relation}", f"{layer}.type.{relation.source}"
    h, each = shape.heads, shape.width // shape.heads
    scale = numbers[f"{at}.prior"][:, None, None] / each**0.5
    folded = []
    for what, matrix in (("key", numbers[f"{at}.attention"] * scale), ("value", numbers[f"{at}.message"])):
        weight, shift, time = numbers[f"{source}.{what}"], numbers[f"{source}.{what}_shift"], numbers[f"{layer}.time"]
        timed = time @ weight * float(shape.timed)
        # Row 0 is of edges without a time: it stays zero, whatever is learned.
        timed = xp.concatenate((timed[:1] * 0.0, timed[1:]), 0)
        for array in (weight, shift[None, :], timed):
            split = array.reshape(-1, h, each)
            folded.append(xp.einsum("nhi,hio->nho", split, matrix).reshape(-1, shape.width))
    key_w, key_b, key_time, value_w, value_b, value_time = folded
    return RelationWeights(key_w, key_b[0], key_time, value_w, value_b[0], value_time)


def head(numbers: Numbers, node_type: str, offset: bool) -> Head:
    """`offset`: what is ranked has a number of its own; what ranks has 1."""
    at = f"head.{node_type}"
    weight, shift = numbers[f"{at}.weight"], numbers[f"{at}.shift"]
    if not offset:
        return Head(weight, shift)
    return Head(weight, shift, numbers[f"{at}.offset"], numbers[f"{at}.offset_shift"])


def _normal(random: np.random.Generator, shape: tuple[int, ...], scale: float) -> Floats:
    return (scale * random.standard_normal(shape)).astype(np.float32)
