"""AutoETS: exponential smoothing whose form is chosen by AICc (fitted by statsforecast), one model a series.

Only the total and the busiest products get a fit of their own, which bounds the time; the others share simple
smoothing with one `alpha`. Parameters are fitted before the weeks on which intervals are measured; the states are run
up to the last day each time, by our own recursion: answering needs neither statsforecast nor pandas.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, Floats, calibrate
from shopkeeper.forecast.outlook import Outlook, level
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.seasons import past_cutoffs
from shopkeeper.forecast.statistics.smoothing import Smoothing

_FEWEST = 28  # open steps a fit needs
_CAP = 2.0  # times the biggest day: a trend that ran wild is not an answer


class AutoEtsModel:
    feature_names: tuple[str, ...] = ("level", "trend", "season")

    def __init__(self, ids: tuple[str, ...], own: Smoothing, shared_alpha: float, calibration: Calibration) -> None:
        self.ids = ids
        self._own = own
        self._place = {name: place for place, name in enumerate(ids)}
        self._shared_alpha = shared_alpha
        self._calibration = calibration

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, *self.points(series, horizon))

    def points(self, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        """Mean and scale, both (n, h). A series without a sale has the mean 0."""
        place = np.array([self._place.get(name, -1) for name in series.ids], dtype=np.int64)
        known = np.flatnonzero(place >= 0)
        smoothing = Smoothing.plain(self._shared_alpha, _first_month(series)).put(known, self._own, place[known])
        mean, _ = smoothing.forecast(series, horizon)
        mean = np.clip(np.nan_to_num(mean), 0.0, _CAP * series.y.max(axis=1, initial=0.0)[:, None])
        usual = level(series)
        scale = np.maximum(mean, 0.1 * usual[:, None])
        return mean, np.maximum(scale, 1e-4)

    def save(self, folder: Path) -> None:
        columns: dict[str, Any] = {f.name: getattr(self._own, f.name) for f in fields(self._own)}
        np.savez(folder / "smoothing.npz", **columns)
        facts = {"ids": list(self.ids), "shared_alpha": self._shared_alpha}
        (folder / "model.json").write_bytes(msgspec.json.encode(facts))
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> AutoEtsModel:
        try:
            facts = msgspec.json.decode((folder / "model.json").read_bytes())
            with np.load(folder / "smoothing.npz", allow_pickle=False) as kept:
                own = Smoothing(**{f.name: kept[f.name] for f in fields(Smoothing)})
            return cls(tuple(facts["ids"]), own, float(facts["shared_alpha"]), Calibration.load(folder))
        except (OSError, KeyError, ValueError, msgspec.DecodeError) as error:
            raise Unavailable(f"the AutoETS model cannot be read ({error}); train it again") from error


class AutoEts:
    name: ClassVar[str] = "autoets"
    family: ClassVar[str] = "forecast"
    description: ClassVar[str] = "Exponential smoothing chosen by AICc for the total and the busiest products"
    tags: ClassVar[tuple[str, ...]] = ("statistics", "local")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[AutoEtsModel]] = AutoEtsModel
    brief: ClassVar[dict[str, Any]] = {"busiest": 4}

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="days ahead that intervals are measured on")] = (
            28
        )
        windows: Annotated[int, msgspec.Meta(ge=1, le=100, description="past weeks that intervals are measured on")] = 5
        alpha: Annotated[float, msgspec.Meta(gt=0, le=1, description="smoothing of the products without a fit")] = 0.05
        busiest: Annotated[int, msgspec.Meta(ge=0, le=100_000, description="products that get a fit of their own")] = (
            100
        )

    def __init__(self, params: AutoEts.Params, seed: int) -> None:
        self._params = params
        self.seed = seed  # nothing here is drawn at random

    def fit(self, data: SeriesSet, report: Report) -> AutoEtsModel:
        past = past_cutoffs(data, self._params.horizon, self._params.windows, fewest=2 * _FEWEST)
        known = data.until(past[0]) if past else data
        chosen = _busiest(known, self._params.busiest)
        fits: list[dict[str, Any]] = []
        ids: list[str] = []
        for done, row in enumerate(chosen, start=1):
            one = known.select(np.array([row]))
            fit = fit_one(one)
            if fit is not None:
                fits.append(fit)
                ids.append(one.ids[0])
            report(done, len(chosen), message=f"AutoETS: {one.ids[0]}")
        own = _stacked(fits)
        alpha = self._params.alpha
        bare = AutoEtsModel(tuple(ids), own, alpha, Calibration.unknown())
        return AutoEtsModel(tuple(ids), own, alpha, calibrate(bare.points, data, past, self._params.horizon))


def _busiest(series: SeriesSet, count: int) -> list[int]:
    """Aggregates first, then the products that sold most in the last 112 days, with enough open days to fit."""
    enough = np.isfinite(series.observed()).sum(axis=1) >= _FEWEST
    sums = [int(row) for row in np.flatnonzero(series.aggregate & enough)]
    sold = np.where(~series.aggregate & enough, series.filled()[:, -112:].sum(axis=1), -1.0)
    order = np.argsort(-sold, kind="stable")[:count]
    return sums + [int(row) for row in order if sold[row] > 0]


def fit_one(one: SeriesSet) -> dict[str, Any] | None:
    """Parameters and first state by statsforecast, or None where it finds no model.

    The season is the open week; by week there is none. Holidays inside it, and days on which the product was not
    available, are filled with the same weekday's usual sales, to keep its phase.
    """
    from statsforecast.models import AutoETS

    by_day = one.step.days == 1
    open_week = np.flatnonzero(~one.weekly_closed) if by_day else np.unique(one.weekday[:1])
    weekday, observed = one.weekday, one.observed()[0].astype(np.float64)
    regular = np.isin(weekday, open_week) & (np.arange(one.days) >= one.start[0])
    y, days = observed[regular], weekday[regular]
    for day in open_week:
        mine = days == day
        usual = np.nanmean(y[mine]) if np.isfinite(y[mine]).any() else 0.0
        y[mine] = np.where(np.isnan(y[mine]), usual, y[mine])
    try:
        fitted = AutoETS(season_length=len(open_week)).fit(y).model_
    except (ValueError, ArithmeticError, IndexError):  # what its search raises on series that no form suits
        return None
    return _read(fitted, days, open_week)


def _read(fitted: dict[str, Any], days: NDArray[np.int64], open_week: NDArray[np.int64]) -> dict[str, Any] | None:
    """alpha, beta, gamma, phi and the states before the first day; seasons come newest first."""
    _, trend, season, damped = fitted["components"]
    alpha, beta, gamma, phi = (float(value) for value in fitted["par"][:4])
    states = np.asarray(fitted["states"], dtype=np.float64)[0]
    if trend == "M" or not np.isfinite(states).all():
        return None
    with_trend = trend != "N"
    by_weekday = np.full(7, 1.0 if season == "M" else 0.0)
    if season != "N":
        newest_first = states[1 + with_trend :]
        m = len(open_week)
        for step in range(m):
            by_weekday[days[step]] = newest_first[m - 1 - step]
    return {
        "alpha": alpha,
        "beta": beta if with_trend else 0.0,
        "gamma": gamma if season != "N" else 0.0,
        "damping": phi if damped == "D" else 1.0,
        "level": states[0],
        "trend": states[1] if with_trend else 0.0,
        "season": by_weekday,
        "multiplies": season == "M",
    }


def _stacked(fits: list[dict[str, Any]]) -> Smoothing:
    if not fits:
        return Smoothing.plain(1.0, np.empty(0))
    return Smoothing(**{name: np.array([fit[name] for fit in fits]) for name in fits[0]})


def _first_month(series: SeriesSet) -> Floats:
    """(n,) mean of the open days in the 28 days after the first sale: where smoothing begins."""
    since = np.arange(series.days)[None, :] - series.start[:, None]
    early = np.where((since >= 0) & (since < 28), series.observed(), np.nan)
    counted = np.isfinite(early).sum(axis=1)
    return np.where(counted > 0, np.nansum(early, axis=1, dtype=np.float64) / np.maximum(counted, 1), 0.0)
