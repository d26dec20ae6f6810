"""Items by their vectors: what goes with what somebody took. Nobody stands in the model, only items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import LegacyMeta
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.recommend.embedding.artifact import (
    Vectors,
    chance_of,
    fitting,
    ids_in,
    load_parts,
    nearest,
    placed,
    save_parts,
    top_k,
    unit,
    vector_of,
    write_vectors,
)

_INDEX = "outer"


@dataclass(frozen=True)
class ItemEmbedding:
    """`inner`, of length 1, and `outer`, both float32 (n, d): the inner product of one item's inner and another's outer
    vector is high where they stand beside each other. Whoever took items has the weighted mean of their inner vectors,
    and is shown what that goes with. A recall model; rows `{history, top_k}` -> ids."""

    item_ids: tuple[str, ...]
    inner: Vectors
    outer: Vectors
    half_life_days: float | None = None
    losses: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ("history", "top_k")
    output: ClassVar[str] = "list"

    @cached_property
    def item_vectors(self) -> Vectors:
        """Of length 1, from both: the cosine of two is high where they stand beside each other, or in the same places.
        For whoever has one table only."""
        return unit(self.inner + self.outer)

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) between 0 and 1, of the items taken (m,), newest first; 0 for all when nothing was taken."""
        if not len(items) or not len(self.item_ids):
            return np.zeros(len(self.item_ids), dtype=np.float32)
        return chance_of(self.outer @ self._of(items, weights))

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """The item taken that adds most, where it adds anything; none speaks for itself."""
        if not len(items) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int32)
        parts = self.outer[wanted] @ self.inner[items].T * weights
        parts[wanted[:, None] == items[None, :]] = 0
        voter = parts.argmax(axis=1)
        return np.where(parts[np.arange(len(wanted)), voter] > 0, voter, -1).astype(np.int32)

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """Of whoever took the `history`, given here or as a feature. Zeros for nothing that is known."""
        taken = ids_in(features.get("history", []), "history") if history is None else list(history)
        items = placed(self._place, taken)
        if not len(items):
            return [0.0] * self.inner.shape[1]
        found: list[float] = self._of(items, _ones(items)).tolist()
        return found

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """The outer vector, which goes with those of users. Raises Invalid without `item_id`, NotFound for an item that
        was not learned."""
        return vector_of(self._place, self.outer, features, "item2vec")

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """For each row the ids of the items that go best with its `history`, without these; [] where nothing of it is
        known. Raises Invalid."""
        return [self._near(row) for row in rows]

    def _near(self, row: Mapping[str, Any]) -> list[str]:
        k = top_k(row)
        items = placed(self._place, ids_in(row.get("history", []), "history"))
        if not len(items):
            return []
        found, _ = nearest(self._beside, self._of(items, _ones(items)), k, np.unique(items))
        return [self.item_ids[at] for at in found]

    def _of(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> Vectors:
        mean: Vectors = (weights @ self.inner[items] / max(float(weights.sum()), 1e-12)).astype(np.float32)
        return mean

    @cached_property
    def _beside(self) -> VectorIndex:
        """Over the outer vectors; saved with them."""
        return VectorIndex.build(self.outer, queries=self.inner)

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.item_ids)}

    def save(self, folder: Path) -> None:
        facts = {"item_ids": self.item_ids, "half_life_days": self.half_life_days, "losses": self.losses}
        save_parts(folder, {"inner": self.inner, "outer": self.outer}, facts)
        self._beside.save(folder, _INDEX)

    @classmethod
    def load(cls, folder: Path) -> ItemEmbedding:
        """Raises Invalid when the files do not fit together."""
        arrays, facts = load_parts(folder)
        ids = tuple(facts["item_ids"])
        inner, outer = (fitting(ids, arrays[name], "items") for name in ("inner", "outer"))
        made = cls(ids, inner, outer, facts["half_life_days"], tuple(facts["losses"]))
        made.__dict__["_beside"] = VectorIndex.load(folder, outer, _INDEX)
        return made

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """`item2vec_vectors.json`: id -> vector."""
        write_vectors(folder / "item2vec_vectors.json", self.item_ids, self.item_vectors)
        return LegacyMeta(feature_columns=list(self.feature_names))


def _ones(items: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.ones(len(items), dtype=np.float32)
