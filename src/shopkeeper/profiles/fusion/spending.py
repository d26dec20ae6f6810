"""How much those spend who order: ridge regression of the log, and what turns it into an amount of money."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.fusion.model import FusionInputs, SpendHead

_RIDGE = 100.0
_EDGE = 0.005


def spend_head(inputs: FusionInputs, spend: NDArray[np.float64]) -> SpendHead:
    """From customers with a spend above 0, both (n,); those without are left out. Its `scale` is exp(s^2 / 2)."""
    bought = np.flatnonzero(spend > 0)
    d, a = inputs.embedding.shape[1], inputs.activity.shape[1]
    if not len(bought):
        return SpendHead(np.zeros(d), np.zeros(a), 0.0, 0.0, 0.0, 0.0, 0.0)
    mine, said = inputs.take(bought), np.log(spend[bought])
    x = np.column_stack([mine.embedding, mine.activity, np.tanh(mine.score / 4.0)]).astype(np.float64)
    mean = x.mean(axis=0)
    moved = x - mean
    weights = np.linalg.solve(moved.T @ moved + _RIDGE * np.eye(x.shape[1]), moved.T @ (said - said.mean()))
    bias = float(said.mean() - mean @ weights)
    lowest, highest = (float(value) for value in np.quantile(said, (_EDGE, 1.0 - _EDGE)))
    left = said - np.clip(x @ weights + bias, lowest, highest)
    scale = float(np.exp(min(float(left.var()) / 2.0, 5.0)))
    return SpendHead(weights[:d], weights[d : d + a], float(weights[-1]), bias, lowest, highest, scale)
