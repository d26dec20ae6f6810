"""The forecast family: rows of the scope, the last steps held out, a gate that knows seasonal naive."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData, silent
from shopkeeper.core.records import Gate
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.measuring.evaluation import Holdout, evaluate
from shopkeeper.forecast.measuring.golden import from_golden, golden_of
from shopkeeper.forecast.outlook import ForecastModel
from shopkeeper.forecast.panel.reading import fingerprint, read_series
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import Period
from shopkeeper.quality import gate

__all__ = ["ForecastFamily", "golden_of", "split"]

HOLDOUT: dict[Period, int] = {"day": 28, "week": 8}
"""Untouched steps at the end; as many as the model looks ahead, if that is further."""
_FEWEST = 14


class ForecastFamily:
    """The untouched rows are the last 28 days or 8 weeks (more for a model that looks further ahead, never more than a
    quarter of the history), forecast from the step before them.
    """

    name: ClassVar[str] = "forecast"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """The series of the scope that is trained. Raises Invalid (`too_short`, `no_data`) where they cannot be learned
        from, NotFound for an unknown product, store or category.
        """
        scope = Scope.parse(context.scope)
        series = read_series(context.source, context.sql_url, context.now, context.zone, report, scope)
        return split(series, scope, getattr(params, "horizon", None))

    def evaluate(self, model: ForecastModel, holdout: Holdout) -> Metrics:
        return evaluate(model, holdout)

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """WAPE and quantile loss at most 1.01 x the champion's, and at most seasonal naive's."""
        rules: list[gate.Rule] = []
        for name in ("wape", "pinball"):
            rules += [gate.AtMost(name, 1.01), gate.Beats(name, f"naive_{name}", higher=False)]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: ForecastModel, golden: Any) -> list[float]:
        """Mean and quantiles of the golden series, flat."""
        said = model.forecast(from_golden(golden), int(golden["horizon"]))
        return [float(value) for part in (said.mean, said.quantiles) for value in part.ravel()]


def split(series: SeriesSet, scope: Scope = ALL, horizon: int | None = None) -> TrainingData:
    """Train, holdout and golden rows of one set of series, for a model that looks `horizon` steps ahead.

    A product, category or store of its own needs 14 steps to learn from and a horizon to be measured on. The whole shop
    begins sooner, and what is measured is shorter then.
    """
    period = series.step.period
    if scope != ALL:
        _long_enough(series, scope, horizon or HOLDOUT[period])
    elif series.days < _FEWEST:
        raise Invalid(
            f"{series.days} {period}s of sales are too few to learn from: at least {_FEWEST} are needed",
            code="too_short",
        )
    untouched = min(max(HOLDOUT[period], horizon or 0), series.days // 4)
    cutoff = series.days - untouched
    train = series.until(cutoff)
    if not train.y.any():
        raise Invalid(f"nothing was sold before the last {untouched} {period}s: come back later", code="no_data")
    naive = SeasonalNaive(SeasonalNaive.Params(horizon=untouched), 0).fit(train, silent)
    facts = {
        **series.facts,
        "rows": int((series.y > 0).sum()),
        "series": len(series),
        "from": date_of(series.first_day).isoformat(),
        "to": date_of(series.last_day).isoformat(),
        "cutoff": date_of(train.last_day).isoformat(),
        "fingerprint": fingerprint(series),
    }
    return TrainingData(train, Holdout(series, [cutoff], untouched, naive), golden_of(train), facts)


def _long_enough(series: SeriesSet, scope: Scope, horizon: int) -> None:
    """Raises Invalid for a scope of its own that has not sold, or not for long."""
    period = series.step.period
    first = int(np.min(series.start, initial=series.days))
    if first >= series.days:
        raise Invalid(f"nothing was sold of {scope}: there is nothing to learn from", code="no_data", field="scope")
    age, needed = series.days - first, _FEWEST + horizon
    if age < needed:
        raise Invalid(
            f"{scope} sells for {age} {period}s, too few for a model of its own that looks {horizon} {period}s ahead: "
            f"{needed} are needed (14 to learn from, {horizon} to measure on); the model of a wider scope answers "
            "until then",
            code="too_short",
            field="scope",
        )
