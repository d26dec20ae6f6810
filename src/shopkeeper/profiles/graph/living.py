"""One version's vectors while they serve: the engine, and what they are vectors of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.schema import CATEGORY, USER
from shopkeeper.profiles.graph.snapshot import Space, SpaceMeta, keys_of
from shopkeeper.profiles.graph.weights import Floats

SPACE = "hgt"


@dataclass
class Living:
    """`as_of` (us, real time): when a vector was last computed."""

    engine: Incremental
    meta: SpaceMeta
    as_of: int
    _items: tuple[int, NDArray[np.int32], Floats] | None = field(default=None, repr=False)

    @property
    def version(self) -> str:
        return f"{self.meta.model}/{self.meta.version}"

    def items(self, graph: LiveGraph) -> tuple[NDArray[np.int32], Floats]:
        """Item rows (m,) and vectors (m, dim) of all kinds that are ranked."""
        kinds = [kind for kind in graph.item_types if self.engine.vectors(kind) is not None]
        if len(kinds) == 1:
            return self._of(graph, kinds[0])
        if self._items is None or self._items[0] != self.engine.computed:
            parts = [self._of(graph, kind) for kind in kinds]
            rows = np.concatenate([np.empty(0, dtype=np.int32), *(rows for rows, _ in parts)])
            none = np.empty((0, self.engine.model.dim), dtype=np.float32)
            self._items = self.engine.computed, rows, np.concatenate([none, *(vectors for _, vectors in parts)])
        return self._items[1], self._items[2]

    def _of(self, graph: LiveGraph, kind: str) -> tuple[NDArray[np.int32], Floats]:
        vectors = self.engine.vectors(kind)
        assert vectors is not None
        return graph.item_rows(kind)[: len(vectors)], vectors

    def counts(self) -> dict[str, int]:
        """Vectors by node type."""
        found = {name: self.engine.vectors(name) for name in self.engine.types if name != CATEGORY}
        return {name: len(vectors) for name, vectors in found.items() if vectors is not None}

    def snapshot(self, graph: LiveGraph, seq: int) -> Space:
        """As it is after the event `seq`, copied."""
        kept = self.engine.kept()
        meta = SpaceMeta(
            model=self.meta.model,
            version=self.meta.version,
            data=self.meta.data,
            seq=seq,
            reference=self.meta.reference,
            built_at=self.meta.built_at,
            layers={name: len(states.h) for name, states in kept.items()},
            categories=list(graph.categories),
        )
        return Space(meta, keys_of(graph, kept), kept)


class LiveSpace:
    """The vector space `hgt` as recall and fusion read it, on the thread of the followers.

    Without a place in it: who does not agree to be profiled, and who has neither done anything nor a record.
    """

    name = SPACE

    def __init__(
        self,
        graph: LiveGraph,
        serving: Callable[[], Living | None],
        described: Callable[[int], bool],
        allows: Callable[[int], bool],
    ) -> None:
        self._graph = graph
        self._serving = serving
        self._described = described
        self._allows = allows

    @property
    def version(self) -> str | None:
        living = self._serving()
        return None if living is None else living.version

    def has(self, row: int) -> bool:
        """Whether a user has a place, once a version serves."""
        if not 0 <= row < self._graph.nodes[USER] or self._graph.refused(row) or not self._allows(row):
            return False
        return bool(self._graph.degree(USER, np.array([row]))[0]) or self._described(row)

    def user_vector(self, row: int) -> Floats | None:
        living = self._serving()
        if living is None or not self.has(row):
            return None
        vectors = living.engine.vectors(USER)
        if vectors is None or row >= len(vectors) or not vectors[row].any():
            return None
        copy: Floats = vectors[row].copy()
        return copy

    def items(self) -> tuple[NDArray[np.int32], Floats]:
        living = self._serving()
        if living is None:
            return np.empty(0, dtype=np.int32), np.empty((0, 0), dtype=np.float32)
        return living.items(self._graph)
