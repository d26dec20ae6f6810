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


@dataclass(frozen=True)
class ItemEmbedding:
    """`item_vectors` float32 (n, d), of length 1. Whoever took items has their weighted sum as vector, brought to
    length 1; an item scores by the inner product with it, 0 where that is negative. A recall model, and rows
    `{history, top_k}` -> ids."""

    item_ids: tuple[str, ...]
    item_vectors: Vectors
    half_life_days: float | None = None
    losses: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ("history", "top_k")
    output: ClassVar[str] = "list"

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) of the items taken (m,), newest first, with weights; 0 for everything when nothing was taken."""
        if not len(items):
            return np.zeros(len(self.item_ids), dtype=np.float32)
        found: NDArray[np.float32] = self.item_vectors @ self._of(items, weights)
        return np.maximum(found, 0)

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """The item taken that adds most, where it adds anything; none speaks for itself."""
        if not len(items) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int32)
        parts = self.item_vectors[wanted] @ self.item_vectors[items].T * weights
        parts[wanted[:, None] == items[None, :]] = 0
        voter = parts.argmax(axis=1)
        return np.where(parts[np.arange(len(wanted)), voter] > 0, voter, -1).astype(np.int32)

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """Of whoever took the `history`, given here or as a feature. Zeros for nothing that is known."""
        taken = ids_in(features.get("history", []), "history") if history is None else list(history)
        items = placed(self._place, taken)
        if not len(items):
            return [0.0] * self.item_vectors.shape[1]
        found: list[float] = self._of(items, np.ones(len(items), dtype=np.float32)).tolist()
        return found

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """Raises Invalid without `item_id`, NotFound for an item that was not learned."""
        return vector_of(self._place, self.item_vectors, features, "item2vec")

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """For each row the ids of the items that go best with its `history`, without these; [] where nothing of it is
        known. Raises Invalid."""
        return [self._near(row) for row in rows]

    def _near(self, row: Mapping[str, Any]) -> list[str]:
        k = top_k(row)
        items = placed(self._place, ids_in(row.get("history", []), "history"))
        if not len(items):
            return []
        found, _ = nearest(self.index, self._of(items, np.ones(len(items), dtype=np.float32)), k, items)
        return [self.item_ids[at] for at in found]

    def _of(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> Vectors:
        return unit(weights @ self.item_vectors[items])

    @cached_property
    def index(self) -> VectorIndex:
        """Over the item vectors; saved with them."""
        return VectorIndex.build(self.item_vectors)

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.item_ids)}

    def save(self, folder: Path) -> None:
        facts = {"item_ids": self.item_ids, "half_life_days": self.half_life_days, "losses": self.losses}
        save_parts(folder, {"items": self.item_vectors}, facts)
        self.index.save(folder)

    @classmethod
    def load(cls, folder: Path) -> ItemEmbedding:
        """Raises Invalid when the files do not fit together."""
        arrays, facts = load_parts(folder)
        ids = tuple(facts["item_ids"])
        vectors = fitting(ids, arrays["items"], "items")
        made = cls(ids, vectors, facts["half_life_days"], tuple(facts["losses"]))
        made.__dict__["index"] = VectorIndex.load(folder, vectors)
        return made

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """`item2vec_vectors.json`: id -> vector."""
        write_vectors(folder / "item2vec_vectors.json", self.item_ids, self.item_vectors)
        return LegacyMeta(feature_columns=list(self.feature_names))
