"""The one shape of every explanation: values, base value, data, names, as in `shap.Explanation`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shopkeeper.core.records import Explanation


@dataclass(frozen=True)
class Contributions:
    """`names` and `values` belong together; `base_value + sum(values)` is `total`, by construction.

    `data` holds what each name stood at (a trace, a number), for sentences and tables.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    base_value: float = 0.0
    data: tuple[Any, ...] = field(default=())

    @classmethod
    def of(cls, explanation: Explanation) -> Contributions:
        """Those of an answer, for instance of one that came through the client."""
        names, values = tuple(explanation.shap_values), tuple(explanation.shap_values.values())
        return cls(names, values, explanation.base_value)

    @property
    def total(self) -> float:
        return self.base_value + sum(self.values)

    def by_name(self) -> dict[str, float]:
        return dict(zip(self.names, self.values, strict=True))

    def top(self, k: int, *, positive: bool) -> list[tuple[str, float]]:
        """The k strongest of one sign, strongest first; zeros are in neither list. Ties in the order of names."""
        sign = 1.0 if positive else -1.0
        pairs = [(name, value) for name, value in zip(self.names, self.values, strict=True) if value * sign > 0]
        return sorted(pairs, key=lambda pair: -abs(pair[1]))[:k]

    def to_shap(self) -> Any:
        """The same as a `shap.Explanation`, for the plots of that library. Raises Unavailable when it is missing."""
        from shopkeeper.explain.audit import shap_library

        data = np.array(self.data, dtype=object) if self.data else None
        return shap_library().Explanation(
            values=np.array(self.values), base_values=self.base_value, data=data, feature_names=list(self.names)
        )


def probability(logit: float) -> float:
    """The sigmoid, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    e = math.exp(logit)
    return e / (1.0 + e)
