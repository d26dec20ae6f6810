"""Rolling-origin backtest: train on the past of the earliest cutoff, then forecast from every cutoff in turn.

With `refit` each cutoff gets a model of its own, trained on everything before it, at the price of so many trainings.
Either way all that was said is measured together. Each forecast is kept beside what came (`backtest.parquet`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Cancelled, Invalid, ShopkeeperError
from shopkeeper.core.protocols import JobContext, Report, silent
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.intervals import cutoffs
from shopkeeper.forecast.measuring.backtest_rows import BacktestRows
from shopkeeper.forecast.measuring.evaluation import Holdout, Pool
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.panel.reading import read_series
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.plugins import algorithm, read_params

ROWS = "backtest.parquet"
_FEWEST = 28  # steps before the first cutoff
_LOG = logging.getLogger(__name__)
_LEADS = ("wape", "pinball", "mase", "rmse", "bias", "coverage_80", "calibration_gap")


class BacktestForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`models` are algorithm names; `params` maps an algorithm to its parameters; `step` days (weeks of a source by
    week) between cutoffs. When it is not given it is the horizon, and a day more where that is whole weeks: were all
    cutoffs the same weekday, tomorrow would be measured on one weekday only, which may be one without sales.
    """

    models: list[str] = msgspec.field(default_factory=lambda: ["seasonal_naive", "autoets", "lightgbm"])
    windows: int = 4
    horizon: int = 28
    step: int | None = None
    refit: bool = False
    seed: int = 1
    scope: str = "all"
    source: dict[str, Any] = msgspec.field(default_factory=lambda: {"kind": "shop"})
    params: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


def run_backtest(context: JobContext) -> dict[str, Any]:
    """The job kind `backtest`; see `backtest` for its result. The rows lie in the job's own folder."""
    form = read_form(context.params)
    scope = Scope.parse(form.scope)
    series = read_series(form.source, context.sql_url, context.now, context.zone, context.report, scope)
    return backtest(series, form, context.report, context.workdir)


def read_form(given: Mapping[str, Any]) -> BacktestForm:
    """Raises Invalid naming the field and its bound."""
    try:
        form = msgspec.convert(dict(given), BacktestForm)
    except msgspec.ValidationError as error:
        raise Invalid(f"backtest: {error}", code="bad_param") from error
    for name, low, high in (("windows", 1, 20), ("horizon", 1, 365), ("step", 1, 365)):
        value = getattr(form, name)
        if value is not None and not low <= value <= high:
            raise Invalid(f"{name} is {value}, expected {low} to {high}", code="bad_param", field=name)
    if not 1 <= len(form.models) <= 10:
        raise Invalid(f"{len(form.models)} models, expected 1 to 10", code="bad_param", field="models")
    for place, name in enumerate(form.models):
        trainer = algorithm(name)
        if trainer.family != "forecast":
            raise Invalid(f"{name} is not a forecast algorithm", code="bad_param", field="models")
        if name in form.models[:place]:
            raise Invalid(f"{name} stands twice among the models", code="bad_param", field="models")
        read_params(trainer, form.params.get(name, {}))
    Scope.parse(form.scope)
    return form


def backtest(
    series: SeriesSet, form: BacktestForm, report: Report = silent, folder: Path | None = None
) -> dict[str, Any]:
    """Measures every algorithm at the same cutoffs, and writes what was said and came into `folder`.

        {cutoffs, horizon, step, period, refit, scope, models: {name: {metrics, by_step, seconds, fit_seconds,
        forecast_seconds} or {error, seconds}}, leaderboard: [{model, wape, ..., seconds}], rows, rows_of}

    A model that breaks, or whose answer is not a number, is told and left out. Raises Invalid when the history is too
    short for one cutoff, and when no model was left.
    """
    step = form.step or form.horizon + (series.step.days == 1 and form.horizon % 7 == 0)
    cuts = cutoffs(series.days, form.horizon, form.windows, step, fewest=_FEWEST, spread=False)
    if not cuts:
        period = series.step.period
        raise Invalid(
            f"{series.days} {period}s are too few for a horizon of {form.horizon}: at least "
            f"{form.horizon + _FEWEST} are needed",
            code="no_data",
        )
    rounds = _rounds(series, cuts, form)
    rows = None if folder is None else BacktestRows(series, cuts, form.horizon)
    models: dict[str, Any] = {}
    for done, name in enumerate(form.models):
        report(done, len(form.models), message=f"backtest of {name}")
        models[name] = _tried(series, rounds, form, name, _part(report, done, len(form.models)), rows)
    report(len(form.models), len(form.models), message="backtest done")
    if all("error" in one for one in models.values()):
        raise Invalid("no model could be measured: " + "; ".join(one["error"] for one in models.values()))
    answer = {
        "cutoffs": [date_of(series.until(cut).last_day).isoformat() for cut in cuts],
        "horizon": form.horizon,
        "step": step,
        "period": series.step.period,
        "refit": form.refit,
        "scope": form.scope,
        "models": models,
        "leaderboard": _leaderboard(models),
    }
    if rows is not None and folder is not None:
        rows.write(folder / ROWS)
        answer |= {"rows": ROWS, "rows_of": {"series": rows.kept, "of": rows.there_were}}
    return answer


@dataclass(frozen=True)
class _Round:
    """Cutoffs that one model answers for, what it is trained on, and what seasonal naive says, which all share."""

    cuts: list[int]
    past: SeriesSet
    naive: SeasonalNaiveModel
    naive_said: list[Outlook]


def _rounds(series: SeriesSet, cuts: list[int], form: BacktestForm) -> list[_Round]:
    answer = []
    for group in [[cut] for cut in cuts] if form.refit else [cuts]:
        past = series.until(group[0])
        naive = SeasonalNaive(SeasonalNaive.Params(horizon=form.horizon), form.seed).fit(past, silent)
        answer.append(_Round(group, past, naive, [naive.forecast(series.until(cut), form.horizon) for cut in group]))
    return answer


def _tried(
    series: SeriesSet, rounds: list[_Round], form: BacktestForm, name: str, report: Report, rows: BacktestRows | None
) -> dict[str, Any]:
    """The measures of one model, or the sentence on why there are none."""
    begun = time.perf_counter()
    try:
        return _measured(series, rounds, form, name, report, rows)
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001  an edge: a stranger's algorithm may raise anything, the others go on
        _LOG.warning("backtest of %s failed", name, exc_info=True)
        if rows is not None:
            rows.forget(name)
        why = error.message if isinstance(error, ShopkeeperError) else f"{type(error).__name__}: {error}"
        return {"error": f"{name}: {why}", "seconds": round(time.perf_counter() - begun, 3)}


def _measured(
    series: SeriesSet, rounds: list[_Round], form: BacktestForm, name: str, report: Report, rows: BacktestRows | None
) -> dict[str, Any]:
    pool, fitting, answering = Pool(), 0.0, 0.0
    for done, one in enumerate(rounds):
        begun = time.perf_counter()
        model = _fit(one.past, form, name, _part(report, done, len(rounds)))
        fitting += time.perf_counter() - begun
        holdout = Holdout(series, one.cuts, form.horizon, one.naive)
        for cut, naive in zip(one.cuts, one.naive_said, strict=True):
            known = series.until(cut)
            begun = time.perf_counter()
            said = model.forecast(known, form.horizon)
            answering += time.perf_counter() - begun
            pool.add(known, holdout, said, naive)
            if rows is not None:
                rows.add(name, cut, said)
    return {
        "metrics": pool.metrics(),
        "by_step": pool.by_step(),
        "seconds": round(fitting + answering, 3),
        "fit_seconds": round(fitting, 3),
        "forecast_seconds": round(answering, 3),
    }


def _leaderboard(models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Best quantile loss first; without those that failed."""
    measured = [(name, one) for name, one in models.items() if "error" not in one]
    rows = [
        {"model": name}
        | {key: one["metrics"].get(key) for key in _LEADS}
        | {"naive_wape": one["metrics"].get("naive_wape"), "seconds": one["seconds"]}
        for name, one in measured
    ]
    return sorted(rows, key=lambda row: float("inf") if row["pinball"] is None else row["pinball"])


def _fit(past: SeriesSet, form: BacktestForm, name: str, report: Report) -> ForecastModel:
    trainer = algorithm(name)
    given = {"horizon": form.horizon, **form.params.get(name, {})}
    known = {key: value for key, value in given.items() if key != "horizon" or key in trainer.Params.__struct_fields__}
    model = trainer(read_params(trainer, known), form.seed).fit(past, report)
    return cast(ForecastModel, model)


def _part(report: Report, done: int, of_all: int) -> Report:
    """The report of one training among `of_all`, of which `done` are over: its share of the whole."""

    def told(
        step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
    ) -> None:
        report(done * of + step, of_all * of, metrics, message=message, epoch=epoch)

    return told
