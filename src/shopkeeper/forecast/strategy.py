"""How a forecast reaches beyond the next steps: each step ahead at once, block after block, or the mean of both.

A direct model has an input for the steps ahead and says the whole horizon from what is known now. A recursive one says
the next block only, takes it for true and goes on from there: it needs no long horizon to learn from, and its errors
add up. Which of them is served, intervals are measured on that one, so that growth of the error is inside them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import Covariates
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.series import SeriesSet

Strategy = Literal["direct", "recursive", "both"]


class Stepwise(Protocol):
    """Whatever says up to `block` steps at once: mean and scale, both (n, steps)."""

    @property
    def block(self) -> int: ...

    def next(self, series: SeriesSet, steps: int) -> tuple[Floats, Floats]: ...


def recursive(model: Stepwise, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
    """Mean and scale (n, horizon), block after block, each from a history that the means before it are appended to.

    Of a model whose block is the horizon this is its direct forecast.
    """
    mean, scale = np.empty((len(series), horizon)), np.empty((len(series), horizon))
    for done in range(0, horizon, model.block):
        steps = min(model.block, horizon - done)
        mean[:, done : done + steps], scale[:, done : done + steps] = model.next(series, steps)
        if done + steps < horizon:
            series = extended(series, mean[:, done : done + steps])
    return mean, scale


def points_of(
    strategy: Strategy, direct: Stepwise | None, stepwise: Stepwise | None, series: SeriesSet, horizon: int
) -> tuple[Floats, Floats]:
    """By the strategy; `both` is the mean of the two. Raises Invalid when the model that it takes is not there."""
    wanted = {"direct": (direct,), "recursive": (stepwise,), "both": (direct, stepwise)}[strategy]
    said = [recursive(model, series, horizon) for model in wanted if model is not None]
    if len(said) < len(wanted):
        raise Invalid(f"strategy {strategy!r} of a model that was not trained for it", code="bad_param")
    mean: Floats = np.mean([one[0] for one in said], axis=0)
    scale: Floats = np.mean([one[1] for one in said], axis=0)
    return mean, scale


def extended(series: SeriesSet, mean: Floats) -> SeriesSet:
    """As if `mean` (n, k) had been sold in the k steps behind the history: nothing on days expected to be closed.

    Prices go on as they were; what was known ahead of these steps is now known of them.
    """
    steps = mean.shape[1]
    closed = series.future_closed(steps) if series.step.days == 1 else np.zeros(steps, dtype=np.bool_)
    selling = series.sold[series.sold > 0]
    usual = max(int(np.median(selling)), 1) if len(selling) else 1
    more = np.where(closed[None, :], 0.0, mean).astype(np.float32)
    last = series.price[:, -1:] if series.days else np.full((len(series), 1), np.nan, dtype=np.float32)
    return replace(
        series,
        y=np.hstack([series.y, more]),
        price=np.hstack([series.price, np.repeat(last, steps, axis=1)]),
        sold=np.concatenate([series.sold, np.where(closed, 0, usual)]).astype(np.int32),
        covariates=None if series.covariates is None else _passed(series.covariates, steps),
        available=None if series.available is None else np.hstack([series.available, np.ones(more.shape, np.bool_)]),
    )


def _passed(known: Covariates, steps: int) -> Covariates:
    """`steps` of the future have become past; NaN in those that nothing was known of."""
    missing = max(steps - known.ahead, 0)
    if not missing:
        return replace(known, ahead=known.ahead - steps)
    return replace(known, shared=_wider(known.shared, missing), own=_wider(known.own, missing), ahead=0)


def _wider(table: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    return np.pad(table, [(0, 0)] * (table.ndim - 1) + [(0, columns)], constant_values=np.nan)
