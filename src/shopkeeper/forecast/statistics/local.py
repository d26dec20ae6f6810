"""What theta, Croston and TSB share: a rule of each series by itself, the shop's season, the house's intervals.

Nothing of a series is kept in the model: its parameters are found again from the history that is handed in, in one pass
over the days for all series at once. So a product that came after the training is answered like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, calibrate
from shopkeeper.forecast.outlook import Outlook, level
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.seasons import Season, own_index, past_cutoffs, places, places_ahead, shop_season

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_CHUNK = 2_048
"""Series at a time: their states fit into the processor's cache."""
_FEWEST = 28
_RECENT = {7: 56, 52: 8}
_CAP = 2.0  # times the biggest step: a trend that ran wild is not an answer


class LocalModel:
    """A rule, the shop's season by which it tells Mondays from Sundays, and a calibration."""

    feature_names: tuple[str, ...] = ("history", "season")

    def __init__(self, facts: dict[str, Any], shop: Season, calibration: Calibration) -> None:
        self.facts = facts
        self.shop = shop
        self._calibration = calibration

    def means(self, observed: Floats, index: Floats, at: Places, ahead: Places) -> Floats:
        """(n, h) pieces from the histories (n, d), NaN where nothing was seen, with their own index (n, season); steps
        of the history lie `at` places (d,) of the season, those that are asked for `ahead` (h,)."""
        raise NotImplementedError

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, *self.points(series, horizon))

    def points(self, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        """Mean and scale, both (n, h). A series without a sale has the mean 0."""
        season = series.step.season
        shop = self.shop if len(self.shop.index) == season else Season.unknown(season)  # fitted by day, asked by week
        at, ahead = places(series), places_ahead(series, horizon)
        observed = series.observed()
        mean = np.zeros((len(series), horizon))
        for begin in range(0, len(series) if series.days else 0, _CHUNK):
            rows = slice(begin, begin + _CHUNK)
            some = observed[rows].astype(np.float64)
            mean[rows] = self.means(some, own_index(some, at, shop), at, ahead)
        biggest = series.y.max(axis=1, initial=0.0).astype(np.float64)
        mean = np.clip(np.nan_to_num(mean), 0.0, _CAP * biggest[:, None])
        usual = level(series, _RECENT[season])
        return mean, np.maximum(np.maximum(mean, 0.1 * usual[:, None]), 1e-4)

    def save(self, folder: Path) -> None:
        shop = {"index": self.shop.index.tolist(), "times": self.shop.times}
        (folder / "model.json").write_bytes(msgspec.json.encode({"facts": self.facts, "shop": shop}))
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        try:
            kept = msgspec.json.decode((folder / "model.json").read_bytes(), type=dict[str, Any])
            shop = Season(np.asarray(kept["shop"]["index"], dtype=np.float64), float(kept["shop"]["times"]))
            return cls(kept["facts"], shop, Calibration.load(folder))
        except (OSError, KeyError, ValueError, msgspec.DecodeError) as error:
            raise Unavailable(f"model.json cannot be read ({error}); train the model again") from error


class LocalParams(BaseParams, kw_only=True, forbid_unknown_fields=True):
    horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="steps ahead that intervals are measured on")] = 28
    windows: Annotated[int, msgspec.Meta(ge=1, le=100, description="past weeks that intervals are measured on")] = 8


class LocalTrainer:
    """An algorithm adds its name, description, model and parameters."""

    family: ClassVar[str] = "forecast"
    tags: ClassVar[tuple[str, ...]] = ("statistics", "local", "fast")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[LocalModel]]

    def __init__(self, params: Any, seed: int) -> None:
        self._params = params
        self.seed = seed  # nothing here is drawn at random

    def fit(self, data: SeriesSet, report: Report) -> LocalModel:
        horizon = min(self._params.horizon, max(data.days // 2, 1))
        past = past_cutoffs(data, horizon, self._params.windows, _FEWEST)
        facts = msgspec.to_builtins(self._params)
        before = self.model(facts, shop_season(data.until(past[0]) if past else data), Calibration.unknown())
        measured = 0

        def told(known: SeriesSet, steps: int) -> tuple[Floats, Floats]:
            nonlocal measured
            report(measured, len(past) + 1, message="measuring past errors")
            measured += 1
            return before.points(known, steps)

        calibration = calibrate(told, data, past, horizon)
        report(len(past) + 1, len(past) + 1, message="measured past errors")
        return self.model(facts, shop_season(data), calibration)


def begin(observed: Floats, steps: int) -> tuple[Floats, NDArray[np.int64]]:
    """(n,) mean of the first `steps` steps from the first that was seen, and (n,) which that is (d: none)."""
    seen = np.isfinite(observed)
    d = observed.shape[1]
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), d)
    early = np.minimum(first[:, None] + np.arange(steps)[None, :], d - 1)
    values = np.take_along_axis(observed, early, axis=1)
    values[(first[:, None] + np.arange(steps)[None, :]) >= d] = np.nan
    counted = np.isfinite(values).sum(axis=1)
    return np.where(counted > 0, np.nansum(values, axis=1) / np.maximum(counted, 1), 0.0), first
