"""What models of trees learn, whichever library grows them; that they pass as forecasters is the contract's test."""

import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.lightgbm import LightGbm, LightGbmModel
from shopkeeper.forecast.algorithms.xgboost import XgBoost
from shopkeeper.forecast.covariates import PROMOTION, Covariates
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.steps import DAY, Step, week
from shopkeeper.forecast.trees.boosting import Facts, Forest, Reach, TreeTrainer
from shopkeeper.forecast.trees.lags import Drawn, Reading, features

TRAINERS = (LightGbm, XgBoost)
_PRODUCTS, _DAYS, _AHEAD = 10, 160, 28
_SMALL = {"rounds": 40, "rows": 5_000, "windows": 2, "horizon": 14, "learning_rate": 0.1}


def shop(promoted: float = 10.0, step: Step = DAY, seed: int = 0) -> SeriesSet:
    """Poisson sales; a promotion now and then brings so many pieces more, and all that are to come are entered."""
    random = np.random.default_rng(seed)
    promotion = (random.random((_PRODUCTS, _DAYS + _AHEAD)) < 0.15).astype(np.float32)
    level = np.linspace(8, 14, _PRODUCTS)[:, None] * np.ones((1, _DAYS))
    y = random.poisson(level + promoted * promotion[:, :_DAYS]).astype(np.float32)
    known = Covariates(
        (), np.empty((0, _DAYS + _AHEAD), np.float32), (PROMOTION,), promotion[None],
        ("category",), (np.arange(_PRODUCTS) % 2).astype(np.int32)[:, None], (("a", "b"),),
        frozenset({PROMOTION}), _AHEAD,
    )  # fmt: skip
    price = np.full(y.shape, np.nan, np.float32)
    ids, sold = tuple(f"P{k}" for k in range(_PRODUCTS)), (y > 0).sum(axis=0).astype(np.int32)
    return SeriesSet(ids, 19_723, y, price, sold, np.zeros(_PRODUCTS, np.bool_), known, None, step)


def trained(trainer: type[TreeTrainer], series: SeriesSet, **params: object) -> LightGbmModel:
    return trainer(msgspec.convert({**_SMALL, **params}, trainer.Params), 1).fit(series, silent)  # type: ignore[return-value]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_promotion_that_is_entered_is_worth_what_it_was_worth(trainer: type[TreeTrainer]) -> None:
    series = shop(promoted=10.0)
    known = series.covariates
    assert known is not None
    mean = trained(trainer, series).forecast(series, 14).mean
    then = known.own[0, :, _DAYS : _DAYS + 14] > 0
    assert 7 < mean[then].mean() - mean[~then].mean() < 13


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_the_model_was_not_trained_with_changes_nothing(trainer: type[TreeTrainer]) -> None:
    """A category that is new, or none at all, and no promotions."""
    series = shop()
    model = trained(trainer, series)
    known = series.covariates
    assert known is not None
    other = Covariates(
        known.shared_names, known.shared, known.own_names, known.own, ("category",),
        np.full((_PRODUCTS, 1), -1, np.int32), (("c",),), known.known, known.ahead,
    )  # fmt: skip
    for covariates in (other, None):
        asked = SeriesSet(
            series.ids, series.first_day, series.y, series.price, series.sold, series.aggregate, covariates
        )
        said = model.forecast(asked, 14)
        assert np.isfinite(said.quantiles).all()
        assert 0.5 < said.mean.mean() / series.y.mean() < 1.5


@pytest.mark.parametrize("trainer", TRAINERS)
def test_quantiles_are_learned_in_order_and_cover(trainer: type[TreeTrainer], tmp_path: Path) -> None:
    series = shop()
    model = trained(trainer, series, objective="quantile")
    base = model.base(series.until(_DAYS - 14), 20)
    assert base.quantiles is not None
    assert base.quantiles.shape == (_PRODUCTS, 20, 9)
    assert (np.diff(base.quantiles, axis=2) >= 0).all()
    came = series.y[:, -14:]
    assert (came <= base.quantiles[:, :14, 6]).mean() > 0.7
    assert (came <= base.quantiles[:, :14, 2]).mean() < 0.3
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    np.testing.assert_allclose(again.forecast(series, 20).quantiles, model.forecast(series, 20).quantiles, rtol=1e-9)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_both_strategies_are_told_apart_and_survive_a_load(trainer: type[TreeTrainer], tmp_path: Path) -> None:
    series = shop()
    said = {}
    for strategy in ("direct", "recursive", "both"):
        model = trained(trainer, series, strategy=strategy)
        folder = tmp_path / strategy
        folder.mkdir()
        model.save(folder)
        said[strategy] = type(model).load(folder).forecast(series, 21).mean
        np.testing.assert_allclose(said[strategy], model.forecast(series, 21).mean, rtol=1e-9)
        assert 0.6 < said[strategy].mean() / series.y.mean() < 1.6
    assert not np.allclose(said["direct"], said["recursive"])
    np.testing.assert_allclose(said["both"], (said["direct"] + said["recursive"]) / 2, rtol=1e-6)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_weeks_are_learned_from_as_days_are(trainer: type[TreeTrainer]) -> None:
    series = shop(step=week())
    model = trained(trainer, series)
    said = model.forecast(series, 14)
    assert 0.7 < said.mean.mean() / series.y.mean() < 1.4
    with pytest.raises(Invalid, match="asked about some by day"):
        model.forecast(shop(), 14)


def test_days_that_were_not_available_are_no_sales_of_zero() -> None:
    series = shop(promoted=0.0)
    gone = np.random.default_rng(5).random(series.y.shape) < 0.5
    y = np.where(gone, 0, series.y).astype(np.float32)

    def mean(available: NDArray[np.bool_] | None) -> float:
        some = SeriesSet(series.ids, series.first_day, y, series.price, series.sold, series.aggregate, None, available)
        return float(trained(LightGbm, some).forecast(some, 14).mean.mean())

    assert mean(~gone) / series.y.mean() == pytest.approx(1.0, abs=0.1)
    assert mean(None) / series.y.mean() == pytest.approx(0.5, abs=0.1)


def test_a_model_of_a_version_that_read_other_features_is_to_be_trained_again(tmp_path: Path) -> None:
    trained(LightGbm, shop()).save(tmp_path)
    (tmp_path / "model.json").write_bytes(b'{"trained_horizon": 28}')
    with pytest.raises(Unavailable, match="train it again"):
        LightGbmModel.load(tmp_path)
    (tmp_path / "model.json").unlink()
    with pytest.raises(Unavailable, match="train it again"):
        LightGbmModel.load(tmp_path)


def test_trees_that_are_cut_off_are_to_be_trained_again(tmp_path: Path) -> None:
    for trainer, file in ((LightGbm, "direct_0.txt"), (XgBoost, "direct.ubj")):
        model = trained(trainer, shop())
        model.save(tmp_path)
        (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:100])
        with pytest.raises(Unavailable, match="train it again"):
            type(model).load(tmp_path)


@pytest.mark.parametrize("steady", [True, False])
def test_a_steady_series_is_seen_beside_its_year_and_one_that_moves_beside_its_last_weeks(steady: bool) -> None:
    days, random = 1_000, np.random.default_rng(0)
    season = 0.5 * np.sin(2 * np.pi * np.arange(days) / 364)
    moves = np.zeros((20, days)) if steady else np.repeat(random.normal(0, 1.5, (20, 10)), 100, axis=1)
    y = random.poisson(20 * np.exp(season + moves)).astype(np.float64)
    series = with_total(tuple(f"P{k}" for k in range(20)), 16_000, y, y, y)
    model = trained(LightGbm, series, windows=1, rounds=40)
    assert model.reading.level == (364 if steady else 56)


class _Level:
    """Trees that know nothing: the level for ever."""

    def predict(self, features: NDArray[np.float32], threads: int) -> Floats:
        del threads
        return np.zeros(len(features))


def test_many_series_are_answered_in_little_more_memory_than_their_own() -> None:
    n, days = 20_000, 200
    y = np.random.default_rng(0).poisson(1.0, (n, days)).astype(np.float32)
    price, sold = np.full(y.shape, np.nan, np.float32), np.full(days, n, np.int32)
    series = SeriesSet(tuple(map(str, range(n))), 19_723, y, price, sold, np.zeros(n, np.bool_))
    reach = Reach(_Level(), Reading.of(series), 28)  # type: ignore[arg-type]
    forest = Forest(Facts(reach.reading, 28, 7, "direct", "tweedie"), reach, None, None)
    tracemalloc.start()
    said = forest.base(series, 28)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    every = n * 28 * len(reach.reading.names) * 4
    assert said.mean.shape == (n, 28)
    assert peak < every
    np.testing.assert_allclose(said.mean[0, 0], features(series, Drawn(*(np.array([k]) for k in (0, days, 1))), 28)[1])


def test_progress_is_told_up_to_all_trees() -> None:
    told: list[tuple[int, int]] = []

    def report(step: int, of: int, *_: object, **__: object) -> None:
        told.append((step, of))

    for objective in ("tweedie", "quantile"):
        told.clear()
        params = msgspec.convert({**_SMALL, "objective": objective}, LightGbm.Params)
        LightGbm(params, 1).fit(shop(), report)
        assert told[-1][0] == told[-1][1]
        assert [step for step, _ in told] == sorted(step for step, _ in told)
