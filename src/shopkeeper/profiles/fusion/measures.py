"""How good the two heads are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Metrics
from shopkeeper.quality import classification


def of_chance(ordered: NDArray[np.float64], probability: NDArray[np.float64]) -> Metrics:
    """Of a probability (n,) beside what happened, 0 or 1 (n,)."""
    return {
        "auc": classification.auc(ordered, probability),
        "pr_auc": classification.average_precision(ordered, probability),
        "log_loss": classification.logloss(ordered, probability),
        "brier": classification.brier(ordered, probability),
        "calibration_error": classification.calibration_error(ordered, probability),
    }


def of_spend(spend: NDArray[np.float64], said: NDArray[np.float64]) -> Metrics:
    """Of an expected spend (n,) beside the true one (n,): mean absolute error, rank correlation, ratio of the sums."""
    total = float(spend.sum())
    return {
        "spend_mae": float(np.abs(spend - said).mean()) if len(spend) else float("nan"),
        "spend_spearman": spearman(spend, said),
        "spend_ratio": float(said.sum()) / total if total else float("nan"),
    }


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of the ranks, ties sharing theirs; 0 where either does not vary."""
    if len(one) < 2:
        return 0.0
    ranks = [_ranks(values) for values in (one, other)]
    spread = [float(values.std()) for values in ranks]
    if min(spread) == 0:
        return 0.0
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spread[0] * spread[1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2.0)[where]
    return ranks
