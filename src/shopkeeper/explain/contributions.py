"""The one shape of every explanation: values, base value, data, names, as in `shap.Explanation`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contributions:
    """`names` and `values` belong together; `base_value + sum(values)` is `total`, by construction.

    `data` holds what each name stood at (a trace, a number), for sentences and tables.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    base_value: float = 0.0
    data: tuple[Any, ...] = field(default=())

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


def probability(logit: float) -> float:
    """The sigmoid, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    e = math.exp(logit)
    return e / (1.0 + e)
