import numpy as np
import pytest

from shopkeeper.checks.forecast import DAYS, small_shop
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.lightgbm import LightGbm
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.backtest import BacktestForm, backtest, read_form
from shopkeeper.forecast.evaluation import evaluate
from shopkeeper.forecast.family import ForecastFamily, split
from shopkeeper.forecast.series import SeriesSet


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
    with pytest.raises(Invalid, match=f"{days} days of sales are too few"):
        split(small_shop(days=30).until(days))


def test_nothing_but_zeros_is_refused() -> None:
    series = small_shop()
    zeros = SeriesSet(series.ids, series.first_day, series.y * 0, series.price, series.sold * 0, series.aggregate)
    with pytest.raises(Invalid, match="nothing was sold"):
        split(zeros)


def test_backtest_measures_every_model_at_the_same_cutoffs() -> None:
    steps: list[tuple[int, int]] = []

    def report(step, of, metrics=None, *, message="", epoch=False):
        steps.append((step, of))

    form = BacktestForm(
        models=["seasonal_naive", "lightgbm"], windows=3, horizon=14, params={"lightgbm": {"rounds": 30}}
    )
    result = backtest(small_shop(), form, report)
    assert len(result["cutoffs"]) == 3
    naive, trees = (result["models"][name]["metrics"] for name in form.models)
    assert naive["naive_pinball"] == trees["naive_pinball"]
    assert {"wape", "mase", "rmsse", "smape", "bias", "pinball", "coverage_80", "total_wape"} <= set(trees)
    shares = [step / of for step, of in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_refitting_at_each_cutoff_uses_all_of_its_past() -> None:
    form = BacktestForm(models=["seasonal_naive"], windows=2, horizon=14, refit=True)
    assert backtest(small_shop(), form)["models"]["seasonal_naive"]["metrics"]["wape"] > 0


def test_a_history_without_room_for_a_cutoff_is_refused() -> None:
    with pytest.raises(Invalid, match="at least 56"):
        backtest(small_shop().until(50), BacktestForm(models=["seasonal_naive"], horizon=28))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"windows": 0}, "windows is 0, expected 1 to 20"),
        ({"horizon": 999}, "horizon is 999"),
        ({"models": []}, "0 models, expected 1 to 10"),
        ({"models": ["xgb"]}, "xgb is not a forecast algorithm"),
        ({"windws": 3}, "windws"),
        ({"horizon": "far"}, "horizon"),
    ],
)
def test_bad_requests_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_form(given)


def test_naive_repeats_last_week_and_skips_a_holiday() -> None:
    series = small_shop()
    y, sold = series.y.copy(), series.sold.copy()
    y[:, -3] = 0  # a holiday: everything closed
    sold[-3] = 0
    holiday = SeriesSet(series.ids, series.first_day, y, series.price, sold, series.aggregate)
    model = SeasonalNaive(SeasonalNaive.Params(), 1).fit(holiday, silent)
    mean = model.forecast(holiday, 7).mean
    np.testing.assert_allclose(mean[5, 6], y[5, -1])
    np.testing.assert_allclose(mean[5, 4], y[5, -10])
