"""One boosted-tree model for all series (LightGBM): calendar, lags, price; direct, with the days ahead as an input.

The trees learn log(mean / recent level) under a Tweedie loss, which suits demand that is mostly zero: each row starts
at the log of its own level. Intervals: split conformal on weeks that a first model has not seen; the model that serves
is then fitted on everything.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, Floats, calibrate, cutoffs
from shopkeeper.forecast.lags import FEATURE_NAMES, lags
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet

if TYPE_CHECKING:
    import lightgbm

_FIRST_ORIGIN = 28  # days of history before the first origin
_MANY_DAYS = 100
_ASLEEP = 150  # days without a sale after which a series is no longer learned from
_AGGREGATE_SHARE = 0.1  # of the loss, for the shop's total
_WORTH_THREADS = 50_000  # rows
_CAP = 5.0  # times the biggest day of the past: trees cannot run away, a typo in the data can


class LightGbmModel:
    feature_names: tuple[str, ...] = FEATURE_NAMES

    def __init__(self, booster: lightgbm.Booster, calibration: Calibration, trained: int) -> None:
        self._booster = booster
        self._calibration = calibration
        self._trained = trained

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, *self.points(series, horizon))

    def points(self, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
        """Mean and scale (which is the mean), both (n, h)."""
        return _points(self._booster, self._trained, series, horizon)

    def save(self, folder: Path) -> None:
        (folder / "booster.txt").write_text(self._booster.model_to_string(), encoding="utf-8")
        (folder / "model.json").write_bytes(msgspec.json.encode({"trained_horizon": self._trained}))
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> LightGbmModel:
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

        try:
            facts = msgspec.json.decode((folder / "model.json").read_bytes(), type=dict[str, int])
            booster = Booster(model_str=(folder / "booster.txt").read_text(encoding="utf-8"))
            return cls(booster, Calibration.load(folder), facts["trained_horizon"])
        except (OSError, KeyError, msgspec.DecodeError, LightGBMError) as error:
            raise Unavailable(f"the LightGBM model cannot be read ({error}); train it again") from error


class LightGbm:
    name: ClassVar[str] = "lightgbm"
    family: ClassVar[str] = "forecast"
    description: ClassVar[str] = "One tree model for all products: calendar, lags, price; conformal intervals"
    tags: ClassVar[tuple[str, ...]] = ("global", "trees")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[LightGbmModel]] = LightGbmModel

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="days ahead that are learned")] = 28
        rounds: Annotated[int, msgspec.Meta(ge=1, le=5_000, description="trees")] = 150
        learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1, description="step of each tree")] = 0.05
        leaves: Annotated[int, msgspec.Meta(ge=2, le=1_024, description="leaves a tree")] = 31
        least_rows: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="rows a leaf")] = 100
        tweedie: Annotated[float, msgspec.Meta(gt=1, lt=2, description="Tweedie power: 1 Poisson, 2 gamma")] = 1.2
        rows: Annotated[int, msgspec.Meta(ge=1_000, le=50_000_000, description="training rows, drawn at random")] = (
            300_000
        )
        windows: Annotated[int, msgspec.Meta(ge=1, le=52, description="past weeks that intervals are measured on")] = 5
        threads: Annotated[
            int,
            msgspec.Meta(ge=1, le=256, description="threads that train; two on a busy machine were slower than one"),
        ] = 1

    def __init__(self, params: LightGbm.Params, seed: int) -> None:
        self._params = params
        self._seed = seed

    def fit(self, data: SeriesSet, report: Report) -> LightGbmModel:
        """Raises Invalid when there is no day to learn from."""
        horizon = min(self._params.horizon, max(data.days // 4, 1))
        past = cutoffs(data.days, horizon, self._params.windows, step=7, fewest=2 * _FIRST_ORIGIN)
        of = (2 if past else 1) * self._params.rounds
        calibration = Calibration.unknown()
        if past:
            unaware = self._boost(data.until(past[0]), horizon, report, 0, of)
            calibration = calibrate(partial(_points, unaware, horizon), data, past, horizon)
        booster = self._boost(data, horizon, report, of - self._params.rounds, of)
        return LightGbmModel(booster, calibration, horizon)

    def _boost(self, data: SeriesSet, horizon: int, report: Report, done: int, of: int) -> lightgbm.Booster:
        import lightgbm

        features, target, start, weight = _training_rows(data, horizon, self._params, self._seed)
        rows = lightgbm.Dataset(
            features,
            target,
            weight=weight,
            init_score=start,
            feature_name=list(FEATURE_NAMES),
            params={"max_bin": 127, "verbose": -1, "num_threads": self._threads(len(target))},
        )

        def tell(env: lightgbm.callback.CallbackEnv) -> None:
            if env.iteration % 10 == 9:
                report(done + env.iteration + 1, of, message="growing trees")

        return lightgbm.train(self._settings(len(target)), rows, self._params.rounds, callbacks=[tell])

    def _threads(self, rows: int) -> int:
        """Threads that wait for one another cost more than few rows are worth."""
        return self._params.threads if rows >= _WORTH_THREADS else 1

    def _settings(self, rows: int) -> dict[str, object]:
        return {
            "objective": "tweedie",
            "tweedie_variance_power": self._params.tweedie,
            "learning_rate": self._params.learning_rate,
            "num_leaves": self._params.leaves,
            "min_data_in_leaf": min(self._params.least_rows, max(rows // 20, 1)),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "seed": self._seed,
            "num_threads": self._threads(rows),
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


def _points(booster: lightgbm.Booster, trained: int, series: SeriesSet, horizon: int) -> tuple[Floats, Floats]:
    seen = lags(series)
    n = len(series)
    row, ahead = np.repeat(np.arange(n), horizon), np.tile(np.arange(1, horizon + 1), n)
    threads = 0 if n * horizon >= _WORTH_THREADS else 1
    raw = booster.predict(seen.rows(row, ahead, trained), raw_score=True, num_threads=threads)
    mean = seen.level[:, None] * np.exp(np.clip(np.asarray(raw, dtype=np.float64).reshape(n, horizon), -10.0, 10.0))
    biggest = np.maximum(series.y.max(axis=1, initial=0.0), 1.0)
    mean = np.clip(mean, 1e-4, _CAP * biggest[:, None])
    return mean, mean


def _training_rows(
    data: SeriesSet, horizon: int, params: LightGbm.Params, seed: int
) -> tuple[NDArray[np.float32], Floats, Floats, Floats]:
    """Features (m, f), pieces (m,), log level (m,) and weight (m,), drawn from origins 5 days apart.

    With few days of history every day is an origin. Five and seven have no common factor: over time the origins fall
    on every weekday.
    """
    random = np.random.default_rng(seed)
    observed = data.observed()
    first, step = max(min(_FIRST_ORIGIN, data.days // 3), 1), 5 if data.days >= _MANY_DAYS else 1
    origins = list(range(data.days - 1, first - 1, -step))
    share = params.rows / max(len(origins) * int((~data.aggregate).sum()) * horizon, 1)
    parts: list[tuple[NDArray[np.float32], Floats, Floats, NDArray[np.bool_]]] = []
    for origin in origins:
        known = data.until(origin)
        seen = lags(known)
        row, ahead = _pairs(data, observed, origin, horizon, share, random)
        target = observed[row, origin + ahead - 1].astype(np.float64)
        parts.append((seen.rows(row, ahead, horizon), target, np.log(seen.level[row]), data.aggregate[row]))
    if not any(len(part[1]) for part in parts):
        raise Invalid("no open day after the first sale: there is nothing to learn from", code="no_data")
    features, target, start, aggregate = (np.concatenate(column) for column in zip(*parts, strict=True))
    return features, target, start, _weights(start, aggregate, params.tweedie)


def _pairs(
    data: SeriesSet,
    observed: NDArray[np.float32],
    origin: int,
    horizon: int,
    share: float,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Series and days ahead with a known answer; a random `share` of the products', all of the aggregates'."""
    recent: NDArray[np.bool_] = np.any(data.y[:, max(origin - _ASLEEP, 0) : origin] > 0, axis=1)
    future = observed[:, origin : origin + horizon]
    drawn = random.random(future.shape) < share
    drawn[data.aggregate] = True
    row, column = np.nonzero(np.isfinite(future) & recent[:, None] & drawn)
    return row, column + 1


def _weights(start: Floats, aggregate: NDArray[np.bool_], power: float) -> Floats:
    """Products weigh 1; aggregates so much that together they are a tenth of the loss, not all of it."""
    pull = np.exp((2 - power) * start)
    products, sums = float(pull[~aggregate].sum()), float(pull[aggregate].sum())
    ratio = _AGGREGATE_SHARE * products / sums if sums > 0 and products > 0 else 1.0
    return np.where(aggregate, ratio, 1.0)
