"""Measures of ranked lists: how much of what a user took stands high in the list that was shown.

`slates` is int (n, k): a row a user, best first, -1 where the list ended. `relevant` has one int array a user: what the
user took. Users who took nothing are left out of every mean. All means are over users (macro), in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.int32]


def hits(slates: NDArray[np.int32], relevant: Sequence[Items]) -> NDArray[np.bool_]:
    """(n, k): is the item at this place one that the user took? A repeated item counts at its first place only."""
    found = np.zeros(slates.shape, dtype=np.bool_)
    for row, (slate, taken) in enumerate(zip(slates, relevant, strict=True)):
        _, first = np.unique(slate, return_index=True)
        mask = np.zeros(len(slate), dtype=np.bool_)
        mask[first] = True
        found[row] = np.isin(slate, taken) & (slate >= 0) & mask
    return found


def recall_at(slates: NDArray[np.int32], relevant: Sequence[Items], k: int) -> float:
    """Share of the taken items that are among the first k."""
    sizes = _sizes(relevant)
    found: NDArray[np.float64] = hits(slates[:, :k], relevant).sum(axis=1).astype(np.float64)
    return _mean(np.asarray(found / np.maximum(sizes, 1)), sizes)


def precision_at(slates: NDArray[np.int32], relevant: Sequence[Items], k: int) -> float:
    """Share of the first k places that hold a taken item; a short list counts its empty places as misses."""
    found: NDArray[np.float64] = hits(slates[:, :k], relevant).sum(axis=1).astype(np.float64)
    return _mean(np.asarray(found / k), _sizes(relevant))


def hit_at(slates: NDArray[np.int32], relevant: Sequence[Items], k: int) -> float:
    """Share of users with at least one taken item among the first k."""
    return _mean(np.asarray(hits(slates[:, :k], relevant).any(axis=1), dtype=np.float64), _sizes(relevant))


def mrr_at(slates: NDArray[np.int32], relevant: Sequence[Items], k: int) -> float:
    """Mean of 1 / place of the first taken item; 0 where none is among the first k."""
    found = hits(slates[:, :k], relevant)
    first: NDArray[np.float64] = np.where(found.any(axis=1), 1.0 / (found.argmax(axis=1) + 1), 0.0)
    return _mean(first, _sizes(relevant))


def ndcg_at(slates: NDArray[np.int32], relevant: Sequence[Items], k: int) -> float:
    """Binary gains, discount 1 / log2(place + 1), divided by the best reachable with min(k, taken) items."""
    sizes = _sizes(relevant)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    found = hits(slates[:, :k], relevant)
    gained = (found * discount[: found.shape[1]]).sum(axis=1)
    best: NDArray[np.float64] = np.cumsum(discount)[np.clip(sizes, 1, k) - 1]
    return _mean(gained / best, sizes)


def coverage_at(slates: NDArray[np.int32], n_items: int, k: int) -> float:
    """Share of the catalogue that stands in anyone's first k."""
    shown = np.unique(slates[:, :k])
    return float((shown >= 0).sum() / n_items) if n_items else 0.0


def grouped_ndcg(
    score: NDArray[np.float32],
    label: NDArray[np.float32],
    group: NDArray[np.int64],
    k: int,
    wanted: NDArray[np.int64] | None = None,
) -> float:
    """NDCG@k of rows in groups (one group = one shown list), ties in the given order.

    Shapes: all (n,). `group` holds the number of the list each row belongs to, rows of a group side by side. `wanted`
    says for each row how many items its user took, those missing in the list included; without it the 1s of the list
    count. Groups in which nothing was wanted are left out.
    """
    if not len(group):
        return 0.0
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    values = []
    for begin, end in zip(starts, np.r_[starts[1:], len(group)], strict=True):
        truth = label[begin:end] > 0
        total = int(truth.sum()) if wanted is None else int(wanted[begin])
        if not total:
            continue
        order = np.argsort(-score[begin:end], kind="stable")[:k]
        ideal = discount[: min(k, total)].sum()
        values.append((truth[order] * discount[: len(order)]).sum() / ideal)
    return float(np.mean(values)) if values else 0.0


def _sizes(relevant: Sequence[Items]) -> NDArray[np.int64]:
    return np.array([len(taken) for taken in relevant], dtype=np.int64)


def _mean(values: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    counted = values[sizes > 0]
    return float(counted.mean()) if len(counted) else 0.0
