"""The forecast family: rows from the sales panel, the last days held out, a gate that knows seasonal naive."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData, silent
from shopkeeper.core.records import Gate
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.evaluation import Holdout, evaluate
from shopkeeper.forecast.outlook import ForecastModel
from shopkeeper.forecast.reading import fingerprint, read_series
from shopkeeper.forecast.series import SeriesSet, from_rows
from shopkeeper.quality import gate

HOLDOUT_DAYS = 28
_FEWEST_DAYS = 14
_PROBED = 5
_PROBE_HORIZON = 14
_PROBE_DAYS = 180


class ForecastFamily:
    """The untouched rows are the last 28 days (a quarter of a shorter history), forecast from the day before them."""

    name: ClassVar[str] = "forecast"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid when there is no history of at least 14 days."""
        del params  # every algorithm learns from the same rows
        return split(read_series(context.source, context.sql_url, context.now, context.zone, report))

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
        said = model.forecast(_from_golden(golden), int(golden["horizon"]))
        return [float(value) for part in (said.mean, said.quantiles) for value in part.ravel()]


def split(series: SeriesSet) -> TrainingData:
    """Train, holdout and golden rows of one set of series."""
    if series.days < _FEWEST_DAYS:
        raise Invalid(
            f"{series.days} days of sales are too few to learn from: at least {_FEWEST_DAYS} are needed", code="no_data"
        )
    horizon = min(HOLDOUT_DAYS, series.days // 4)
    cutoff = series.days - horizon
    train = series.until(cutoff)
    if not train.y.any():
        raise Invalid("nothing was sold before the last four weeks: come back later", code="no_data")
    naive = SeasonalNaive(SeasonalNaive.Params(horizon=horizon), 0).fit(train, silent)
    facts = {
        "rows": int((series.y > 0).sum()),
        "series": len(series),
        "from": date_of(series.first_day).isoformat(),
        "to": date_of(series.last_day).isoformat(),
        "cutoff": date_of(train.last_day).isoformat(),
        "fingerprint": fingerprint(series),
    }
    return TrainingData(train, Holdout(series, [cutoff], horizon, naive), golden_of(train), facts)


def golden_of(series: SeriesSet) -> dict[str, Any]:
    """The last days of a few products, busiest first, as JSON: what every load of a version is compared on."""
    products = np.flatnonzero(~series.aggregate)
    busiest = products[np.argsort(-series.y[products].sum(axis=1), kind="stable")[:_PROBED]]
    columns = slice(max(series.days - _PROBE_DAYS, 0), None)
    return {
        "horizon": _PROBE_HORIZON,
        "first_day": series.first_day + (columns.start or 0),
        "y": {series.ids[row]: [float(value) for value in series.y[row, columns]] for row in busiest},
    }


def _from_golden(golden: Any) -> SeriesSet:
    lists: dict[str, list[float]] = golden["y"]
    ids = [name for name, values in lists.items() for _ in values]
    day = np.concatenate([int(golden["first_day"]) + np.arange(len(values)) for values in lists.values()])
    y = np.concatenate([np.asarray(values, dtype=np.float64) for values in lists.values()])
    return from_rows(ids, day, y)
