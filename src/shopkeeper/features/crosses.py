"""A cross: the product of two named features, written `a*b`. Wherever features are named, crosses may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopkeeper.features.base import Accumulator, Ask, Feature, Reading

SIGN = "*"
MOST = 50
"""Crosses of one set of features."""


@dataclass(frozen=True)
class Cross:
    """Of a user and an item: of the pair. Its version goes up with that of either factor."""

    a: Feature
    b: Feature

    @property
    def name(self) -> str:
        return f"{self.a.name}{SIGN}{self.b.name}"

    @property
    def group(self) -> str:
        return self.a.group

    @property
    def of(self) -> str:
        both = {self.a.of, self.b.of} - {"context"}
        if "pair" in both or both == {"user", "item"}:
            return "pair"
        return both.pop() if both else "context"

    @property
    def unit(self) -> str:
        return f"{self.a.unit} x {self.b.unit}"

    @property
    def default(self) -> float:
        return self.a.default * self.b.default

    @property
    def version(self) -> int:
        return self.a.version + self.b.version - 1

    @property
    def help(self) -> str:
        return f"{self.a.help}; times: {self.b.help}"

    @property
    def needs(self) -> tuple[type[Accumulator], ...]:
        return tuple(dict.fromkeys((*self.a.needs, *self.b.needs)))

    def read(self, ask: Ask) -> Reading:
        product = self.a.read(ask) * self.b.read(ask)
        return product if isinstance(product, np.ndarray) else float(product)
