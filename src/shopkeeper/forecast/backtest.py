"""Rolling-origin backtest: train on the past of the earliest cutoff, then forecast from every cutoff in turn.

With `refit` each cutoff gets a model of its own, trained on everything before it, at the price of so many trainings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import JobContext, Metrics, Report, silent
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.evaluation import Holdout, evaluate
from shopkeeper.forecast.intervals import cutoffs
from shopkeeper.forecast.outlook import ForecastModel
from shopkeeper.forecast.reading import read_series
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.plugins import algorithm, read_params

_FEWEST_DAYS = 28


class BacktestForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`models` are algorithm names; `params` maps an algorithm to its parameters; `step` days between cutoffs."""

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
    """The job kind `backtest`. Its result: `{cutoffs, horizon, models: {name: {metrics, seconds}}}`."""
    form = read_form(context.params)
    series = read_series(form.source, context.sql_url, context.now, context.zone, context.report)
    return backtest(series, form, context.report)


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
    for name in form.models:
        if algorithm(name).family != "forecast":
            raise Invalid(f"{name} is not a forecast algorithm", code="bad_param", field="models")
    return form


def backtest(series: SeriesSet, form: BacktestForm, report: Report = silent) -> dict[str, Any]:
    """Measures every algorithm at the same cutoffs. Raises Invalid when the history is too short for one."""
    step = form.step or form.horizon
    cuts = cutoffs(series.days, form.horizon, form.windows, step, fewest=_FEWEST_DAYS)
    if not cuts:
        raise Invalid(
            f"{series.days} days are too few for a horizon of {form.horizon}: at least "
            f"{form.horizon + _FEWEST_DAYS} are needed",
            code="no_data",
        )
    answer: dict[str, Any] = {}
    for done, name in enumerate(form.models):
        report(done, len(form.models), message=f"backtest of {name}")
        begun = time.perf_counter()
        metrics = _measure(series, cuts, form, name, _part(report, done, len(form.models)))
        answer[name] = {"metrics": metrics, "seconds": round(time.perf_counter() - begun, 3)}
    report(len(form.models), len(form.models), message="backtest done")
    days = [date_of(series.first_day + cut - 1).isoformat() for cut in cuts]
    return {"cutoffs": days, "horizon": form.horizon, "refit": form.refit, "models": answer}


def _measure(series: SeriesSet, cuts: list[int], form: BacktestForm, name: str, report: Report) -> Metrics:
    groups = [[cut] for cut in cuts] if form.refit else [cuts]
    measured = []
    for done, group in enumerate(groups):
        past = series.until(group[0])
        model = _fit(past, form, name, _part(report, done, len(groups)))
        naive = SeasonalNaive(SeasonalNaive.Params(horizon=form.horizon), form.seed).fit(past, silent)
        measured.append(evaluate(model, Holdout(series, group, form.horizon, naive)))
    shared = set.intersection(*(set(one) for one in measured))
    return {key: sum(one[key] for one in measured) / len(measured) for key in measured[0] if key in shared}


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
