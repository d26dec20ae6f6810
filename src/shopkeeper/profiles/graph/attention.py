"""Attention along the edges of one relation, and its gradients: where a layer of the graph transformer spends its time.

Edges lie by destination. Nothing as large as (edges, width) is ever made: dot products are taken over so many edges
that what they gather stays in the processor's cache, and sums over edges are products with sparse matrices. Kept for
the way back is one number for each edge and head.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT

Array: TypeAlias = NDArray[Any]
"""Of float32 when a model is trained, of float64 when gradients are checked."""
_CHUNK = 8192
_MANY = 4
_LARGEST, _SMALLEST = float(np.exp(LOGIT_LIMIT)), float(np.exp(-LOGIT_LIMIT))


@dataclass(frozen=True)
class Arcs:
    """The edges of a relation as sums over them want it, all int32: `target` (m,) ascending, `source` and `bucket`
    (m,); the edges of target i are `indptr[i]:indptr[i + 1]`."""

    target: NDArray[np.int32]
    source: NDArray[np.int32]
    bucket: NDArray[np.int32]
    indptr: NDArray[np.int32]

    @classmethod
    def of(cls, target: Array, source: Array, bucket: Array, n: int) -> Arcs:
        """Into n nodes, each of which may have edges or none."""
        indptr = np.zeros(n + 1, dtype=np.int32)
        np.cumsum(np.bincount(target, minlength=n), out=indptr[1:])
        target, source, bucket = (each.astype(np.int32, copy=False) for each in (target, source, bucket))
        return cls(target, source, bucket, indptr)


def attend(
    arcs: Arcs, heads: int, query: Array, key: Array, key_time: Array, value: Array, value_time: Array
) -> tuple[Array, Array, Array]:
    """Sums over the edges into each of n targets: (n, d) of exp(logit) times message, (n, heads) of exp(logit); and
    exp(logit) itself, (heads, m), which the gradients want. `query` (n, d); `key` and `value` (s, d) of the sources;
    `key_time`, `value_time` (BUCKETS, d).
    """
    weight = dots(arcs, heads, query, key, key_time)
    np.clip(weight, -LOGIT_LIMIT, LOGIT_LIMIT, out=weight)
    np.exp(weight, out=weight)
    total = _sums(arcs, weight, value, value_time)
    return total, _shares(arcs, weight), weight


def gradients(
    arcs: Arcs,
    weight: Array,
    query: Array,
    key: Array,
    key_time: Array,
    value: Array,
    value_time: Array,
    total: Array,
    share: Array,
) -> tuple[Array, Array, Array, Array, Array]:
    """Of query, key, key_time, value and value_time, from those of the two sums, `total` (n, d) and `share` (n, heads),
    and from the `weight` that `attend` gave."""
    heads = len(weight)
    slope = dots(arcs, heads, total, value, value_time)
    slope += np.repeat(share.T, np.diff(arcs.indptr), axis=1)
    slope *= weight
    slope *= (weight < weight.dtype.type(_LARGEST)) & (weight > weight.dtype.type(_SMALLEST))  # a cut logit is flat
    return (
        _sums(arcs, slope, key, key_time),
        _scattered(arcs, slope, arcs.source, query, len(key)),
        _scattered(arcs, slope, arcs.bucket, query, BUCKETS),
        _scattered(arcs, weight, arcs.source, total, len(value)),
        _scattered(arcs, weight, arcs.bucket, total, BUCKETS),
    )


def dots(arcs: Arcs, heads: int, left: Array, right: Array, right_time: Array) -> Array:
    """(heads, m): of each edge left[target] . (right[source] + right_time[bucket]), head by head."""
    m, d = len(arcs.source), left.shape[1]
    result = np.empty((heads, m), dtype=left.dtype)
    by_age = np.ascontiguousarray(right_time.reshape(BUCKETS, heads, d // heads).transpose(1, 2, 0))
    ours, theirs = (np.empty((min(_CHUNK, m), d), dtype=left.dtype) for _ in range(2))
    for start in range(0, m, _CHUNK):
        at = slice(start, min(start + _CHUNK, m))
        k, target, bucket = at.stop - start, arcs.target[at], arcs.bucket[at]
        # `clip` only says that indices need no check: with it, take writes straight into `out`
        left.take(target, axis=0, out=ours[:k], mode="clip")
        right.take(arcs.source[at], axis=0, out=theirs[:k], mode="clip")
        first, last = target[0], target[-1] + 1
        many = last - first <= k // _MANY
        if not many:
            theirs[:k] += right_time[bucket]
        split = (k, heads, d // heads)
        result[:, at] = np.einsum("mhc,mhc->mh", ours[:k].reshape(split), theirs[:k].reshape(split)).T
        if many:  # edges into a target: each age once for the target, not once for each edge
            ages = left[first:last].reshape(-1, heads, d // heads).transpose(1, 0, 2) @ by_age
            result[:, at] += ages.reshape(heads, -1).take((target - first) * BUCKETS + bucket, axis=1)
    return result


def _sums(arcs: Arcs, weight: Array, of: Array, of_time: Array) -> Array:
    """(n, d): over the edges into each target, weight times (of[source] + of_time[bucket])."""
    result = np.empty((len(arcs.indptr) - 1, of.shape[1]), dtype=of.dtype)
    for head, part in _parts(len(weight), of.shape[1]):
        sources = _matrix(arcs, weight[head], arcs.source, len(of)) @ np.ascontiguousarray(of[:, part])
        ages = _matrix(arcs, weight[head], arcs.bucket, BUCKETS) @ np.ascontiguousarray(of_time[:, part])
        np.add(sources, ages, out=result[:, part])
    return result


def _scattered(arcs: Arcs, weight: Array, column: NDArray[np.int32], of: Array, n: int) -> Array:
    """(n, d): over the edges that have each `column`, weight times of[target]."""
    result = np.empty((n, of.shape[1]), dtype=of.dtype)
    for head, part in _parts(len(weight), of.shape[1]):
        result[:, part] = _matrix(arcs, weight[head], column, n).T @ np.ascontiguousarray(of[:, part])
    return result


def _shares(arcs: Arcs, weight: Array) -> Array:
    result = np.zeros((len(arcs.indptr) - 1, len(weight)), dtype=weight.dtype)
    some = np.flatnonzero(np.diff(arcs.indptr))
    if len(some):
        result[some] = np.add.reduceat(weight, arcs.indptr[some], axis=1).T
    return result


def _matrix(arcs: Arcs, weight: Array, column: NDArray[np.int32], n: int) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((weight, column, arcs.indptr), shape=(len(arcs.indptr) - 1, n))


def _parts(heads: int, width: int) -> Iterable[tuple[int, slice]]:
    each = width // heads
    return ((head, slice(head * each, (head + 1) * each)) for head in range(heads))
