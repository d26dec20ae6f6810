"""Small shops and short trainings for the tests of nets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shopkeeper.checks.forecast import small_shop
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.nhits import Nhits
from shopkeeper.forecast.covariates import HOLIDAY, PROMOTION, Covariates
from shopkeeper.forecast.neural.artifact import NeuralModel
from shopkeeper.forecast.series import SeriesSet

BRIEF: dict[str, Any] = {**Nhits.brief, "lookback": 28, "horizon": 14, "windows": 2}


def fit(series: SeriesSet, report: Any = silent, begin: NeuralModel | None = None, **params: Any) -> NeuralModel:
    """A short training of nhits."""
    trainer = Nhits(Nhits.Params(**{**BRIEF, **params}), 1)
    if begin is not None:
        trainer.continue_from(begin)
    return trainer.fit(series, report)


def promoted_shop(lift: float = 10.0, days: int = 260) -> SeriesSet:
    """Each product is in a planned promotion on some days, which sells `lift` pieces more. `visits` is of the past."""
    random = np.random.default_rng(5)
    plain = small_shop(days=days)
    n = len(plain)
    promotion = (random.random((n, days + 14)) < 0.25).astype(np.float32)
    promotion[:, days:] = 0
    promotion[plain.aggregate] = 0
    sold = np.where((promotion[:, :days] > 0) & ~plain.closed & (plain.y.sum(axis=1) > 0)[:, None], lift, 0)
    visits = np.full((n, days + 14), np.nan, dtype=np.float32)
    visits[:, :days] = random.uniform(50, 90, (n, days))
    holiday = np.zeros((1, days + 14), dtype=np.float32)
    holiday[0, 100::40] = 1
    beside = Covariates(
        shared_names=(HOLIDAY,),
        shared=holiday,
        own_names=(PROMOTION, "visits"),
        own=np.stack([promotion, visits]),
        static_names=("category",),
        statics=(np.arange(n, dtype=np.int32) % 3)[:, None],
        static_words=(("tea", "coffee", "cups"),),
        known=frozenset({HOLIDAY, PROMOTION}),
        ahead=14,
    )
    return replace(plain, y=(plain.y + sold).astype(np.float32), covariates=beside)


def with_own(series: SeriesSet, name: str, columns: slice, value: float) -> SeriesSet:
    """The same with other values of a covariate of its own in some columns."""
    beside = series.covariates
    assert beside is not None
    own = beside.own.copy()
    own[beside.own_names.index(name), :, columns] = value
    return replace(series, covariates=replace(beside, own=own))
