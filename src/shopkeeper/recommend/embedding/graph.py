"""A graph as rows of neighbours: what walks are made on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid


@dataclass(frozen=True)
class Graph:
    """The neighbours of node i are `nodes[start[i] : start[i + 1]]`, ascending, none twice, never i itself.

    `start` int64 (n + 1,), `nodes` int32 (edges,). `reach` float32: the weights of a row's edges added up so far and
    divided by their sum; empty where all weights are equal.
    """

    start: NDArray[np.int64]
    nodes: NDArray[np.int32]
    reach: NDArray[np.float32]

    @property
    def n(self) -> int:
        return len(self.start) - 1

    @cached_property
    def degree(self) -> NDArray[np.int64]:
        return np.diff(self.start)

    @cached_property
    def links(self) -> NDArray[np.int64]:
        """(n,) how many nodes each one has an edge with, whichever way it leads: `degree` counts only where one leads
        from it, and an item that users lead to has none of these."""
        n = max(self.n, 1)
        source, target = np.repeat(np.arange(self.n), self.degree), self.nodes.astype(np.int64)
        pairs = np.unique(np.concatenate([source * n + target, target * n + source]))
        return np.bincount(pairs // n, minlength=self.n)

    @classmethod
    def of(
        cls,
        n: int,
        source: NDArray[np.int32],
        target: NDArray[np.int32],
        weight: NDArray[np.float32] | None = None,
        *,
        directed: bool = False,
    ) -> Graph:
        """Of edges between n nodes. An edge from a node to itself leads nowhere and is left out; the weights of one
        that is told several times add up. Raises Invalid (`bad_weight`) for a weight that is not above 0."""
        given = np.ones(len(source), dtype=np.float32) if weight is None else weight.astype(np.float32)
        if not (np.isfinite(given).all() and (given > 0).all()):
            raise Invalid(
                "an edge's weight is a finite number above 0; leave out edges that do not count", code="bad_weight"
            )
        a, b = source.astype(np.int64), target.astype(np.int64)
        if not directed:
            a, b, given = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([given, given])
        kept = a != b
        keys, where = np.unique(a[kept] * n + b[kept], return_inverse=True)
        total = np.bincount(where, weights=given[kept], minlength=len(keys)).astype(np.float64)
        row = keys // max(n, 1)
        start = np.searchsorted(row, np.arange(n + 1)).astype(np.int64)
        nodes = (keys % max(n, 1)).astype(np.int32)
        even = weight is None or not len(total) or bool((total == total[0]).all())
        return cls(start, nodes, np.empty(0, dtype=np.float32) if even else _reach(start, row, total))


def _reach(start: NDArray[np.int64], row: NDArray[np.int64], total: NDArray[np.float64]) -> NDArray[np.float32]:
    added = np.cumsum(total)
    before = np.concatenate([[0.0], added])[start]
    whole = before[1:] - before[:-1]
    shares: NDArray[np.float32] = ((added - before[row]) / whole[row]).astype(np.float32)
    return shares
