"""Croston: for products that sell now and then, the pieces of a sale and the steps between sales, each smoothed.

The rate is pieces / steps between (Croston 1972), times 1 - alpha / 2 for its bias (Syntetos and Boylan 2005). Nothing
changes between two sales, so what has stopped selling is expected to go on for ever: tsb is for that.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.statistics.local import LocalModel, LocalParams, LocalTrainer

Floats = NDArray[np.float64]
ALPHAS = np.array([0.03, 0.05, 0.1, 0.2, 0.3])


class CrostonModel(LocalModel):
    def means(self, observed: Floats, index: Floats, at: NDArray[np.int64], ahead: NDArray[np.int64]) -> Floats:
        alphas = np.array([self.facts["alpha"]]) if self.facts["alpha"] else ALPHAS
        corrected = self.facts["variant"] == "sba"
        return rate(observed, index[:, at], alphas, corrected)[:, None] * index[:, ahead]


class Croston(LocalTrainer):
    name: ClassVar[str] = "croston"
    description: ClassVar[str] = "Pieces of a sale / steps between sales, for products that sell now and then"
    tags: ClassVar[tuple[str, ...]] = ("statistics", "local", "fast", "intermittent")
    model: ClassVar[type[LocalModel]] = CrostonModel

    class Params(LocalParams, kw_only=True, forbid_unknown_fields=True):
        variant: Annotated[
            Literal["sba", "croston"],
            msgspec.Meta(description="with the correction of Syntetos and Boylan, or without"),
        ] = "sba"
        alpha: Annotated[float, msgspec.Meta(ge=0, le=1, description="smoothing; 0: each product's best of five")] = 0.0


def rate(observed: Floats, index: Floats, alphas: Floats, corrected: bool) -> Floats:
    """(n,) pieces a step of series (n, d), NaN where nothing was seen; `index` (n, d) is the season of each step.

    Of several `alphas` the one whose rate was least wrong one step ahead, squared.
    """
    n, d = observed.shape
    bias = 1.0 - alphas / 2.0 if corrected else np.ones_like(alphas)
    sells = observed > 0
    sales = sells.sum(axis=1)
    seen_steps = np.isfinite(observed).sum(axis=1)
    usual = np.nansum(observed, axis=1) / np.maximum(np.where(sells, index, 0.0).sum(axis=1), 1e-9)
    pieces = np.repeat(usual[:, None], len(alphas), axis=1)
    between = np.repeat((np.maximum(seen_steps, 1) / np.maximum(sales, 1))[:, None], len(alphas), axis=1)
    begun, waited, loss = np.zeros((n, 1), dtype=np.bool_), np.zeros((n, 1)), np.zeros((n, len(alphas)))
    for step in range(d):
        now = observed[:, step, None]
        seen, sold = np.isfinite(now), sells[:, step, None]
        error = np.where(seen & begun, now - bias * pieces / between * index[:, step, None], 0.0)
        loss += error * error
        now = now / index[:, step, None]
        waited = waited + seen
        pieces = np.where(sold & ~begun, now, np.where(sold, pieces + alphas * (now - pieces), pieces))
        between = np.where(sold & begun, between + alphas * (waited - between), between)
        waited = np.where(sold, 0.0, waited)
        begun |= sold
    best = loss.argmin(axis=1)[:, None]
    said = np.take_along_axis(bias * pieces / between, best, axis=1)[:, 0]
    return np.where(sales > 0, said, 0.0)
