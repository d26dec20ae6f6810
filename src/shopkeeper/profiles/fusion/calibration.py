"""Logits that say what happens: the slope and shift under which they are most likely true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.fusion.model import sigmoid

_STEPS = 50
_RIDGE = 1.0
"""In rows: draws the slope towards 1, so that a small block does not decide it alone."""
_LEAST_SLOPE = 0.05


def calibration(logits: NDArray[np.float64], label: NDArray[np.float64]) -> tuple[float, float]:
    """`(slope, shift)`, both (n,) given: logistic regression by Newton's method. The slope stays above 0, so that the
    order of the customers does not change.

    References: Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    slope, shift = 1.0, 0.0
    for _ in range(_STEPS):
        p = sigmoid(slope * logits + shift)
        gradient = np.array([logits @ (p - label) + _RIDGE * (slope - 1.0), np.sum(p - label)])
        w = p * (1.0 - p) + 1e-9
        across = float(w @ logits)
        curvature = np.array([[w @ logits**2 + _RIDGE, across], [across, w.sum()]])
        step = np.clip(np.linalg.solve(curvature, gradient), -2.0, 2.0)
        slope, shift = max(slope - float(step[0]), _LEAST_SLOPE), shift - float(step[1])
        if np.abs(step).max() < 1e-9:
            break
    return slope, shift
