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


def logloss(label: Numbers, probability: Numbers, *, eps: float = 1e-7) -> float:
    """Mean negative log likelihood in nats; probabilities are kept `eps` away from 0 and 1."""
    if not len(label):
        return float("nan")
    p = np.clip(probability.astype(np.float64), eps, 1.0 - eps)
    return float(-np.mean(np.where(label > 0, np.log(p), np.log1p(-p))))


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
