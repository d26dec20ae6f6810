"""Theta: half straight line, half exponential smoothing, the season taken out first; or how much of each by its errors.

A series is z = y / season. The theta line of parameter theta is theta z + (1 - theta) (a + b t), and the forecast adds
the smoothed theta line, weighed 1 / theta, and the straight line, weighed w = 1 - 1 / theta (Assimakopoulos and
Nikolopoulos 2000; Fiorucci et al. 2016). Both are linear in z, so a one-step forecast is the smoothed z plus w times b
times the steps that smoothing lags behind a line. The best w of each smoothing `alpha` follows from three sums; `alpha`
is the best of a grid. The line is fitted to the same days on which w is judged, which flatters it: w = 1/2 is default.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.statistics.local import LocalModel, LocalParams, LocalTrainer, begin

Floats = NDArray[np.float64]
ALPHAS = np.array([0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 0.95])
_FIRST = 14
_TREND = {7: 56, 52: 52}  # steps that a trend needs


class ThetaModel(LocalModel):
    feature_names = ("level", "trend", "season")

    def means(self, observed: Floats, index: Floats, at: NDArray[np.int64], ahead: NDArray[np.int64]) -> Floats:
        weight = 0.5 if self.facts["line"] == "classic" else None
        flat = observed / index[:, at]
        level, slope, lag = smoothed(flat, weight, _TREND[index.shape[1]])
        steps = lag[:, None] + np.arange(len(ahead))[None, :]
        return (level[:, None] + slope[:, None] * steps) * index[:, ahead]


class Theta(LocalTrainer):
    name: ClassVar[str] = "theta"
    description: ClassVar[str] = "Theta: smoothing and a damped line, both chosen for each product by its own errors"
    model: ClassVar[type[LocalModel]] = ThetaModel

    class Params(LocalParams, kw_only=True, forbid_unknown_fields=True):
        line: Annotated[
            Literal["best", "classic"], msgspec.Meta(description="theta 2 for all, or found for each product")
        ] = "classic"


def smoothed(flat: Floats, weight: float | None, fewest: int) -> tuple[Floats, Floats, Floats]:
    """Of series (n, d), NaN where nothing was seen: the last level, the slope a step that is forecast, and how many
    steps the level lags behind a line one step ahead; all (n,).

    `weight` of the straight line, None to find the best in [0, 1]. Series seen at fewer than `fewest` steps get no
    slope.
    """
    start, first = begin(flat, _FIRST)
    slope = np.where(np.isfinite(flat).sum(axis=1) >= fewest, _slope(flat), 0.0)
    n, grid = len(flat), len(ALPHAS)
    level, lag = np.repeat(start[:, None], grid, axis=1), np.zeros((n, grid))
    squares, products, lags = np.zeros((n, grid)), np.zeros((n, grid)), np.zeros((n, grid))
    for step in range(int(first.min(initial=flat.shape[1])), flat.shape[1]):
        seen = np.isfinite(flat[:, step])[:, None]
        lag = np.where(seen, lag * (1.0 - ALPHAS) + 1.0, lag)
        error = np.where(seen, flat[:, step, None] - level, 0.0)
        squares += error * error
        products += error * lag
        lags += np.where(seen, lag * lag, 0.0)
        level += ALPHAS * error
    best_weight = np.full((n, grid), weight if weight is not None else 0.0)
    if weight is None:
        pull = slope[:, None] * lags
        best_weight = np.clip(np.where(pull != 0, products / np.where(pull != 0, pull, 1.0), 0.0), 0.0, 1.0)
    moved = best_weight * slope[:, None]
    loss = squares - 2.0 * moved * products + moved * moved * lags
    best = loss.argmin(axis=1)[:, None]
    picked = (np.take_along_axis(values, best, axis=1)[:, 0] for values in (level, moved, lag))
    last, along, behind = picked
    return last, along, behind * (1.0 - ALPHAS[best[:, 0]]) + 1.0


def _slope(flat: Floats) -> Floats:
    """(n,) least squares slope over the steps that were seen, counted one after the other."""
    seen = np.isfinite(flat)
    time = np.where(seen, np.cumsum(seen, axis=1), 0).astype(np.float64)
    count = np.maximum(seen.sum(axis=1), 1)
    centred = np.where(seen, time - time.sum(axis=1, keepdims=True) / count[:, None], 0.0)
    spread = (centred * centred).sum(axis=1)
    return np.where(
        spread > 0, (centred * np.where(seen, flat, 0.0)).sum(axis=1) / np.where(spread > 0, spread, 1.0), 0.0
    )
