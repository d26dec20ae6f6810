"""FTRL-proximal: logistic regression learned row by row, each weight with a step of its own that shrinks as it is used.

    w_i = 0 where |z_i| <= l1, else -(z_i - sign(z_i) l1) / ((beta + sqrt(n_i)) / alpha + l2)

References: McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm 1. Rows of a batch are
answered by the same weights; their gradients and the squares of their gradients are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int32]
_FARTHEST_LOGIT = 35.0


@dataclass(frozen=True, slots=True)
class Step:
    """`alpha`: the rate, `beta`: how many units of gradient the first step is taken for; `l1`, `l2`: penalties."""

    alpha: float = 0.05
    beta: float = 1.0
    l1: float = 0.1
    l2: float = 1.0


@dataclass(frozen=True, slots=True)
class Active:
    """n rows as a linear model reads them: `numbers` float32 (n, d), each with a weight of its own, and `places` int32
    (n, c) in the weights after those, each standing for a 1. The last weight of all is that of every row."""

    numbers: NDArray[np.float32]
    places: Places

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, where: slice | NDArray[np.int64]) -> Active:
        return Active(self.numbers[where], self.places[where])


class Ftrl:
    """The weights (width,) by their sums `z` and `n`. One thread learns; whoever serves takes a copy."""

    def __init__(self, width: int, step: Step) -> None:
        self.z: Floats = np.zeros(width)
        self.n: Floats = np.zeros(width)
        self.step = step
        self._weights: Floats | None = None

    @classmethod
    def of(cls, z: Floats, n: Floats, step: Step) -> Ftrl:
        made = cls(len(z), step)
        made.z, made.n = z.astype(np.float64), n.astype(np.float64)
        return made

    def copy(self) -> Ftrl:
        return Ftrl.of(self.z.copy(), self.n.copy(), self.step)

    @property
    def weights(self) -> Floats:
        """(width,), as of now."""
        if self._weights is None:
            pulled = self.z - np.sign(self.z) * self.step.l1
            self._weights = np.where(np.abs(self.z) <= self.step.l1, 0.0, -pulled / self._divisor(self.n))
        return self._weights

    def logits(self, rows: Active) -> Floats:
        """(n,)"""
        weights, d = self.weights, rows.numbers.shape[1]
        said: Floats = rows.numbers @ weights[:d] + weights[rows.places + d].sum(axis=1) + weights[-1]
        return np.clip(said, -_FARTHEST_LOGIT, _FARTHEST_LOGIT)

    def probabilities(self, rows: Active) -> Floats:
        """(n,)"""
        return 1.0 / (1.0 + np.exp(-self.logits(rows)))

    def learn(self, rows: Active, label: Floats, weight: Floats) -> Floats:
        """One step of a batch: `label` in [0, 1] and `weight` from 0, both (n,). What was said before it, (n,)."""
        said, d = self.probabilities(rows), rows.numbers.shape[1]
        off = (said - label) * weight
        sums, squares = np.empty_like(self.z), np.empty_like(self.z)
        numbers = rows.numbers.astype(np.float64)
        sums[:d], squares[:d] = off @ numbers, (off * off) @ (numbers * numbers)
        many, at, more = rows.places.shape[1], rows.places.ravel(), len(self.z) - d - 1
        sums[d:-1] = np.bincount(at, np.repeat(off, many), more)
        squares[d:-1] = np.bincount(at, np.repeat(off * off, many), more)
        sums[-1], squares[-1] = off.sum(), (off * off).sum()
        grown = self.n + squares
        self.z += sums - (np.sqrt(grown) - np.sqrt(self.n)) / self.step.alpha * self.weights
        self.n = grown
        self._weights = None
        return said

    def paced(self, step: Step, forget: float = 1.0) -> None:
        """Goes on with other numbers, and with `forget` of the squares that were added up, which makes steps longer.
        The weights stay what they are, as far as `l1` is the same."""
        if step == self.step and forget == 1.0:
            return
        kept = self.weights
        self.step, self.n = step, self.n * forget
        moved = -kept * self._divisor(self.n) - np.sign(kept) * step.l1
        self.z = np.where(kept != 0.0, moved, np.clip(self.z, -step.l1, step.l1))
        self._weights = None

    def _divisor(self, n: Floats) -> Floats:
        divisor: Floats = (self.step.beta + np.sqrt(n)) / self.step.alpha + self.step.l2
        return divisor
