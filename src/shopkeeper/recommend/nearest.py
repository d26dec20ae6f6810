"""The channels `graph` and `space:NAME`: items whose vectors go best with the user's."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.recommend.history import History

HALF_LIFE_DAYS = 60.0
MOST = 2000
_LEAST = np.float32(1e-6)


class Nearest:
    """For one user. Exact: every item is looked at, which takes about a millisecond for 100,000 of them."""

    def __init__(self, space: VectorSpace, user: int) -> None:
        self._space = space
        self._user = user

    def scores(self, _history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        """How far the inner product lies above the least one; 0 for items, and to users, without a place in the space.

        Raises Unavailable when vectors are not finite.
        """
        result = np.zeros(n_items, dtype=np.float32)
        vector = self._space.user_vector(self._user) if self._user >= 0 else None
        rows, vectors = self._space.items()
        if vector is None or not len(rows):
            return result
        found = vectors @ vector
        if not np.isfinite(found).all():
            raise Unavailable(f"the vectors of space {self._space.name} are not finite", code="bad_vectors")
        found -= found.min()
        found += _LEAST
        if int(rows.max()) < n_items:
            result[rows] = found
        else:
            inside = rows < n_items
            result[rows[inside]] = found[inside]
        return result

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """No single item speaks for another here."""
        return np.full(len(wanted), -1, dtype=np.int32)


class OwnVectors:
    """In a space of items alone, vectors of length 1: a user lies where the mean of what was taken lies."""

    def __init__(self, rows: NDArray[np.int32], vectors: NDArray[np.float32], near: VectorIndex | None = None) -> None:
        """`rows` (m,) of the vectors (m, d), -1: of an item that the shop has not. `near`: an index over the vectors;
        then only the MOST nearest get a number."""
        self._rows = rows
        self._vectors = vectors
        self._near = near

    def scores(self, history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        """Cosine, 0 where it is below 0 and for items without a vector."""
        result = np.zeros(n_items, dtype=np.float32)
        places = self._places(history.items)
        taken = np.flatnonzero(places >= 0)
        if not len(taken):
            return result
        middle = history.weights(HALF_LIFE_DAYS)[taken] @ self._vectors[places[taken]]
        middle /= max(float(np.linalg.norm(middle)), 1e-9)
        if self._near is None:
            rows, found = self._rows, self._vectors @ middle
        else:
            nearest, scores = self._near.search(middle[None], MOST)
            rows, found = self._rows[nearest[0]], scores[0]
        inside = (rows >= 0) & (rows < n_items)
        result[rows[inside]] = np.maximum(found, 0)[inside]
        return result

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        """The nearest of what was taken."""
        result = np.full(len(wanted), -1, dtype=np.int32)
        places, targets = self._places(history.items), self._places(wanted)
        taken, known = np.flatnonzero(places >= 0), np.flatnonzero(targets >= 0)
        if len(taken) and len(known):
            weights = history.weights(HALF_LIFE_DAYS)[taken]
            parts = (self._vectors[targets[known]] @ self._vectors[places[taken]].T) * weights
            result[known] = np.where(parts.max(axis=1) > 0, taken[parts.argmax(axis=1)], -1)
        return result

    def _places(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        if not len(self._rows) or not len(rows):
            return np.full(len(rows), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._rows, rows, sorter=self._order), len(self._rows) - 1)
        places = self._order[at]
        return np.where(self._rows[places] == rows, places, -1)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._rows)
