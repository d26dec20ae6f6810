"""A heterogeneous graph in arrays: the edges of each relation by destination, then by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph.schema import GraphSchema, Relation

NO_TIME = np.iinfo(np.int64).min
"""The time of an edge that was always there (a product's category)."""
_HOUR = DAY // 24
_BORDERS = np.array(
    [_HOUR, 3 * _HOUR, 12 * _HOUR, *(days * DAY for days in (1, 2, 4, 7, 14, 28, 56, 112, 224, 365, 730))],
    dtype=np.int64,
)
BUCKETS = len(_BORDERS) + 2
"""Ages of edges: 0 without a time, 1 under an hour, ... 15 two years and more."""


def age_buckets(time: NDArray[np.int64], reference: int | NDArray[np.int64]) -> NDArray[np.int8]:
    """int8 (m,) in [0, BUCKETS): how old edges are at `reference` (us), one for all or (m,); what is later is new."""
    age = np.maximum(reference - np.where(time == NO_TIME, reference, time), 0)
    bucket = (np.searchsorted(_BORDERS, age, side="right") + 1).astype(np.int8)
    return np.where(time == NO_TIME, np.int8(0), bucket)


@dataclass(frozen=True)
class Edges:
    """Of one relation. Edge j of destination i has its place in `indptr[i]:indptr[i + 1]`, old before new.

    `indptr` int64 (n_targets + 1,), `source` int32 (m,) positions among the source type's nodes, `time` int64 (m,) us.
    """

    indptr: NDArray[np.int64]
    source: NDArray[np.int32]
    time: NDArray[np.int64]

    @classmethod
    def of(cls, target: NDArray[np.int32], source: NDArray[np.int32], time: NDArray[np.int64], n_targets: int) -> Edges:
        """From edges in any order, all (m,). Edges of one moment keep their order."""
        order = _order(target, time)
        indptr = np.zeros(n_targets + 1, dtype=np.int64)
        np.cumsum(np.bincount(target, minlength=n_targets), out=indptr[1:])
        return cls(indptr, source[order].astype(np.int32), time[order])

    @classmethod
    def none(cls, n_targets: int) -> Edges:
        return cls(np.zeros(n_targets + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.source)

    @property
    def n_targets(self) -> int:
        return len(self.indptr) - 1

    @property
    def degree(self) -> NDArray[np.int64]:
        """int64 (n_targets,): edges into each destination."""
        return np.diff(self.indptr)

    @property
    def target(self) -> NDArray[np.int32]:
        """int32 (m,): the destination of each edge."""
        return np.repeat(np.arange(self.n_targets, dtype=np.int32), self.degree)

    def where(self, kept: NDArray[np.bool_]) -> Edges:
        """Only the edges of a mask (m,)."""
        before = np.zeros(len(kept) + 1, dtype=np.int64)
        np.cumsum(kept, out=before[1:])
        return Edges(before[self.indptr], self.source[kept], self.time[kept])

    def before(self, moment: int) -> Edges:
        """Only what is strictly older than `moment` (us); edges without a time always are."""
        return self.where(self.time < moment)

    def newest(self, most: int) -> Edges:
        """At most `most` edges into each destination: the newest."""
        left = np.repeat(self.indptr[1:], self.degree) - np.arange(len(self))
        return self if not len(self) or (left.max() <= most and self.degree.max() <= most) else self.where(left <= most)


def _order(target: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """What `np.lexsort((time, target))` gives, in less than half of the time: a log is nearly in order of time, and
    numbers of 16 bits are sorted by counting."""
    order = np.argsort(time, kind="stable")
    low = target.astype(np.uint16)  # what is over is cut off
    order = order[np.argsort(low[order], kind="stable")]
    if len(target) and target.max() > np.iinfo(np.uint16).max:
        high = (target >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


@dataclass(frozen=True)
class HeteroGraph:
    """`nodes` of each type; nodes are positions 0 ... n - 1 of their type. `edges` of every relation of the schema."""

    schema: GraphSchema
    nodes: Mapping[str, int]
    edges: Mapping[Relation, Edges]

    @classmethod
    def of(
        cls,
        schema: GraphSchema,
        nodes: Mapping[str, int],
        forward: Mapping[Relation, tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]],
    ) -> HeteroGraph:
        """From `(source, target, time)` of the relations that run forward; the reverse ones are made here. A relation
        that is missing has no edges."""
        edges: dict[Relation, Edges] = {}
        for relation in schema.forward:
            n, m = nodes[relation.target], nodes[relation.source]
            if relation not in forward:
                edges[relation], edges[relation.reverse] = Edges.none(n), Edges.none(m)
                continue
            source, target, time = forward[relation]
            edges[relation] = Edges.of(target, source, time, n)
            edges[relation.reverse] = Edges.of(source, target, time, m)
        return cls(schema, dict(nodes), edges)

    def __len__(self) -> int:
        """Edges of all relations, the reverse ones too."""
        return sum(len(edges) for edges in self.edges.values())

    def before(self, moment: int) -> HeteroGraph:
        """As it was before `moment` (us): the same nodes, only older edges."""
        older = {relation: edges.before(moment) for relation, edges in self.edges.items()}
        return HeteroGraph(self.schema, self.nodes, older)

    def newest(self, most: int) -> HeteroGraph:
        """At most `most` edges of each relation into each node."""
        kept = {relation: edges.newest(most) for relation, edges in self.edges.items()}
        return HeteroGraph(self.schema, self.nodes, kept)
