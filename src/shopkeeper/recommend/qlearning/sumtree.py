"""A tree of sums: draws places in proportion to their weights, and changes weights, each in log n steps."""

from __future__ import annotations

import numpy as np

from shopkeeper.recommend.qlearning.steps import Floats, Ints


class SumTree:
    """Weights of `size` places, all 0 at first. The nodes of each level lie behind one another; node 1 is the root."""

    def __init__(self, size: int) -> None:
        self._leaves = 1 << max(0, (size - 1).bit_length())
        self._nodes = np.zeros(2 * self._leaves)

    @property
    def total(self) -> float:
        return float(self._nodes[1])

    def weights(self, places: Ints) -> Floats:
        return self._nodes[self._leaves + places]

    def put(self, places: Ints, weights: Floats) -> None:
        """Sums are made anew from below, never by adding a difference: rounding does not pile up. Of a place that is
        named twice the last weight counts."""
        nodes = self._leaves + places
        self._nodes[nodes] = weights
        while nodes[0] > 1:
            nodes = np.unique(nodes >> 1)
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, masses: Floats) -> Ints:
        """The place in whose part of the line from 0 to `total` each mass (m,) lies."""
        nodes = np.ones(len(masses), dtype=np.int64)
        masses = masses.copy()
        while nodes[0] < self._leaves:
            left = 2 * nodes
            first = self._nodes[left]
            # A branch of no weight is never entered, whatever rounding has left of the mass.
            right = (masses >= first) & (self._nodes[left + 1] > 0)
            masses -= np.where(right, first, 0.0)
            nodes = left + right
        return nodes - self._leaves
