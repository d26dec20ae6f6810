"""Rows that rankers learn from and are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lists:
    """Which rows were candidates of one question, rows of a list side by side; all (n,).

    `number` of the list, `fused` the strength in recall (the order a shop without a ranker shows), `unseen`: never
    bought by this user before, `wanted`: how many items were taken at that moment, in the list or not, and
    `wanted_unseen`: how many of them for the first time.
    """

    number: NDArray[np.int64]
    fused: NDArray[np.float32]
    unseen: NDArray[np.bool_]
    wanted: NDArray[np.int64]
    wanted_unseen: NDArray[np.int64]


@dataclass(frozen=True)
class RankRows:
    """n rows of f named numbers. `label` 0 or 1, `weight` how many rows of the population one stands for, all (n,).

    Rows are in order of time where `by_time` is true. `lists` is None for rows that are not candidates of anything.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    label: NDArray[np.float32]
    weight: NDArray[np.float32]
    defaults: NDArray[np.float32]
    by_time: bool = True
    lists: Lists | None = None

    def __len__(self) -> int:
        return len(self.label)

    def columns(self, names: Sequence[str], defaults: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, len(names)) in that order; a column that these rows do not have takes its default."""
        if tuple(names) == self.names:
            return self.values
        place = {name: at for at, name in enumerate(self.names)}
        result = np.empty((len(self), len(names)), dtype=np.float32)
        for at, name in enumerate(names):
            result[:, at] = self.values[:, place[name]] if name in place else defaults[at]
        return result

    def take(self, where: slice | NDArray[np.bool_] | NDArray[np.int64]) -> RankRows:
        """The rows at `where`, without their lists."""
        return RankRows(
            self.names, self.values[where], self.label[where], self.weight[where], self.defaults, self.by_time
        )

    def golden(self, n: int = 8) -> list[dict[str, float]]:
        """n rows spread over all, as named numbers."""
        places = np.unique(np.linspace(0, len(self) - 1, n if len(self) else 0).astype(np.int64))
        return [dict(zip(self.names, map(float, self.values[at]), strict=True)) for at in places.tolist()]
