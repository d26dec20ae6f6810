"""A ratio of two sums over observations that come in clusters: its value, its standard error, its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from shopkeeper.core.errors import Invalid

Floats: TypeAlias = NDArray[np.float64]

DRAWS = 1000
_BLOCKS = 20_000
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Ratio:
    """`over` and `under` (c,): the sums of each cluster. A mean is the ratio with the number of observations below."""

    over: Floats
    under: Floats

    @classmethod
    def of(cls, over: Floats, under: Floats, cluster: NDArray[np.int64] | None = None) -> Ratio:
        """`over`, `under` (n,); `cluster` (n,): observations with one number are one; None: each is its own."""
        if cluster is None:
            return cls(over, under)
        _, at = np.unique(cluster, return_inverse=True)
        return cls(_sums(at, over), _sums(at, under))

    @property
    def value(self) -> float:
        return float(self.over.sum() / self.under.sum())

    @property
    def error(self) -> float:
        """The standard error, to first order (linearised), between clusters; infinite for a single one."""
        c = len(self.over)
        if c < 2:
            return float("inf")
        off = self.over - self.value * self.under
        return float(np.sqrt((off**2).sum() * c / (c - 1)) / abs(self.under.sum()))

    def normal(self, confidence: float = 0.95) -> tuple[float, float]:
        """Value less and more the normal quantile times `error`. Raises Invalid."""
        reach = float(special.ndtri((1 + _share(confidence)) / 2)) * self.error
        return self.value - reach, self.value + reach

    def bootstrap(self, confidence: float = 0.95, *, seed: int = 0, draws: int = DRAWS) -> tuple[float, float]:
        """Percentiles of `draws` samples of whole clusters with replacement, drawn by `seed` (Efron 1979). More than
        20,000 clusters are first dealt at random into as many blocks, which are then drawn. Raises Invalid."""
        share = _share(confidence)
        drawn = self._drawn(np.random.default_rng(seed), draws)
        if not len(drawn):
            return float("-inf"), float("inf")
        low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2]).tolist()
        return float(low), float(high)

    def _drawn(self, random: np.random.Generator, draws: int) -> Floats:
        over, under = self.over, self.under
        if len(over) > _BLOCKS:
            block = random.permutation(len(over)) % _BLOCKS
            over, under = _sums(block, over), _sums(block, under)
        at_once = max(_AT_ONCE // len(over), 1)
        drawn: list[Floats] = []
        for start in range(0, draws, at_once):
            chosen = random.integers(0, len(over), size=(min(at_once, draws - start), len(over)))
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn.append(over[chosen].sum(axis=1) / under[chosen].sum(axis=1))
        found = np.concatenate(drawn)
        kept: Floats = found[np.isfinite(found)]  # a sample with nothing below says nothing
        return kept


def _share(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise Invalid(
            f"confidence is {confidence}, expected a number between 0 and 1", code="bad_option", field="confidence"
        )
    return confidence


def _sums(at: NDArray[np.int64], values: Floats) -> Floats:
    found: Floats = np.bincount(at, values).astype(np.float64)
    return found
