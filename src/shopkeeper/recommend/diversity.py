"""Maximal marginal relevance: the next item is good and unlike those before it.

How much alike: the nearest of the chosen ones by the items' vectors where both have one, and how many of the chosen are
of the same category (one: a half, two: three quarters, and so on).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import VectorSpace


class Vectors:
    """Item vectors of unit length by item row, as they were when the present version of a space, or its newest item,
    came: how they move with each event changes little in which items are alike."""

    def __init__(self, space: VectorSpace | None) -> None:
        self._space = space
        self._of: tuple[object, ...] = ()
        self._unit: NDArray[np.float32] | None = None

    def unit(self, rows: NDArray[np.int32]) -> NDArray[np.float32] | None:
        """float32 (k, d), zeros for items without a vector; None: there are none at all."""
        version = None if self._space is None else self._space.version
        if self._space is None or version is None:
            return None
        places, vectors = self._space.items()
        if self._of != (version, len(places)):
            self._unit = _by_row(places, vectors)
            self._of = (version, len(places))
        unit = self._unit
        if unit is None:
            return None
        inside = rows < len(unit)
        if inside.all():
            return unit[rows]
        found = np.zeros((len(rows), unit.shape[1]), dtype=np.float32)
        found[inside] = unit[rows[inside]]
        return found


def diversified(
    value: NDArray[np.float64],
    category: NDArray[np.int32],
    unit: NDArray[np.float32] | None,
    weight: float,
    n: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(the chosen places, best first; how much alike each was to those before it). `value` (k,) from 0 to 1, `category`
    codes (k,), -1: none; `weight` from 0, only the value counts, to 1, only the difference."""
    n = min(n, len(value))
    places = np.empty(n, dtype=np.int64)
    likeness = np.zeros(n)
    if unit is None:
        near, of_category = None, weight
    else:
        # The weight is in the vectors: their products are what is taken off.
        near, of_category = unit * np.float32(np.sqrt(weight / 2)), weight / 2
    nearest = np.zeros(len(value), dtype=np.float32)
    left = (1.0 - weight) * value
    base = left.copy()  # less what is of the same category
    codes = category.tolist()
    met: dict[int, float] = {}
    for at in range(n):
        score = base if near is None else base - nearest
        place = places[at] = int(score.argmax())
        if weight > 0:
            likeness[at] = (left[place] - score[place]) / weight
        base[place] = -np.inf
        code = codes[place]
        if code >= 0:
            step = met[code] = met.get(code, of_category) / 2
            base -= (category == code) * step
        if near is not None:
            np.maximum(nearest, near @ near[place], out=nearest)
    return places, likeness


def _by_row(places: NDArray[np.int32], vectors: NDArray[np.float32]) -> NDArray[np.float32] | None:
    if not len(places):
        return None
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.zeros((int(places.max()) + 1, vectors.shape[1]), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit[places] = np.where(np.isfinite(length) & (length > 0), vectors / length, 0)
    return unit
