"""Named features as a matrix: what a ranking model is trained on and what it scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.features.base import Ask, Feature
from shopkeeper.features.crosses import MOST, SIGN
from shopkeeper.features.registry import feature, standard


class FeatureSet:
    """Features by name, in a fixed order; None: the standard ones, sorted by name. A cross is named `a*b`.

    `defaults` are those stored with a model version (else the feature's own). `missing` counts values that were not
    finite and took the default. Raises NotFound for an unknown name, Invalid for more than 50 crosses.
    """

    def __init__(self, names: Sequence[str] | None = None, *, defaults: Mapping[str, float] | None = None) -> None:
        self._take([feature(name) for name in (standard() if names is None else names)], defaults or {})

    @classmethod
    def of(cls, features: Iterable[Feature], *, defaults: Mapping[str, float] | None = None) -> FeatureSet:
        """From features themselves, registered or not."""
        made = cls(())
        made._take(features, defaults or {})
        return made

    def _take(self, features: Iterable[Feature], given: Mapping[str, float]) -> None:
        self.features = tuple(features)
        self.names = tuple(each.name for each in self.features)
        if (crosses := sum(SIGN in name for name in self.names)) > MOST:
            raise Invalid(f"{crosses} crosses, expected at most {MOST}", code="too_many_crosses", field="features")
        self.defaults = np.array([given.get(each.name, each.default) for each in self.features], dtype=np.float32)
        self.missing = 0

    def matrix(self, ask: Ask) -> NDArray[np.float32]:
        """One row for each of `ask.items`, one column for each name: float32 (n, f), finite."""
        columns = np.empty((len(self.features), len(ask.items)), dtype=np.float32)
        self.fill(columns, ask)
        return np.ascontiguousarray(columns.T)

    def fill(self, columns: NDArray[np.float32], ask: Ask) -> None:
        """The same into the rows of `columns` (f, n), one for each name."""
        for column, each in zip(columns, self.features, strict=True):
            column[:] = each.read(ask)
        finite = self._finite(columns)
        if finite is not columns:
            columns[:] = finite

    def _finite(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        finite = np.isfinite(columns)
        if finite.all():
            return columns
        self.missing += int(finite.size - np.count_nonzero(finite))
        return np.where(finite, columns, self.defaults[:, None])
