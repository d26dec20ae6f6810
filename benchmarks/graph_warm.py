"""What a graph model is worth some weeks later: left as it is, trained on from where it ended, or from the start."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks import record
from benchmarks.graph_quality import rows_of
from benchmarks.graph_sets import Cases, Links, cases, retail
from benchmarks.suggest_ranker import spread
from shopkeeper.core.protocols import silent
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.rows import GraphRows, inputs_of

WEEK = 7 * 86_400_000_000
LATER = (2, 4)
AHEAD = 2
SEEDS = (1, 2)
_MEASURES = ("recall@20", "ndcg@10", "auc")
_FRESH = "recall@20 of new items"
_COLUMNS = ["weights", *_MEASURES, _FRESH, "best epoch", "CPU seconds"]
_PROTOCOL = (
    "**Weights some weeks later.** Online Retail, raw times. The model is trained on what lies before 2011-10-14; two "
    f"and four weeks later people are asked for what they take for the first time in the {AHEAD} weeks that follow "
    "(recall@20, NDCG@10, AUC as in the benchmark of the graph model: people with links on both sides of the moment). "
    "At that moment every row has the same graph, with all links up to it, and vectors as of it; what differs are the "
    "weights. **Left as they are**: what the incremental loop gives. **Warm start**: `warm_start` of the registered "
    "algorithm with so many epochs, from the weights left as they are; it takes a fifth of the learning rate. "
    "**From the start**: the defaults of its door. Trainings keep a tenth of the links before the moment to tell when "
    f"to stop, and learn these in `finish` (1) epoch more. **{_FRESH}**: only things that nobody had taken before "
    "2011-10-14. CPU seconds of the training, one thread. Mean (standard deviation) of two seeds."
)


@dataclass(frozen=True)
class Way:
    """`params` None: no training; `warm`: begins with the old weights."""

    name: str
    params: dict[str, Any] | None
    warm: bool = True


WAYS = (
    Way("left as they are", None),
    Way("warm start, 1 epoch", {"epochs": 1}),
    Way("warm start, 2 epochs", {"epochs": 2}),
    Way("from the start, 6 epochs", {}, warm=False),
)


def main() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)
    begun, loads = time.perf_counter(), [os.getloadavg()[0]]
    links = retail()
    start = links.tuning
    old = {seed: Hgt(Hgt.Params(), seed).fit(rows_of(links, start), silent) for seed in SEEDS}
    tables = [_weeks_later(links, old, start, weeks) for weeks in LATER]
    loads.append(os.getloadavg()[0])
    record.write(
        "graph_warm",
        "The graph model some weeks later",
        _PROTOCOL,
        tables,
        [
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[1]:.1f} at the end; the whole run took "
            f"{(time.perf_counter() - begun) / 60:.1f} minutes."
        ],
    )


def _weeks_later(links: Links, old: dict[int, HgtModel], start: int, weeks: int) -> dict[str, Any]:
    moment = start + weeks * WEEK
    asked = cases(links, moment, moment + AHEAD * WEEK)
    fresh = np.setdiff1d(np.arange(len(links.items)), links.past(start).item)
    rows, found = rows_of(links, moment), []
    for way in WAYS:
        runs = [_run(way, rows, moment, old[seed], seed, asked, fresh) for seed in SEEDS]
        found.append([way.name, *(_cell([one[column] for one in runs]) for column in _COLUMNS[1:])])
        print(weeks, found[-1], flush=True)
    new = sum(bool(np.isin(mine, fresh).any()) for mine in asked.new)
    title = (
        f"{weeks} weeks later: {len(asked.users):,} people with {len(asked.good):,} new links, {new:,} of them took "
        "something that was not there before"
    )
    return {"title": title, "columns": _COLUMNS, "rows": found}


def _run(
    way: Way, rows: GraphRows, moment: int, old: HgtModel, seed: int, asked: Cases, fresh: NDArray[np.int64]
) -> dict[str, float]:
    model, begun = old, time.process_time()
    if way.params is not None:
        given = replace(rows, champion=old if way.warm else None)
        model = Hgt(Hgt.Params(**way.params), seed).fit(given, silent)
    seconds = time.process_time() - begun
    vectors = embed_all(model, rows.graph, inputs_of(model, rows.ids, rows.tables), moment)
    scores = vectors["user"][asked.users] @ vectors["product"].T
    told = asked.measures(scores)
    return {
        **{name: told[name] for name in _MEASURES},
        _FRESH: _of_fresh(asked, scores, fresh),
        "best epoch": float("nan") if way.params is None else float(model.summary["best_epoch"]),
        "CPU seconds": seconds if way.params is not None else 0.0,
    }


def _of_fresh(asked: Cases, scores: NDArray[np.float32], fresh: NDArray[np.int64]) -> float:
    """Recall among the first 20 of all, of links whose items are fresh; the mean over people who have any."""
    shown, shares = scores.copy(), []
    for row, (seen, new) in enumerate(zip(asked.seen, asked.new, strict=True)):
        wanted = np.intersect1d(new, fresh)
        if len(wanted):
            shown[row, seen] = -np.inf
            best = np.argsort(-shown[row], kind="stable")[:20]
            shares.append(np.isin(wanted, best).mean())
    return float(np.mean(shares))


def _cell(values: list[float]) -> Any:
    if np.isnan(values).all():
        return ""
    return values[0] if len(set(values)) == 1 else spread(values)


if __name__ == "__main__":
    main()
