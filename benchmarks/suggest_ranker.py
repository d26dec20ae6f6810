"""The ranker on past fortnights, beside the order in which recall alone would have shown the same candidates."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper import plugins
from shopkeeper.core.clock import micros
from shopkeeper.core.protocols import Metrics, TrainingContext, silent
from shopkeeper.quality.ranking import grouped_ndcg
from shopkeeper.sources.retail import ZONE

SEEDS = (1, 2, 3)
ENDS = ("2011-10-01", "2011-10-22", "2011-11-12")
_MEASURES = ("auc", "log_loss", "ndcg@10", "new_ndcg@10", "calibration_error")


def ranker_tables(source: TrainingContext) -> list[dict[str, Any]]:
    rows: list[list[Any]] = []
    for end in ENDS:
        runs = [_run(source, end, seed) for seed in SEEDS]
        again = spread([one["again_ndcg@10"] for one in runs])
        naive = [spread([one[f"naive_{key}"] for one in runs]) for key in _MEASURES[:-1]]
        rows += [
            [end, "home_ranker (xgb)", *(spread([one[key] for one in runs]) for key in _MEASURES)],
            [end, "fused order; base rate", *naive, ""],
            [end, "buy-again order", "", "", again, "", ""],
        ]
    return [
        {"title": "The ranker on three fortnights", "columns": ["log ends before", "order", *_MEASURES], "rows": rows}
    ]


def _run(source: TrainingContext, end: str, seed: int) -> Metrics:
    trainer = plugins.algorithm("xgb")
    family = plugins.family(trainer.family)
    params = trainer.Params()
    data = family.data(replace(source, now=midnight(end) - 1, seed=seed), params, silent)
    held = data.holdout
    model = trainer(params, seed).fit(data.train, silent)
    metrics = family.evaluate(model, held)
    again = held.values[:, held.names.index("recall_again")]
    metrics["again_ndcg@10"] = grouped_ndcg(again, held.label, held.lists.number, 10, held.lists.wanted)
    visits = len(np.unique(held.lists.number))
    print(end, seed, visits, "visits", {key: round(metrics[key], 4) for key in _MEASURES}, flush=True)
    return metrics


def midnight(day: str | date) -> int:
    """The first moment of a local day of the bundled shop, microseconds."""
    of = date.fromisoformat(day) if isinstance(day, str) else day
    return micros(datetime(of.year, of.month, of.day, tzinfo=ZoneInfo(ZONE)))


def spread(values: Sequence[float]) -> str:
    """Mean (standard deviation)."""
    return f"{statistics.mean(values):.3f} ({statistics.stdev(values):.3f})"
