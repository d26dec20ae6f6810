"""Walks over a graph that remember where they came from: second order, with the weights p and q of node2vec.

From v, reached from t, an edge to x is taken with its weight times 1/p (x is t), 1 (x is a neighbour of t), or 1/q.
Drawn by rejection: a neighbour by its weight alone, kept with that share; so nothing is kept for pairs of edges, and a
graph of a million edges takes no more memory than its edges. The way back, which 1/p may make likelier than all others,
is drawn apart.

References: Grover, Leskovec, "node2vec: scalable feature learning for networks", KDD 2016; Yang et al., "KnightKing: a
fast distributed graph random walk engine", SOSP 2019 (the rejection).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.compiled import compiled
from shopkeeper.recommend.embedding.chance import FACTOR, OFFSET, UNIT, UPPER, Seeds, seeds_of
from shopkeeper.recommend.embedding.graph import Graph
from shopkeeper.recommend.embedding.skipgram import Chunk

_COUNTED = 1_000_000
_OWN = 1 << 20
"""Laps of chance that no training of the samples uses."""


def walks(
    graph: Graph, begin: NDArray[np.int32], seeds: Seeds, length: int, p: float, q: float
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The walks from `begin` (m,), one after another, and where each begins (m + 1,). At most `length` nodes each;
    shorter where no edge leads on. A walk depends on its own seed only."""
    whole, sizes = _kernel()(graph.start, graph.nodes, graph.reach, begin, seeds, length, 1.0 / p, 1.0 / q)
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    if bounds[-1] < whole.size:
        return whole[np.arange(length)[None, :] < sizes[:, None]], bounds
    return whole.ravel(), bounds


@dataclass(frozen=True)
class WalkCorpus:
    """Walks from every node that has an edge: `num_walks` of each in an epoch, and others in the next."""

    graph: Graph
    num_walks: int
    length: int
    p: float
    q: float
    seed: int

    @property
    def n(self) -> int:
        return self.graph.n

    def counts(self) -> NDArray[np.int64]:
        found = np.zeros(self.n, dtype=np.int64)
        for tokens, _, _ in self.chunks(0, _COUNTED):
            found += np.bincount(tokens, minlength=self.n)
        return found

    def tokens(self) -> int:
        return len(self._begin) * self.num_walks * self.length

    def chunks(self, epoch: int, most: int) -> Iterator[Chunk]:
        step = max(1, most // self.length)
        first = 0
        for lap in range(self.num_walks):
            order = np.random.default_rng((self.seed, epoch, lap)).permutation(self._begin)
            for at in range(0, len(order), step):
                begin = order[at : at + step]
                seeds = seeds_of(self.seed, _OWN + epoch, first, len(begin))
                tokens, bounds = walks(self.graph, begin, seeds, self.length, self.p, self.q)
                yield tokens, bounds, first
                first += len(begin)

    @cached_property
    def _begin(self) -> NDArray[np.int32]:
        return np.flatnonzero(self.graph.degree > 0).astype(np.int32)


def _walk(start, nodes, reach, begin, seeds, length, back, away):  # type: ignore[no-untyped-def]
    """`back` = 1/p and `away` = 1/q. (nodes (m, length), how many of each row count (m,))."""
    m = len(begin)
    found = np.empty((m, length), dtype=np.int32)
    sizes = np.empty(m, dtype=np.int64)
    second = back != 1.0 or away != 1.0
    most = max(1.0, away)
    weighted = len(reach) > 0
    for w in range(m):
        state = seeds[w]
        at = begin[w]
        before = np.int32(-1)
        found[w, 0] = at
        k = 1
        while k < length:
            a, b = start[at], start[at + 1]
            if a == b:
                break
            extra = 0.0
            if second and before >= 0 and back > most:
                low, high = a, b
                while low < high:
                    middle = (low + high) // 2
                    if nodes[middle] < before:
                        low = middle + 1
                    else:
                        high = middle
                if low < b and nodes[low] == before:
                    share = 1.0 / (b - a)
                    if weighted:
                        share = reach[low] - (reach[low - 1] if low > a else 0.0)
                    extra = (back - most) * share
            taken = np.int32(-1)
            while taken < 0:
                if extra > 0.0:
                    state = state * FACTOR + OFFSET
                    if np.float64(state >> UPPER) * UNIT * (most + extra) >= most:
                        taken = before
                        break
                state = state * FACTOR + OFFSET
                if weighted:
                    drawn = np.float64(state >> UPPER) * UNIT
                    low, high = a, b - 1
                    while low < high:
                        middle = (low + high) // 2
                        if reach[middle] <= drawn:
                            low = middle + 1
                        else:
                            high = middle
                    edge = low
                else:
                    edge = a + np.int64(((state >> UPPER) * np.uint64(b - a)) >> UPPER)
                x = nodes[edge]
                if not second or before < 0:
                    taken = x
                    break
                state = state * FACTOR + OFFSET
                level = np.float64(state >> UPPER) * UNIT * most
                if x == before:
                    if level < back:
                        taken = x
                    continue
                if level < min(1.0, away):
                    taken = x
                    break
                low, high = start[before], start[before + 1]
                end = high
                while low < high:
                    middle = (low + high) // 2
                    if nodes[middle] < x:
                        low = middle + 1
                    else:
                        high = middle
                near = low < end and nodes[low] == x
                if level < (1.0 if near else away):
                    taken = x
            before = at
            at = taken
            found[w, k] = at
            k += 1
        sizes[w] = k
    return found, sizes


@cache
def _kernel() -> Callable[..., Any]:
    return compiled(
        _walk,
        "Tuple((int32[:,::1],int64[::1]))"
        "(int64[::1],int32[::1],float32[::1],int32[::1],uint64[::1],int64,float64,float64)",
    )
