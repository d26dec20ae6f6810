"""Several forecasts as one: weights found greedily on past windows, and an answer even when members fail.

Weights are judged by quantiles averaged level by level (Vincent). What is answered is the weighted mean, with intervals
from the mixture's own past errors: those of members would be calibrated twice, once on a shorter history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.forecast.outlook import Base, ForecastModel, Outlook, level
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.quality import forecast as quality
from shopkeeper.quality.forecast import LEVELS

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
ROUNDS = 25
_MOST_SERIES = 2_000
_MEDIAN = len(LEVELS) // 2


def greedy(losses: Callable[[Floats], float], members: int, rounds: int = ROUNDS) -> Floats:
    """Weights (members,) that add up to 1: each round adds the member with which the mean of those chosen so far loses
    least, one may be chosen many times, and the best mean of all rounds wins (Caruana et al. 2004).

    `losses` of weights; a loss that is not finite counts as the worst.
    """
    counts, best, least = np.zeros(members), np.full(members, 1.0 / members), np.inf
    for _ in range(rounds):
        tried = [losses((counts + one) / (counts.sum() + 1.0)) for one in np.eye(members)]
        finite = np.where(np.isfinite(tried), tried, np.inf)
        chosen = int(finite.argmin())
        if not np.isfinite(finite[chosen]):
            break
        counts[chosen] += 1.0
        if finite[chosen] < least:
            least, best = float(finite[chosen]), counts / counts.sum()
    return best


def mixed(
    members: Mapping[str, ForecastModel], weights: Floats, sums: Floats, series: SeriesSet, horizon: int
) -> tuple[Base, dict[str, str]]:
    """The weighted mean of the members' means, and which did not answer, with why; `weights` (m,) of products, `sums`
    (m,) of aggregates.

    A member that raises is left out, and where its numbers are not finite too; the others' weights grow. A series for
    which nobody is left has the usual level as its mean.
    """
    mean, total = np.zeros((len(series), horizon)), np.zeros(len(series))
    lost: dict[str, str] = {}
    for place, (name, model) in enumerate(members.items()):
        share = np.where(series.aggregate, sums[place], weights[place])
        if not share.any():
            continue
        said = answer_of(name, model, series, horizon, lost)
        if said is None:
            continue
        fine: NDArray[np.bool_] = np.asarray(np.isfinite(said.mean).all(axis=1))
        if not fine[share > 0].all():
            lost[name] = "it gave no finite number"
        share = np.where(fine, share, 0.0)
        mean += share[:, None] * np.where(fine[:, None], said.mean, 0.0)
        total += share
    usual = level(series)
    known = total > 0
    mean = np.where(known[:, None], mean / np.where(known, total, 1.0)[:, None], usual[:, None])
    mean[~series.y.any(axis=1) & ~known] = 0.0
    return Base(mean, np.maximum(np.maximum(mean, 0.1 * usual[:, None]), 1e-4)), lost


def answer_of(name: str, model: ForecastModel, series: SeriesSet, horizon: int, lost: dict[str, str]) -> Outlook | None:
    """What a member says, or None with the reason in `lost`."""
    try:
        said = model.forecast(series, horizon)
    except Exception as error:  # noqa: BLE001  a stranger's algorithm may raise anything, and the others must answer
        lost[name] = error.message if isinstance(error, ShopkeeperError) else f"{type(error).__name__}: {error}"
        log.warning("ensemble member %s failed: %s", name, lost[name])
        return None
    if said.mean.shape != (len(series), horizon) or said.quantiles.shape != (len(series), horizon, len(LEVELS)):
        lost[name] = f"it gave numbers of shape {said.mean.shape}"
        return None
    return said


class Record:
    """What members said at past cutoffs, beside what came: at most 2,000 series, evenly drawn over the busiest."""

    def __init__(self, series: SeriesSet, horizon: int) -> None:
        self._rows = _drawn(series)
        self._series = series.select(self._rows)
        self._observed = self._series.observed().astype(np.float64)
        self._horizon = horizon
        self._actual: list[Floats] = []
        self._aggregate: list[NDArray[np.bool_]] = []
        self._scale: list[Floats] = []
        self._said: dict[str, list[NDArray[np.float32]]] = {}

    def add(self, members: Mapping[str, ForecastModel], cutoff: int) -> dict[str, str]:
        """Asks every member from one cutoff on; those that fail are in the answer and take part no more."""
        known = self._series.until(cutoff)
        begun = known.start < cutoff
        came = np.full((len(known), self._horizon), np.nan)
        future = self._observed[:, cutoff : cutoff + self._horizon]
        came[:, : future.shape[1]] = future
        came[:, known.future_closed(self._horizon)] = np.nan
        lost: dict[str, str] = {}
        for name, model in members.items():
            said = answer_of(name, model, known, self._horizon, lost)
            if said is None or not np.isfinite(said.quantiles).all():
                lost.setdefault(name, "it gave no finite number")
                continue
            self._said.setdefault(name, []).append(said.quantiles[begun].astype(np.float32))
        self._actual.append(came[begun])
        self._aggregate.append(known.aggregate[begun])
        history = self._observed[begun, :cutoff]
        self._scale.append(quality.naive_scale(history, min(known.step.season, max(cutoff // 2, 1)))[0])
        return lost

    def weights(self, names: Sequence[str], *, sums: bool) -> Floats:
        """(m,) by the quantile loss pooled over cutoffs, of products or of aggregates; equal where nothing came."""
        actual, said = self._of(names, sums)
        if not np.isfinite(actual).any():
            return np.full(len(names), 1.0 / len(names))
        return greedy(lambda weights: _loss(actual, np.tensordot(weights.astype(np.float32), said, axes=1)), len(names))

    def measures(self, names: Sequence[str], weights: Floats, *, sums: bool) -> list[dict[str, float]]:
        """WAPE and MASE of the median and quantile loss of each member, and of the weighted whole as the last."""
        actual, said = self._of(names, sums)
        whole = np.tensordot(weights.astype(np.float32), said, axes=1)
        scale = np.concatenate(self._scale)[np.concatenate(self._aggregate) == sums]
        measured = [
            {
                "wape": quality.wape(actual, one[..., _MEDIAN]),
                "mase": quality.mase(actual, one[..., _MEDIAN], scale),
                "pinball": quality.pinball(actual, one),
            }
            for one in (*said, whole)
        ]
        return measured if np.isfinite([one["pinball"] for one in measured]).all() else []

    def _of(self, names: Sequence[str], sums: bool) -> tuple[Floats, NDArray[np.float32]]:
        """(rows, h) what came, (m, rows, h, 9) what was said."""
        rows = np.concatenate(self._aggregate) == sums
        actual = np.concatenate(self._actual)[rows]
        return actual, np.stack([np.concatenate(self._said[name])[rows] for name in names])


def _loss(actual: Floats, quantiles: NDArray[np.floating]) -> float:
    """Mean quantile loss of the days that count."""
    error = actual[:, :, None].astype(np.float32) - quantiles
    levels = LEVELS.astype(np.float32)
    return float(np.nanmean(np.maximum(levels * error, (levels - 1) * error)))


def _drawn(series: SeriesSet) -> NDArray[np.int64]:
    """All aggregates, and of the products every k-th by sales, so that there are at most 2,000."""
    products = np.flatnonzero(~series.aggregate)
    if len(products) > _MOST_SERIES:
        order = products[np.argsort(-series.y[products].sum(axis=1), kind="stable")]
        products = np.sort(order[np.linspace(0, len(order) - 1, _MOST_SERIES).astype(int)])
    return np.concatenate([products, np.flatnonzero(series.aggregate)])
