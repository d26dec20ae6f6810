from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopkeeper.checks.forecast import DAYS, furnished_shop, small_shop, weekly_shop
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.algorithms.lightgbm import LightGbm
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.family import ForecastFamily, split
from shopkeeper.forecast.measuring.evaluation import evaluate
from shopkeeper.forecast.series import SeriesSet

ONE = Scope("product", "P8")


def test_naive_against_itself_is_a_tie() -> None:
    holdout = split(small_shop()).holdout
    metrics = evaluate(holdout.naive, holdout)
    assert metrics["pinball"] == pytest.approx(metrics["naive_pinball"])
    assert metrics["bias"] == pytest.approx(metrics["naive_bias"])


def test_trees_beat_naive_and_pass_the_gate_on_regular_sales() -> None:
    data, family = split(small_shop()), ForecastFamily()
    model = LightGbm(LightGbm.Params(rounds=80, learning_rate=0.1), 1).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["wape"] < metrics["naive_wape"]
    assert metrics["pinball"] < metrics["naive_pinball"]
    assert metrics["coverage_80"] > 0.7
    assert family.judge(metrics, None).verdict == "PROMOTE"
    assert family.judge(metrics, {**metrics, "wape": metrics["wape"] * 0.9}).verdict == "REJECT"
    assert family.judge({**metrics, "naive_wape": 0.01}, None).verdict == "HOLD"
    assert np.isfinite(family.probe(model, data.golden)).all()


def test_the_last_days_are_untouched_by_training() -> None:
    series = small_shop()
    data = split(series)
    assert data.train.days == DAYS - 28
    assert data.holdout.cutoffs == [DAYS - 28]
    assert data.facts["series"] == len(series)
    assert data.facts["fingerprint"] == split(small_shop()).facts["fingerprint"]
    assert data.facts["fingerprint"] != split(small_shop(seed=8)).facts["fingerprint"]


@pytest.mark.parametrize("days", [0, 1, 13])
def test_too_short_a_history_is_refused_by_name(days: int) -> None:
    with pytest.raises(Invalid, match=f"{days} days of sales are too few") as caught:
        split(small_shop(days=30).until(days))
    assert caught.value.code == "too_short"


def test_nothing_but_zeros_is_refused() -> None:
    series = small_shop()
    zeros = SeriesSet(series.ids, series.first_day, series.y * 0, series.price, series.sold * 0, series.aggregate)
    with pytest.raises(Invalid, match="nothing was sold"):
        split(zeros)


def only(row: int, days: int = DAYS) -> SeriesSet:
    return small_shop().until(days).select(np.array([row]))


def test_a_product_of_its_own_needs_days_to_learn_from_and_to_measure_on() -> None:
    split(only(8, 42), ONE)
    with pytest.raises(Invalid, match=r"sells for 41 days, too few.*looks 28 days ahead: 42 are needed") as caught:
        split(only(8, 41), ONE)
    assert caught.value.code == "too_short"
    assert split(only(8, 41), ALL).train.days == 31
    with pytest.raises(Invalid, match="104 are needed"):
        split(only(8, 103), ONE, horizon=90)
    split(only(8, 22), ONE, horizon=7)
    with pytest.raises(Invalid, match="sells for 42 days, too few"):  # what was before its first sale is no history
        split(only(1), ONE, horizon=60)


def test_a_product_that_never_sold_is_refused() -> None:
    with pytest.raises(Invalid, match="nothing was sold of product:P8") as caught:
        split(only(0), ONE)
    assert caught.value.code == "no_data"


def test_weeks_are_held_out_by_week() -> None:
    data = split(weekly_shop())
    assert data.holdout.horizon == 8
    with pytest.raises(Invalid, match="22 are needed"):
        split(weekly_shop().select(np.array([3])).until(20), ONE)


def test_a_model_that_looks_further_is_measured_further() -> None:
    assert split(small_shop(days=400), horizon=90).holdout.horizon == 90
    assert split(small_shop(days=200), horizon=90).holdout.horizon == 50
    assert split(small_shop(days=200), horizon=7).holdout.horizon == 28


def context(scope: str, path: Path) -> TrainingContext:
    source = {"kind": "csv", "path": str(path)}
    return TrainingContext(path.parent, "", source, 1_800_000_000_000_000, "UTC", 1, "own", scope)


def test_a_scope_is_trained_measured_and_probed_on_its_own_series(tmp_path: Path) -> None:
    series, family = small_shop(), ForecastFamily()
    path = tmp_path / "sales.csv"
    days = np.arange(series.first_day, series.first_day + series.days).astype("datetime64[D]")
    rows = ["unique_id,ds,y"] + [
        f"P{k},{day},{y:g}" for k in (5, 8, 11) for day, y in zip(days, series.y[k], strict=True)
    ]
    path.write_text("\n".join(rows))
    everything = family.data(context("all", path), SeasonalNaive.Params(), silent)
    assert set(everything.train.ids) == {"P5", "P8", "P11", "__total__"}
    own = family.data(context("product:P8", path), SeasonalNaive.Params(horizon=28), silent)
    assert own.train.ids == own.holdout.series.ids == ("P8",)
    assert own.golden["ids"] == ["P8"]
    np.testing.assert_array_equal(own.train.y[0], series.y[8, : DAYS - 28])
    assert own.facts["series"] == 1
    assert own.facts["fingerprint"] != everything.facts["fingerprint"]
    model = SeasonalNaive(SeasonalNaive.Params(), 1).fit(own.train, silent)
    metrics = family.evaluate(model, own.holdout)
    assert metrics["wape"] == pytest.approx(metrics["naive_wape"], rel=0.1)
    assert "total_wape" not in metrics
    with pytest.raises(Invalid) as caught:
        family.data(context("shelf:P8", path), SeasonalNaive.Params(), silent)
    assert caught.value.code == "bad_scope"


def test_versions_from_before_golden_series_had_more_than_pieces_are_probed() -> None:
    data, family = split(small_shop()), ForecastFamily()
    model = SeasonalNaive(SeasonalNaive.Params(), 1).fit(data.train, silent)
    old = {"horizon": 14, "first_day": 19_723, "y": {"A": [1.0] * 60, "B": [0.0] * 59 + [5.0]}}
    assert len(family.probe(model, old)) == 3 * 14 * 10


def test_what_is_known_beside_the_sales_is_part_of_the_probe() -> None:
    series = furnished_shop()
    golden = split(series).golden
    assert golden["covariates"]["known"] == ["holiday", "promotion"]
    assert golden["covariates"]["ahead"] == 14
    bare = split(replace(series, covariates=None, available=None)).golden
    assert bare["covariates"] is bare["available"] is None
