"""Days added up to weeks. Only whole weeks count: the days before the first and after the last are left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.covariates import PLANNED, Covariates
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import Step

_DAYS = 7
_T = TypeVar("_T", bound=np.generic)


def weekly(series: SeriesSet, step: Step) -> SeriesSet:
    """A set of days as one of weeks that begin on `step.first`.

    `y` is what a week of seven available days would have sold: the sum over those there are, times 7 over their number;
    a week without one, or in which the shop was closed throughout, is not available. Shares and temperatures are means,
    a price is that of the last day.
    """
    skipped = (-(series.first_day + 3 - step.first)) % _DAYS
    weeks = max((series.days - skipped) // _DAYS, 0)
    ended = series.until(min(skipped + weeks * _DAYS, series.days))
    days = slice(min(skipped, ended.days), ended.days)
    available = None if ended.available is None else _split(ended.available[:, days])
    shut = _split(ended.closed[days]).all(axis=1)
    there: NDArray[np.bool_] | None = None if available is None else np.asarray(available.any(axis=2))
    if shut.any():
        there = np.broadcast_to(~shut, (len(ended), weeks)) if there is None else there & ~shut
    return replace(
        ended,
        first_day=series.first_day + skipped,
        y=_pieces(_split(ended.y[:, days]), available),
        price=ended.price[:, days][:, _DAYS - 1 :: _DAYS],
        sold=_split(ended.sold[days]).max(axis=-1) if weeks else np.empty(0, dtype=np.int32),
        covariates=None if ended.covariates is None else _covariates(ended.covariates, skipped, weeks),
        available=there,
        step=step,
    )


def _pieces(y: NDArray[np.float32], available: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    if available is None:
        return np.asarray(y.sum(axis=2))
    there = available.sum(axis=2)
    sold = np.where(available, y, 0.0).sum(axis=2)
    scaled: NDArray[np.float32] = (sold * (_DAYS / np.maximum(there, 1))).astype(np.float32)
    return scaled


def _covariates(known: Covariates, first: int, weeks: int) -> Covariates:
    """Of whole weeks from column `first` on, those of the future too."""
    ahead = max(known.columns + known.ahead - first - weeks * _DAYS, 0) // _DAYS
    end = first + (weeks + ahead) * _DAYS
    return replace(
        known,
        shared=_means(known.shared[:, first:end], known.shared_names),
        own=_means(known.own[:, :, first:end], known.own_names),
        ahead=ahead,
    )


def _means(values: NDArray[np.float32], names: tuple[str, ...]) -> NDArray[np.float32]:
    """Means of the days that are known, NaN where none is. What is planned is 0 where nothing was entered."""
    parts = _split(values)
    known = np.isfinite(parts)
    count = known.sum(axis=-1)
    total = np.where(known, parts, 0.0).sum(axis=-1, dtype=np.float64)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    planned = [name in PLANNED for name in names]
    means[planned] = np.nan_to_num(means[planned])
    return means


def _split(values: NDArray[_T]) -> NDArray[_T]:
    """(..., 7 w) -> (..., w, 7)."""
    return values.reshape(*values.shape[:-1], values.shape[-1] // _DAYS, _DAYS)
