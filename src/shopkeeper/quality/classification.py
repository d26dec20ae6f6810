"""Measures of yes/no predictions. `label` is 0 or 1, `score` any number (auc) or a probability; all shapes (n,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32] | NDArray[np.float64]


def auc(label: Numbers, score: Numbers) -> float:
    """Chance that a random 1 scores above a random 0, ties counting half. NaN unless both labels occur."""
    positive = label > 0
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if not n_pos or not n_neg:
        return float("nan")
    _, where, counts = np.unique(score, return_inverse=True, return_counts=True)
    # The mean rank (from 1) of each distinct score: ties share it.
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    total = float(ranks[where][positive].sum())
    return (total - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg)


def grouped_auc(label: Numbers, score: Numbers, group: NDArray[np.int64]) -> float:
    """GAUC: the AUC of each group, averaged with the groups' sizes as weights; all shapes (n,), any order.

    Groups of one label have no AUC and are left out, as are rows of a negative group. NaN when none is left. Zhu et
    al., "Optimized cost per click in Taobao display advertising", KDD 2017 (there weighted by impressions).
    """
    kept = np.flatnonzero(group >= 0)
    if not len(kept):
        return float("nan")
    order = kept[np.lexsort((score[kept], group[kept]))]
    positive, score, group = label[order] > 0, score[order], group[order]
    first = np.r_[True, group[1:] != group[:-1]]
    starts = np.flatnonzero(first)
    number = np.cumsum(first) - 1
    # Rows of equal score in one group share the mean of their ranks (from 1) within it.
    tie_starts = np.flatnonzero(first | np.r_[True, score[1:] != score[:-1]])
    tie_sizes = np.diff(np.r_[tie_starts, len(order)])
    ranks = np.repeat(tie_starts + (tie_sizes + 1) / 2.0, tie_sizes) - starts[number]
    sizes = np.diff(np.r_[starts, len(order)])
    n_pos = np.add.reduceat(positive.astype(np.int64), starts)
    n_neg = sizes - n_pos
    both = (n_pos > 0) & (n_neg > 0)
    if not both.any():
        return float("nan")
    sums = np.add.reduceat(np.where(positive, ranks, 0.0), starts)[both]
    n_pos, n_neg, sizes = n_pos[both], n_neg[both], sizes[both]
    return float(np.average((sums - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg), weights=sizes))


def average_precision(label: Numbers, score: Numbers) -> float:
    """Area under precision against recall, step by step; rows of equal score are taken together. NaN without a 1."""
    positive = label > 0
    n_pos = int(positive.sum())
    if not n_pos:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.r_[score[order][1:] != score[order][:-1], True]
    found, shown = hits[last], np.flatnonzero(last) + 1
    return float(np.sum(np.diff(found, prepend=0) / n_pos * found / shown))


def logloss(label: Numbers, probability: Numbers, weight: Numbers | None = None, *, eps: float = 1e-7) -> float:
    """Mean negative log likelihood in nats; probabilities are kept `eps` away from 0 and 1. `weight`: how many rows one
    stands for. NaN without a row that stands for any."""
    if not len(label) or (weight is not None and not weight.any()):
        return float("nan")
    p = np.clip(probability.astype(np.float64), eps, 1.0 - eps)
    told = np.where(label > 0, np.log(p), np.log1p(-p))
    return float(-np.mean(told) if weight is None else -np.average(told, weights=weight.astype(np.float64)))


def brier(label: Numbers, probability: Numbers) -> float:
    """Mean squared distance between probability and outcome."""
    if not len(label):
        return float("nan")
    return float(np.mean((probability.astype(np.float64) - (label > 0)) ** 2))


def calibration_error(label: Numbers, probability: Numbers, *, bins: int = 15) -> float:
    """Expected calibration error: |said - happened| weighted over `bins` groups of equally many rows."""
    if not len(label):
        return float("nan")
    order = np.argsort(probability, kind="stable")
    total = 0.0
    for part in np.array_split(order, min(bins, len(order))):
        total += len(part) * abs(float(probability[part].mean()) - float((label[part] > 0).mean()))
    return total / len(order)


def accuracy(label: Numbers, probability: Numbers, *, threshold: float = 0.5) -> float:
    """Share of rows on the right side of the threshold."""
    if not len(label):
        return float("nan")
    return float(np.mean((probability >= threshold) == (label > 0)))
