"""From what stands near what to samples of skip-gram with negative sampling, sorted by the tables' parts they touch.

A sample is (inner, outer): two places near each other, or, with outer written as -1 - outer, a place and one that was
drawn. How many parts there are depends on the vocabulary only, so the samples and their order never depend on who makes
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.compiled import compiled
from shopkeeper.recommend.embedding.chance import FACTOR, OFFSET, UNIT, UPPER, Seeds


@dataclass(frozen=True)
class Near:
    """What counts as near, and what is drawn beside it.

    `window`: the farthest place that is near; each place looks from 1 up to so far, or always so far (`even`). `keep`
    float32 (n,): the share of an item's places that are read. `chance`, `other`: table of Walker's aliases, (n,) each.
    `part` int32 (n,): which of `parts` an item stands in.
    """

    window: int
    even: bool
    negatives: int
    keep: NDArray[np.float32]
    chance: NDArray[np.float32]
    other: NDArray[np.int32]
    part: NDArray[np.int32]
    parts: int


@dataclass(frozen=True)
class Samples:
    """Samples with inner in part i and outer in part k stand at `start[i * parts + k]` up to the next start."""

    inner: NDArray[np.int32]
    outer: NDArray[np.int32]
    start: NDArray[np.int64]


def samples(tokens: NDArray[np.int32], bounds: NDArray[np.int64], seeds: Seeds, near: Near) -> Samples:
    """Of sequences `tokens[bounds[i] : bounds[i + 1]]`, each by its own seed."""
    return Samples(
        *_kernel()(
            tokens,
            bounds,
            seeds,
            near.window,
            near.even,
            near.negatives,
            near.keep,
            near.chance,
            near.other,
            near.part,
            near.parts,
        )
    )


def noise(counts: NDArray[np.int64], exponent: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Walker's tables for drawing items (n,) with a share of counts ** exponent; what never occurs is never drawn."""
    weight = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** exponent, 0.0)
    scaled = weight * len(counts) / weight.sum()
    chance, other = np.ones(len(counts)), np.arange(len(counts), dtype=np.int32)
    low, high = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while low and high:
        small, large = low.pop(), high[-1]
        chance[small], other[small] = scaled[small], large
        scaled[large] -= 1 - scaled[small]
        if scaled[large] < 1:
            low.append(high.pop())
    return chance.astype(np.float32), other


def parts_of(counts: NDArray[np.int64], parts: int) -> NDArray[np.int32]:
    """(n,) dealt out by how often items occur, so that no part has all that is frequent."""
    order = np.argsort(-counts, kind="stable")
    lap, at = np.divmod(np.arange(len(counts)), parts)
    found = np.empty(len(counts), dtype=np.int32)
    found[order] = np.where(lap % 2 == 0, at, parts - 1 - at)
    return found


def _sample(  # type: ignore[no-untyped-def]
    tokens, bounds, seeds, window, even, negatives, keep, chance, other, part, parts
):
    m = len(bounds) - 1
    n = np.uint64(len(keep))
    longest = 1
    for s in range(m):
        longest = max(longest, bounds[s + 1] - bounds[s])
    kept = np.empty(longest, dtype=np.int32)
    reach = np.empty(longest, dtype=np.int64)
    # Twice the same chances: first to see how much room the samples need, then to write them down.
    total = 0
    inner, outer = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32)
    for lap in range(2):
        if lap == 1:
            inner, outer = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
            total = 0
        for s in range(m):
            state = seeds[s]
            size = 0
            for i in range(bounds[s], bounds[s + 1]):
                token = tokens[i]
                state = state * FACTOR + OFFSET
                if keep[token] < 1.0 and np.float64(state >> UPPER) * UNIT >= keep[token]:
                    continue
                kept[size] = token
                reach[size] = window
                if not even:
                    state = state * FACTOR + OFFSET
                    reach[size] = 1 + np.int64(((state >> UPPER) * np.uint64(window)) >> UPPER)
                size += 1
            for i in range(size):
                first, last = max(0, i - reach[i]), min(size, i + reach[i] + 1)
                if lap == 0:
                    total += (last - first - 1) * (1 + negatives)
                    continue
                for j in range(first, last):
                    if j == i:
                        continue
                    inner[total], outer[total] = kept[i], kept[j]
                    total += 1
                    for _ in range(negatives):
                        state = state * FACTOR + OFFSET
                        drawn = np.int64(((state >> UPPER) * n) >> UPPER)
                        state = state * FACTOR + OFFSET
                        if np.float64(state >> UPPER) * UNIT >= chance[drawn]:
                            drawn = np.int64(other[drawn])
                        if drawn != kept[j]:
                            inner[total], outer[total] = kept[i], np.int32(-1 - drawn)
                            total += 1
    start = np.zeros(parts * parts + 1, dtype=np.int64)
    for k in range(total):
        o = outer[k] if outer[k] >= 0 else -1 - outer[k]
        start[part[inner[k]] * parts + part[o] + 1] += 1
    for k in range(parts * parts):
        start[k + 1] += start[k]
    place = start.copy()
    ins, outs = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
    for k in range(total):
        o = outer[k] if outer[k] >= 0 else -1 - outer[k]
        at = part[inner[k]] * parts + part[o]
        ins[place[at]], outs[place[at]] = inner[k], outer[k]
        place[at] += 1
    return ins, outs, start


@cache
def _kernel() -> Callable[..., Any]:
    return compiled(
        _sample,
        "Tuple((int32[::1],int32[::1],int64[::1]))"
        "(int32[::1],int64[::1],uint64[::1],int64,boolean,int64,float32[::1],float32[::1],int32[::1],int32[::1],int64)",
    )
