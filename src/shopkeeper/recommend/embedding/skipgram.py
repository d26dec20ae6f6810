"""Skip-gram with negative sampling, the same numbers whoever does the work: one thread or several.

Both tables, of inner and outer vectors, are dealt out into parts. A block is a part of each; samples of blocks that
share no part touch no common row, so threads may learn from them at the same time, and each block's samples are taken
in their order. sequences -> samples by block -> laps of blocks that share nothing -> vectors

References: Mikolov et al., "Distributed representations of words and phrases and their compositionality", NIPS 2013;
Zhu et al., "GraphVite", WWW 2019 (the blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.compiled import compiled
from shopkeeper.recommend.embedding.chance import seeds_of
from shopkeeper.recommend.embedding.samples import Near, Samples, noise, parts_of, samples

PARTS = 8
_ENOUGH = 64
"""So many items a part has at least; a smaller vocabulary has one part, and its training one thread."""
_LEAST = 1e-4
"""Share of the first step that the last one has."""

Chunk = tuple[NDArray[np.int32], NDArray[np.int64], int]
"""Tokens, where each of the m sequences begins (m + 1,), and the number of the first of them in its epoch."""


class Corpus(Protocol):
    """Sequences of items 0 ... n - 1, in chunks that fit in memory."""

    @property
    def n(self) -> int: ...

    def counts(self) -> NDArray[np.int64]:
        """How often each item stands in an epoch, (n,)."""
        ...

    def tokens(self) -> int:
        """About how many stand in an epoch."""
        ...

    def chunks(self, epoch: int, most: int) -> Iterator[Chunk]:
        """Chunks of about `most` tokens, the same ones for the same epoch."""
        ...


@dataclass(frozen=True)
class Plan:
    """`even`: every place within the window counts the same. `noise`: exponent of the counts by which others are drawn.
    `thin`: items that make up more than this share of all places are read less often; 0: all are read."""

    dim: int
    epochs: int
    window: int
    negatives: int
    rate: float
    workers: int
    noise: float = 0.75
    thin: float = 0.0
    even: bool = False


@dataclass(frozen=True)
class Learned:
    """Inner and outer vectors, float32 (n, d), and the loss of the samples of each epoch."""

    inner: NDArray[np.float32]
    outer: NDArray[np.float32]
    losses: tuple[float, ...]


def train(corpus: Corpus, plan: Plan, seed: int, report: Report) -> Learned:
    """Raises Invalid (`no_data` where nothing stands beside anything, `diverged`), and what the report raises."""
    counts = corpus.counts()
    if not counts.any():
        raise Invalid("there is nothing to learn vectors from: no sequence has two items", code="no_data")
    n, parts = corpus.n, PARTS if corpus.n >= PARTS * _ENOUGH else 1
    near = Near(
        plan.window,
        plan.even,
        plan.negatives,
        _kept(counts, plan.thin),
        *noise(counts, plan.noise),
        parts_of(counts, parts),
        parts,
    )
    random = np.random.default_rng(seed)
    inner = ((random.random((n, plan.dim), dtype=np.float32) - 0.5) / plan.dim).astype(np.float32)
    outer = np.zeros((n, plan.dim), dtype=np.float32)
    work = _Work(near, inner, outer, seed)
    whole = max(corpus.tokens() * plan.epochs, 1)
    most = max(1000, _CHUNK // max(1, (plan.window + 1) * (plan.negatives + 1)))
    done, losses = 0, []
    with ThreadPoolExecutor(max(1, min(plan.workers, parts))) as pool:
        for epoch in range(plan.epochs):
            loss, told = 0.0, 0
            for tokens, bounds, first in corpus.chunks(epoch, most):
                rate = plan.rate * max(1 - done / whole, _LEAST)
                added, of = work.learn(pool, tokens, bounds, epoch, first, rate)
                loss, told, done = loss + added, told + of, done + len(tokens)
                report(min(done, whole), whole, message=f"epoch {epoch + 1} of {plan.epochs}")
            losses.append(loss / max(told, 1))
            if not np.isfinite(losses[-1]) or not np.isfinite(inner).all():
                raise Invalid(
                    f"the vectors grew beyond all numbers in epoch {epoch + 1}: take a smaller learning_rate",
                    code="diverged",
                    field="learning_rate",
                )
            report(min(done, whole), whole, {"loss": losses[-1]}, message=f"epoch {epoch + 1}", epoch=True)
    return Learned(inner, outer, tuple(losses))


_CHUNK = 3_000_000
"""Samples that are held at a time, about: 50 MB."""


class _Work:
    def __init__(self, near: Near, inner: NDArray[np.float32], outer: NDArray[np.float32], seed: int) -> None:
        self._near, self._inner, self._outer, self._seed = near, inner, outer, seed
        self._kernel = _kernel()

    def learn(
        self,
        pool: ThreadPoolExecutor,
        tokens: NDArray[np.int32],
        bounds: NDArray[np.int64],
        epoch: int,
        first: int,
        rate: float,
    ) -> tuple[float, int]:
        """(loss summed over some of the samples, how many these are)."""
        seeds = seeds_of(self._seed, epoch, first, len(bounds) - 1)
        cuts = np.unique(np.linspace(0, len(bounds) - 1, self._near.parts + 1).astype(np.int64))

        def sliced(at: int) -> Samples:
            a, b = int(cuts[at]), int(cuts[at + 1])
            here = tokens[bounds[a] : bounds[b]]
            return samples(here, bounds[a : b + 1] - bounds[a], seeds[a:b], self._near)

        made = list(pool.map(sliced, range(len(cuts) - 1)))
        parts, loss, told = self._near.parts, 0.0, 0
        for lap in range(parts):
            blocks = [i * parts + (i + lap) % parts for i in range(parts)]
            for added, of in pool.map(lambda block: self._block(made, block, rate), blocks):
                loss, told = loss + added, told + of
        return loss, told

    def _block(self, made: list[Samples], block: int, rate: float) -> tuple[float, int]:
        loss, told = 0.0, 0
        for one in made:
            a, b = int(one.start[block]), int(one.start[block + 1])
            if a < b:
                added, of = self._kernel(one.inner[a:b], one.outer[a:b], self._inner, self._outer, np.float32(rate))
                loss, told = loss + added, told + of
        return loss, told


def _kept(counts: NDArray[np.int64], thin: float) -> NDArray[np.float32]:
    """As word2vec does: of an item's places sqrt(thin / f) + thin / f are read, f its share of all places."""
    if not thin:
        return np.ones(len(counts), dtype=np.float32)
    share = np.maximum(counts / counts.sum(), 1e-12)
    read: NDArray[np.float32] = np.minimum(np.sqrt(thin / share) + thin / share, 1).astype(np.float32)
    return read


def _learn(inner, outer, vectors, contexts, rate):  # type: ignore[no-untyped-def]
    loss = 0.0
    told = 0
    d = vectors.shape[1]
    one = np.float32(1)
    for s in range(len(inner)):
        c, o = inner[s], outer[s]
        label = one
        if o < 0:
            o = -1 - o
            label = np.float32(0)
        v, u = vectors[c], contexts[o]
        dot = np.float32(0)
        for k in range(d):
            dot += v[k] * u[k]
        share = one / (one + np.exp(-dot))
        if s % 16 == 0:
            told += 1
            loss -= np.log(max(share if label > 0 else one - share, np.float32(1e-7)))
        step = (label - share) * rate
        for k in range(d):
            before = v[k]
            v[k] = before + step * u[k]
            u[k] += step * before
    return loss, told


@cache
def _kernel() -> Callable[..., Any]:
    return compiled(
        _learn,
        "Tuple((float64,int64))(int32[::1],int32[::1],float32[:,::1],float32[:,::1],float32)",
        writes=True,
        fast=True,
    )
