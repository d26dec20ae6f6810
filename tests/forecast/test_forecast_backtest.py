from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from shopkeeper.checks.forecast import small_shop, weekly_shop
from shopkeeper.cli.backtest import _draw
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import JobContext, Report, silent
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.measuring.backtest import ROWS, BacktestForm, backtest, read_form, run_backtest
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet


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


def test_what_was_refitted_is_measured_together() -> None:
    once = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=3, horizon=14))
    refit = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=3, horizon=14, refit=True))
    one, two = (result["models"]["seasonal_naive"]["metrics"] for result in (once, refit))
    assert one["wape_sums"] == pytest.approx(two["wape_sums"])  # its mean is not learned: pooled, the same errors
    assert one["r2"] == pytest.approx(two["r2"])
    assert one["coverage_80"] != two["coverage_80"]
    first = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=1, horizon=14))
    again = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=1, horizon=14, refit=True))
    assert first["models"]["seasonal_naive"]["metrics"] == again["models"]["seasonal_naive"]["metrics"]


class Broken(SeasonalNaive):
    """Not a number in one window of several."""

    name: ClassVar[str] = "broken"

    def fit(self, data: SeriesSet, report: Report) -> Any:
        model, forecast = super().fit(data, report), SeasonalNaiveModel.forecast

        def answer(series: SeriesSet, horizon: int) -> Outlook:
            said = forecast(model, series, horizon)
            return Outlook(said.mean * np.nan, said.quantiles) if series.days == 171 else said

        model.forecast = answer  # type: ignore[method-assign]
        return model


class Raising(SeasonalNaive):
    name: ClassVar[str] = "raising"

    def fit(self, *_: Any) -> Any:
        raise RuntimeError("no room on the card")


@pytest.fixture
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"broken": Broken, "raising": Raising, "seasonal_naive": SeasonalNaive}
    monkeypatch.setattr("shopkeeper.forecast.measuring.backtest.algorithm", known.__getitem__)


@pytest.mark.usefixtures("_strangers")
def test_a_model_that_breaks_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    form = BacktestForm(models=["broken", "seasonal_naive", "raising"], windows=2, horizon=14)
    result = backtest(small_shop(), form, folder=tmp_path)
    assert "is not a number" in result["models"]["broken"]["error"]
    assert result["models"]["raising"]["error"] == "raising: RuntimeError: no room on the card"
    assert [row["model"] for row in result["leaderboard"]] == ["seasonal_naive"]
    assert not [name for name in pl.read_parquet(tmp_path / ROWS).columns if name.startswith(("broken", "raising"))]
    with pytest.raises(Invalid, match="no model could be measured: raising"):
        backtest(small_shop(), BacktestForm(models=["raising"], windows=2, horizon=14))


def test_what_was_said_lies_beside_what_came(tmp_path: Path) -> None:
    series = small_shop()
    form = BacktestForm(models=["seasonal_naive"], windows=2, horizon=14)
    result = backtest(series, form, folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [ROWS]
    assert result["rows"] == ROWS
    assert result["rows_of"] == {"series": 13, "of": 13}
    frame = pl.read_parquet(tmp_path / ROWS)
    ends = ["", "-lo-95", "-lo-90", "-lo-80", "-lo-50", "-median", "-hi-50", "-hi-80", "-hi-90", "-hi-95"]
    assert frame.columns == ["unique_id", "ds", "cutoff", "y", *(f"seasonal_naive{end}" for end in ends)]
    assert sorted({str(day) for day in frame["cutoff"]}) == result["cutoffs"]
    assert frame.schema["ds"] == pl.Date
    ahead = (frame["ds"] - frame["cutoff"]).dt.total_days()
    assert (ahead.min(), ahead.max()) == (1, 14)
    one = frame.filter((pl.col("unique_id") == "P9") & (pl.col("cutoff") == pl.col("cutoff").max())).sort("ds")
    came = one["y"].to_list()
    assert [value for value in came if value is not None] == [
        y for y, value in zip(series.y[9, -14:].tolist(), came, strict=True) if value is not None
    ]
    assert came.count(None) == 2  # Sundays
    kept = frame.drop_nulls("y").filter(~pl.col("unique_id").str.starts_with("__"))
    wape = (kept["y"] - kept["seasonal_naive-median"]).abs().sum() / kept["y"].sum()
    assert wape == pytest.approx(result["models"]["seasonal_naive"]["metrics"]["wape"], rel=1e-5)


def test_of_many_series_the_busiest_rows_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopkeeper.forecast.measuring.backtest_rows.MOST", 14 * 3)
    result = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=1, horizon=14), folder=tmp_path)
    assert result["rows_of"] == {"series": 3, "of": 13}
    assert set(pl.read_parquet(tmp_path / ROWS)["unique_id"]) == {"P10", "P11", "__total__"}


def test_without_a_step_tomorrow_is_measured_on_several_weekdays(tmp_path: Path) -> None:
    form = BacktestForm(models=["seasonal_naive"], windows=4, horizon=7)
    assert backtest(small_shop(), form, folder=tmp_path)["step"] == 8
    frame = pl.read_parquet(tmp_path / ROWS)
    assert frame["cutoff"].dt.weekday().n_unique() == 4
    asked = backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=4, horizon=7, step=7))
    assert asked["step"] == 7
    assert backtest(weekly_shop(), BacktestForm(models=["seasonal_naive"], windows=2, horizon=7))["step"] == 7


def test_a_cancelled_backtest_leaves_nothing(tmp_path: Path) -> None:
    def stop(step: int, of: int, *_: Any, **__: Any) -> None:
        if step / of > 0.5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        backtest(small_shop(), BacktestForm(models=["seasonal_naive"], windows=3, refit=True), stop, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_job_measures_the_scope_that_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def read(*given: object) -> SeriesSet:
        asked.append(given[-1])
        return small_shop().select(np.array([8]))

    monkeypatch.setattr("shopkeeper.forecast.measuring.backtest.read_series", read)
    form = {"models": ["seasonal_naive"], "windows": 2, "horizon": 14, "scope": "product:P8"}
    context = JobContext("j1", form, tmp_path, tmp_path, "", 0, "UTC", silent, lambda _: None)
    result = run_backtest(context)
    assert asked == [Scope("product", "P8")]
    assert result["scope"] == "product:P8"
    assert result["models"]["seasonal_naive"]["metrics"]["wape"] > 0
    assert set(pl.read_parquet(tmp_path / ROWS)["unique_id"]) == {"P8"}


def test_weeks_are_measured_by_week(tmp_path: Path) -> None:
    form = BacktestForm(models=["seasonal_naive"], windows=2, horizon=8)
    result = backtest(weekly_shop(), form, folder=tmp_path)
    assert result["period"] == "week"
    days = pl.read_parquet(tmp_path / ROWS)["ds"].unique().sort()
    assert set(days.diff().drop_nulls().dt.total_days()) == {7}
    assert set(days.dt.weekday()) == {1}


def test_the_leaderboard_puts_the_best_first_and_tells_the_time() -> None:
    form = BacktestForm(
        models=["seasonal_naive", "lightgbm"], windows=2, horizon=14, params={"lightgbm": {"rounds": 60}}
    )
    result = backtest(small_shop(), form)
    losses = [row["pinball"] for row in result["leaderboard"]]
    assert losses == sorted(losses)
    for row in result["leaderboard"]:
        model = result["models"][row["model"]]
        assert (
            row["seconds"]
            == model["seconds"]
            == pytest.approx(model["fit_seconds"] + model["forecast_seconds"], abs=2e-3)
        )


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
        ({"models": ["autoets", "autoets"]}, "autoets stands twice"),
        ({"params": {"seasonal_naive": {"windos": 2}}}, "did you mean 'windows'"),
        ({"scope": "shelf:1"}, "scope 'shelf:1' must be"),
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


@pytest.mark.usefixtures("_strangers")
def test_the_command_line_shows_what_broke_and_what_did_not() -> None:
    result = backtest(small_shop(), BacktestForm(models=["seasonal_naive", "raising"], windows=2, horizon=14))
    console = Console(file=StringIO(), width=120)
    _draw(console, result)
    told = cast(StringIO, console.file).getvalue()
    assert f"{result['models']['seasonal_naive']['metrics']['pinball']:.3f}" in told
    assert "raising: RuntimeError: no room on the card" in told
