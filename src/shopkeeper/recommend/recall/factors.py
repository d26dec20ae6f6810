"""Recall by vectors: the user's is made from what was taken, an item scores by the inner product with its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.recall.beginning import Beginning

_ARRAYS = "factors.npz"
_FACTS = "factors.json"


@dataclass(frozen=True)
class Factors:
    """`vectors` float32 (n, d) of items. A user's vector x solves (alpha V'V + V_t' w V_t + r I) x = V_t' w over the
    items taken, r = l2 (sum of w + alpha n) ** frequency: one more step of the training, so events count at once."""

    item_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    alpha: float
    l2: float
    frequency: float
    half_life_days: float | None = None
    feature_names: tuple[str, ...] = ()
    beginning: Beginning | None = None
    """What counts beside for whoever has taken little yet."""

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        return self.vectors

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) inner products; 0 for everything when nothing was taken."""
        found = self.plain(items, weights)
        return found if self.beginning is None else self.beginning.added(found, len(items))

    def plain(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same without what counts for beginners alone."""
        if not len(items):
            return np.zeros(len(self.item_ids), dtype=np.float32)
        found: NDArray[np.float32] = self.vectors @ self.user_vector(items, weights)
        return found

    def user_vector(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (d,) of whoever took `items` (m,), m > 0, with `weights` (m,). Raises Invalid as `solved`."""
        taken = self.vectors[items]
        return solved(self._left(taken, weights), weights @ taken)

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """A score is a sum over the items taken: w_t (wanted' left^-1 t); the largest part speaks, if it is above 0."""
        if not len(items) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int32)
        taken = self.vectors[items]
        parts = self.vectors[wanted] @ np.linalg.solve(self._left(taken, weights), taken.T) * weights
        voter = parts.argmax(axis=1)
        return np.where(parts[np.arange(len(wanted)), voter] > 0, voter, -1).astype(np.int32)

    def save(self, folder: Path) -> None:
        np.savez(folder / _ARRAYS, vectors=self.vectors)
        facts = {
            "item_ids": list(self.item_ids),
            "alpha": self.alpha,
            "l2": self.l2,
            "frequency": self.frequency,
            "half_life_days": self.half_life_days,
        }
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        if self.beginning is not None:
            self.beginning.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Factors:
        """Raises Invalid when the files do not fit together."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            vectors = arrays["vectors"]
        ids = tuple(facts.pop("item_ids"))
        if vectors.ndim != 2 or len(vectors) != len(ids) or not np.isfinite(vectors).all():
            raise Invalid("the vectors do not fit their item ids; train the model again", code="bad_artifact")
        loaded = cls(ids, vectors.astype(np.float32), **facts, beginning=Beginning.load(folder, len(ids)))
        if len(ids):  # what the first question needs is there before it comes
            loaded.user_vector(np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.float32))
        return loaded

    @cached_property
    def _gram(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = (self.alpha * (self.vectors.T @ self.vectors)).astype(np.float32)
        return found

    def _left(self, taken: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        left: NDArray[np.float32] = self._gram + taken.T @ (taken * weights[:, None])
        held_back = self.l2 * (float(weights.sum()) + self.alpha * len(self.vectors)) ** self.frequency
        left.flat[:: len(left) + 1] += np.float32(held_back)
        return left


def solved(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """x (d,) of left x = right; `left` (d, d) is symmetric and positive definite, and is overwritten.

    Raises Invalid where it is not so, as what holds vectors back is less than float32 can tell.
    """
    from scipy.linalg import lapack

    found: NDArray[np.float32]
    _, found, wrong = lapack.sposv(left, right, overwrite_a=True)
    if wrong or not np.isfinite(found).all():
        raise Invalid("l2 is too small to tell the vectors of these purchases apart; raise it", code="bad_param")
    return found
