"""Who orders within the next 30 days: the rules, item vectors, trees on RFM, and the fusion of rules and vectors."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.suggest import _raw_home
from benchmarks.suggest_ranker import SEEDS, midnight, spread
from benchmarks.suggest_recall import ModelsInHand
from shopkeeper.bootstrap import FIRST_MODELS, Shop, open_shop
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.profiles.fusing import Fuser
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.algorithm import Fusion
from shopkeeper.profiles.fusion.calibration import calibration
from shopkeeper.profiles.fusion.family import FusionFamily
from shopkeeper.profiles.fusion.fitting import logistic
from shopkeeper.profiles.fusion.inputs import frame_of
from shopkeeper.profiles.fusion.measures import of_chance, of_spend
from shopkeeper.profiles.fusion.model import FusionModel, sigmoid
from shopkeeper.profiles.fusion.rows import FusionHoldout, FusionRows
from shopkeeper.profiles.scores import Scores
from shopkeeper.profiles.sources import One
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.sources.retail import ZONE

ENDS = ("2011-09-20", "2011-10-20", "2011-11-19")
DEFAULTS = "fusion, defaults (256 rows, 3 epochs)"
CUSTOMERS = 300
FUSED = "fusion, as a new shop trains it"
_CHANCE = ("auc", "pr_auc", "brier", "log_loss", "calibration_error")
_SPEND = ("spend_mae", "spend_spearman", "spend_ratio")
_RFM = ("order 365 days fresh", "log orders", "log spend")
_PROTOCOL = (
    "UCI Online Retail with its raw times. The log ends before the named day; the label is at least one order within "
    "30 days. Rows are the customers who were known at a cutoff and had an event in the 365 days before, as a live "
    "shop would have seen them at that moment. The last 30 days are held out, the 30 days before decide when to stop "
    "and calibrate (every line of the table, by slope and shift), the six blocks of 30 days before those are learned "
    "from, at most 10,000 rows drawn by the seed. Item vectors are learned from orders before the first block. "
    "**Rules**: the sum of the default rules' weights. **Item vectors**: logistic regression on the user's embedding "
    "alone. **LightGBM**: 15 leaves, 40 rows a leaf, step 0.03, stopped on the later block, on recency, frequency and "
    "money, and on all activity numbers that the fusion has. **Fusion**: the registered algorithm, once as a new shop "
    "trains it and once with the defaults of its door. Base rate: the rate of the calibration block for everybody. "
    f"Mean (standard deviation) of {len(SEEDS)} seeds; each draws rows, vectors and batches anew. Activity numbers and "
    "settings were chosen on logs that end six or seven days later, so that most of the held-out days had been looked "
    "at. **Milliseconds**: inputs and score of one customer from the live state, one thread, in process."
)


def main() -> None:
    begun = time.perf_counter()
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        shop = open_shop(_raw_home(Path(folder)))
        log = TrainingContext(
            shop.home.path, shop.home.sql_url, {"kind": "shop"}, shop.clock.now(), ZONE, SEEDS[0], "fusion"
        )
        runs = {end: [_run(log, end, seed) for seed in SEEDS] for end in ENDS}
        model = _trained(log, ENDS[-1])
        milliseconds = asyncio.run(_timed(shop, model))
    loads.append(os.getloadavg()[0])
    record.write(
        "fusion",
        "Fusion of rules and learned vectors",
        _PROTOCOL,
        [_chances(runs), _spends(runs), milliseconds],
        [
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[1]:.1f} at the end; the whole run took "
            f"{(time.perf_counter() - begun) / 60:.1f} minutes."
        ],
    )


Run = dict[str, dict[str, float]]


def _trained(log: TrainingContext, end: str) -> FusionModel:
    (first,) = (one for one in FIRST_MODELS if one.model == "fusion")
    params = Fusion.Params(**first.params)
    data = FusionFamily().data(replace(log, now=midnight(end) - 1), params, silent)
    return Fusion(params, log.seed).fit(data.train, silent)


async def _timed(shop: Shop, model: FusionModel) -> dict[str, Any]:
    """Of customers drawn evenly, and of the one with most events; each asked five times, the best counts."""
    await shop.start(schedules=False)
    try:
        profiles = shop.profiles
        scores = Scores(shop.features, profiles.rulebook, Fuser(ModelsInHand({"fusion": model}), shop.catalog))
        everybody = [(len(shop.features.past(one.row).times), one) for one in profiles.people.all()]
        seen = sorted((pair for pair in everybody if pair[0]), key=lambda pair: pair[0])
        chosen = seen[:: max(1, len(seen) // CUSTOMERS)]
        times = [_best_ms(shop, scores, person.row, person) for _, person in chosen]
        most, busiest = seen[-1]
        rows = [
            [f"{len(chosen)} customers, P50", float(np.median(times))],
            [f"{len(chosen)} customers, P99", float(np.quantile(times, 0.99))],
            [f"the customer with most events ({most:,})", _best_ms(shop, scores, busiest.row, busiest)],
        ]
    finally:
        await shop.stop()
    return {"title": "Milliseconds of one customer's scores", "columns": ["of", "ms"], "rows": rows}


def _best_ms(shop: Shop, scores: Scores, row: int, person: Any) -> float:
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        table = ProfileTable(shop.profiles.schema.current(), One(shop.features, row, shop.clock.now()), [person])
        scores.of(row, table)
        found.append((time.perf_counter() - begun) * 1000)
    return min(found)


def _run(log: TrainingContext, end: str, seed: int) -> Run:
    """Measures by line of the table."""
    family = FusionFamily()
    (first,) = (one for one in FIRST_MODELS if one.model == "fusion")
    found: Run = {}
    for name, given in ((FUSED, dict(first.params)), (DEFAULTS, {})):
        params = Fusion.Params(**given)
        data = family.data(replace(log, now=midnight(end) - 1, seed=seed), params, silent)
        begun = time.perf_counter()
        model = Fusion(params, seed).fit(data.train, silent)
        found[name] = {**family.evaluate(model, data.holdout), "seconds": time.perf_counter() - begun}
        if name == FUSED:
            found |= _others(data.train, data.holdout, model, seed)
    print(end, seed, {name: round(one["auc"], 4) for name, one in found.items()}, flush=True)
    return found


def _others(rows: FusionRows, held: FusionHoldout, model: Any, seed: int) -> Run:
    """The same customers, the same calibration."""
    blocks = [*rows.training, rows.validation, held.block]
    frame = frame_of(model, rows.items)
    inputs = [block.facts.inputs(frame) for block in blocks]
    label = np.concatenate([block.ordered for block in rows.training])
    said: dict[str, Callable[[int], NDArray[np.float64]]] = {
        "base rate": lambda at: np.zeros(len(blocks[at])),
        "rules": lambda at: blocks[at].facts.score,
    }
    embedded = np.concatenate([one.embedding for one in inputs[:-2]]).astype(np.float64)
    weights = logistic(embedded, label, 30.0)
    said["item vectors"] = lambda at: inputs[at].embedding @ weights[:-1] + weights[-1]
    places = [ACTIVITY.index(name) for name in _RFM]
    for name, columns in (("LightGBM, RFM", places), ("LightGBM, all activity", list(range(len(ACTIVITY))))):
        trees = _trees([one.activity[:, columns] for one in inputs], label, rows.validation.ordered, seed)
        said[name] = lambda at, trees=trees, columns=columns: trees.predict(  # type: ignore[misc]
            inputs[at].activity[:, columns], raw_score=True, num_threads=1
        )
    mean = np.full(len(held.block), rows.validation.spend.mean())
    found: Run = {}
    for name, score in said.items():
        slope, shift = calibration(score(-2), rows.validation.ordered)
        found[name] = of_chance(held.block.ordered, sigmoid(slope * score(-1) + shift))
    found["base rate"] |= of_spend(held.block.spend, mean) | {"share": float(held.block.ordered.mean())}
    return found


def _trees(rows: list[NDArray[np.float32]], label: NDArray[np.float64], later: NDArray[np.float64], seed: int) -> Any:
    import lightgbm

    learned = lightgbm.Dataset(np.concatenate(rows[:-2]), label)
    check = lightgbm.Dataset(rows[-2], later, reference=learned)
    settings = {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": 0.03,
        "num_leaves": 15,
        "min_data_in_leaf": 40,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed,
        "num_threads": 1,
        "verbose": -1,
    }
    stop = lightgbm.early_stopping(40, verbose=False)
    return lightgbm.train(settings, learned, 500, valid_sets=[check], callbacks=[stop])


def _chances(runs: dict[str, list[Run]]) -> dict[str, Any]:
    rows: list[list[Any]] = []
    for end, seeds in runs.items():
        for name in seeds[0]:
            rows.append([end, name, *(spread([one[name][key] for one in seeds]) for key in _CHANCE)])
        rows.append([end, f"**best**, of {seeds[0]['base rate']['share']:.1%} who order", *_best(seeds)])
    return {"title": "An order within 30 days", "columns": ["log ends before", "from", *_CHANCE], "rows": rows}


def _best(seeds: list[Run]) -> list[str]:
    """For each measure the line with the best mean."""
    winners = []
    for key in _CHANCE:
        mean = {name: statistics.mean(one[name][key] for one in seeds) for name in seeds[0]}
        best = max if key in ("auc", "pr_auc") else min
        winners.append(best(mean, key=lambda name: mean[name]))
    return winners


def _spends(runs: dict[str, list[Run]]) -> dict[str, Any]:
    rows = [
        [end, name, *(spread([one[name][key] for one in seeds]) for key in _SPEND)]
        for end, seeds in runs.items()
        for name in (FUSED, DEFAULTS, "base rate")
    ]
    return {
        "title": "Spend within 30 days, in pounds, of everybody",
        "columns": ["log ends before", "from", *_SPEND],
        "rows": rows,
    }


if __name__ == "__main__":
    main()
