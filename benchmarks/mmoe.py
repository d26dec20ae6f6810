"""Several tasks at once on Census-Income (KDD): the mixture beside one model for each task and one shared bottom."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper import plugins
from shopkeeper.core.protocols import Metrics, silent
from shopkeeper.learning.fitting import fit_schema, is_text
from shopkeeper.learning.tabular import Schema
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.multitask.family import MultitaskFamily
from shopkeeper.recommend.multitask.model import MultitaskModel
from shopkeeper.recommend.multitask.rows import TaskRows
from shopkeeper.recommend.multitask.tasks import read_labels, read_tasks
from shopkeeper.recommend.ranking.rows import RankRows

SEEDS = (1, 2, 3)
_FILES = ("census_income_train.parquet", "census_income_test.parquet")
_CODES = ("det_ind_code", "det_occ_code", "own_or_self", "vet_benefits", "year")
_HALVES = 20261127
_SETTINGS: dict[str, Any] = {"batch_size": 1024, "learning_rate": 2e-3, "epochs": 10, "patience": 3, "dropout": 0.0}
_BOTTOM: dict[str, Any] = {"experts": 1, "expert_layers": (256, 48)}
"""One expert has about as many weights as the four together."""


@dataclass(frozen=True)
class Variant:
    """`tasks` are those that it learns together: one model for each tuple."""

    name: str
    tasks: tuple[tuple[str, ...], ...]
    params: dict[str, Any] = field(default_factory=dict)


BOTH = ("income", "never_married")
VARIANTS = (
    Variant("mmoe, both tasks", (BOTH,)),
    Variant("shared bottom, both tasks", (BOTH,), _BOTTOM),
    Variant("one model a task", (("income",), ("never_married",))),
)
THREE = ("never_married", "weeks_worked:amount", "dividends:amount")
BALANCES = (
    Variant("mmoe, three tasks, weights learned", (THREE,)),
    Variant("mmoe, three tasks, all weigh the same", (THREE,), {"balance": "equal"}),
    Variant("one model a task", tuple((task,) for task in THREE)),
)


def main() -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the rows, one seed, a few passes; measures on the half of --validate",
    )
    parser.add_argument("--validate", action="store_true", help="measure on the half that settings are chosen on")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    seeds = SEEDS[:1] if asked.quick else SEEDS
    world = Census(quick=asked.quick, validate=asked.validate or asked.quick)
    quality, models = _quality(world, seeds)
    tables = [
        {"title": "Income and never married: AUC and log-loss", "columns": _QUALITY, "rows": quality},
        {"title": "A chance and two amounts", "columns": _AMOUNTS, "rows": _amounts(world, seeds[:1])},
        {"title": "Forms of the first mixture", "columns": _FORMS, "rows": _forms(world, models)},
    ]
    if asked.quick or asked.validate:
        for table in tables:
            print(table["title"], *table["rows"], sep="\n  ")
        return
    record.write("mmoe", "Several tasks at once", _PROTOCOL, tables, _NOTES)


_PROTOCOL = (
    "Census-Income (KDD), the official files: 199,523 rows to learn from, 99,762 to measure on, of which a half, drawn "
    "once, served to choose the settings; all figures are of the other half (49,881 rows). Tasks: income above 50,000 "
    "and never married; neither is a feature of the other, and instance weights are left out. All nets are `mmoe` of "
    f"the product with its default layers (4 experts 64/32, towers 32/16) and {_SETTINGS}, stopped on 15 % of the "
    "training rows. The shared bottom is one expert with about as many weights as the four; one model a task is the "
    "whole mixture for that task alone. Mean (standard deviation) over seeds 1, 2, 3; xgb and lgbm with their "
    "defaults, one model a task, seed 1; one thread each. Second table: three tasks as a shop has them, from the same "
    "rows: never married (a chance), weeks worked in the year (an amount, 0 to 52) and dividends (money, nine in ten "
    "rows 0), seed 1 alone; RMSE in their own units beside that of the mean, and bias, what was said in sum over what "
    "came in sum, less 1. Third: the graph that serves, and the same with weights in bytes; microseconds of "
    "one row, best of 9 rounds."
)
_NOTES = [
    "Not shown: that the mixture is better than its peers here. On income it lies .0002 below both, less than seeds "
    "differ, on never married the three are equal; a mixture trains in little more than half the time of one model a "
    "task. On income boosted trees are above all nets.",
    "Tried on the half for choosing, seed 1, income / never married: as recorded, the mixture .9532 / .9948, shared "
    "bottom .9535 / .9947, one model a task .9535 / .9947. Dropout 0.1 (the default) .9527 / .9948, .9530 / .9947 and "
    ".9532 / .9946; 0.3 .9505 / .9945 (mixture), .9507 / .9947 (one a task). Of the mixture alone half the rate and "
    "half the batch, dropout 0.05, .9532 / .9948, twice the rate .9529 / .9948, a hard pull of the weights .9529 / "
    ".9948, equal weights of the tasks with dropout 0.1 .9526 / .9947. Nothing tried there put both above one model a "
    "task.",
    "Published figures on these tasks rest on other encodings and tunings: a table of 2024 (IJANMC) has MMoE 0.9152 / "
    "0.9756 and one model a task 0.9198 / 0.9748 on income / marital status, the mixture losing on income.",
]
_QUALITY = ["model", "income AUC", "never married AUC", "income log-loss", "never married log-loss", "training s"]
_AMOUNTS = ["model", "never married AUC", "weeks RMSE", "weeks bias", "dividends RMSE", "dividends bias", "training s"]
_FORMS = ["form", "income AUC", "never married AUC", "largest difference of a chance", "bytes", "us a row alone"]


class Census:
    """Rows of both files for any tasks."""

    def __init__(self, *, quick: bool, validate: bool) -> None:
        folder = record.SHARED_DATA / "census-income-kdd"
        frames = [_plain(pl.read_parquet(folder / name)) for name in _FILES]
        order = np.random.default_rng(_HALVES).permutation(frames[1].height)
        half = frames[1].height // 2
        self.train, self.test = frames[0], frames[1][order[:half] if validate else order[half:]]
        if quick:
            self.train, self.test = self.train[::10], self.test[::5]
        self.quick = quick
        self._made = dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[TaskRows, TaskRows]]()

    def rows(self, specs: tuple[str, ...], left_out: tuple[str, ...]) -> tuple[TaskRows, TaskRows]:
        """(to learn from, to measure on): `left_out` are the columns that are no features."""
        if (specs, left_out) not in self._made:
            self._made[specs, left_out] = self._read(specs, left_out)
        return self._made[specs, left_out]

    def _read(self, specs: tuple[str, ...], left_out: tuple[str, ...]) -> tuple[TaskRows, TaskRows]:
        names = [name for name in self.train.columns if name not in left_out]
        texts = {name for name in names if is_text(self.train[name])}
        nothing = np.zeros(self.train.height, dtype=np.float32)
        schema = fit_schema(self.train, nothing, names, texts)
        return self._part(self.train, schema, specs), self._part(self.test, schema, specs)

    @staticmethod
    def _part(frame: pl.DataFrame, schema: Schema, specs: tuple[str, ...]) -> TaskRows:
        tasks, labels = read_labels(frame, read_tasks(specs), "census")
        one = np.ones(len(labels), dtype=np.float32)
        rows = RankRows(schema, schema.encode_frame(frame), labels[:, 0], one, by_time=False)
        return TaskRows(tasks, rows, labels)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    def column(word: str) -> str:
        (found,) = [name for name in frame.columns if word in name]
        return found

    return frame.with_columns(
        (pl.col("income_50k").str.strip_chars() == "50000+.").cast(pl.Int8).alias("income"),
        (pl.col(column("marital")).str.strip_chars() == "Never married").cast(pl.Int8).alias("never_married"),
        pl.col(column("weeks")).cast(pl.Float64).alias("weeks_worked"),
        pl.col(column("dividends")).cast(pl.Float64).alias("dividends"),
        *(pl.col(name).cast(pl.String) for name in _CODES if name in frame.columns),
    ).drop(
        ["row", "instance_weight", "income_50k", column("marital")]
        + [name for name in (column("weeks"), column("dividends")) if name not in ("weeks_worked", "dividends")]
    )


@dataclass
class Run:
    """What one variant came to with one seed."""

    metrics: Metrics
    seconds: float
    model: MultitaskModel


def _run(world: Census, variant: Variant, left_out: tuple[str, ...], seed: int) -> Run:
    trainer, family = plugins.algorithm("mmoe"), MultitaskFamily()
    given = {**_SETTINGS, **variant.params, **({"epochs": 3} if world.quick else {})}
    metrics: Metrics = {}
    seconds, model = 0.0, None
    for specs in variant.tasks:
        learned, held = world.rows(specs, left_out)
        began = time.perf_counter()
        model = trainer(trainer.Params(**given), seed).fit(learned, silent)
        seconds += time.perf_counter() - began
        metrics |= family.evaluate(model, held)
    assert isinstance(model, MultitaskModel)
    told = {name: round(value, 5) for name, value in metrics.items() if name.endswith(("auc", "rmse", "bias"))}
    print(variant.name, seed, f"{seconds:.0f} s", f"pass {model.about.best_epoch}", told, flush=True)
    return Run(metrics, seconds, model)


def _quality(world: Census, seeds: tuple[int, ...]) -> tuple[list[list[Any]], list[MultitaskModel]]:
    names = [f"{task}_{measure}" for measure in ("auc", "log_loss") for task in BOTH]
    table, first = [], list[MultitaskModel]()
    for variant in VARIANTS:
        runs = [_run(world, variant, BOTH, seed) for seed in seeds]
        if not first:
            first = [runs[0].model]
        table.append([variant.name, *(_spread([run.metrics[name] for run in runs]) for name in names), _mean(runs)])
    for name in ("xgb", "lgbm"):
        table.append([f"{name}, one model a task", *_trees(world, name, seeds[:1])])
    held = world.rows(BOTH, BOTH)[1]
    rates = [_spread([logloss(label, np.full(len(label), label.mean()))]) for label in held.labels.T]
    table.append(["base rate", "0.5000", "0.5000", *rates, ""])
    return table, first


def _trees(world: Census, name: str, seeds: tuple[int, ...]) -> list[str]:
    trainer = plugins.algorithm(name)
    found: dict[str, list[float]] = {}
    took = []
    for seed in seeds:
        began = time.perf_counter()
        for task in BOTH:
            learned, held = world.rows((task,), BOTH)
            texts = {column.name for column in learned.rows.schema.columns if column.categories is not None}
            names = list(learned.rows.names)
            schema = fit_schema(world.train, learned.labels[:, 0], names, texts)
            rows, asked = (
                RankRows(schema, schema.encode_frame(frame), one.labels[:, 0], one.rows.weight, by_time=False)
                for frame, one in ((world.train, learned), (world.test, held))
            )
            said = trainer(trainer.Params(), seed).fit(rows, silent).score(asked.values)
            found.setdefault(f"{task}_auc", []).append(auc(asked.label, said))
            found.setdefault(f"{task}_log_loss", []).append(logloss(asked.label, said))
        took.append(time.perf_counter() - began)
        print(name, seed, {key: round(values[-1], 5) for key, values in found.items()}, flush=True)
    order = [f"{task}_{measure}" for measure in ("auc", "log_loss") for task in BOTH]
    return [*(_spread(found[key]) for key in order), f"{statistics.mean(took):.0f}"]


def _amounts(world: Census, seeds: tuple[int, ...]) -> list[list[Any]]:
    names = ["never_married_auc", "weeks_worked_rmse", "weeks_worked_bias", "dividends_rmse", "dividends_bias"]
    left_out = ("never_married", "weeks_worked", "dividends", "income")
    table, naive = [], dict[str, float]()
    for variant in BALANCES:
        runs = [_run(world, variant, left_out, seed) for seed in seeds]
        naive = runs[0].metrics
        table.append([variant.name, *(_spread([run.metrics[name] for run in runs]) for name in names), _mean(runs)])
    told = [_spread([naive[f"naive_{name}"]]) for name in ("weeks_worked_rmse", "dividends_rmse")]
    table.append(["rate and mean", "0.5000", told[0], "0.0000", told[1], "0.0000", ""])
    return table


def _forms(world: Census, models: list[MultitaskModel]) -> list[list[Any]]:
    """The float graph of a model and its int8 form, on the rows that are measured."""
    from shopkeeper.learning.onnx_forms import int8
    from shopkeeper.recommend.multitask.model import GRAPH

    (plain,) = models
    held = world.rows(BOTH, BOTH)[1]
    with tempfile.TemporaryDirectory() as name:
        folder, small = Path(name, "float"), Path(name, "int8")
        for each in (folder, small):
            each.mkdir()
            plain.save(each)
        int8(folder / GRAPH, small / GRAPH, plain.schema.standardise(held.rows.values[:500]))
        sizes = [(each / GRAPH).stat().st_size for each in (folder, small)]
        quick = MultitaskModel.load(small)
    told, short = plain.answers(held.rows.values), quick.answers(held.rows.values)
    rows = []
    for form, said, size, off, model in (
        ("float32 (that serves)", told, sizes[0], plain.about.onnx_max_difference, plain),
        ("int8", short, sizes[1], float(np.abs(told - short).max()), quick),
    ):
        found = [f"{auc(held.labels[:, at], said[:, at]):.5f}" for at in range(2)]
        rows.append([form, *found, f"{off:.2g}", size, _micros(model, held.rows.values)])
    return rows


def _micros(model: MultitaskModel, values: NDArray[np.float32]) -> float:
    rounds = []
    for _ in range(9):
        began = time.perf_counter()
        for at in range(200):
            model.answers(values[at : at + 1])
        rounds.append((time.perf_counter() - began) / 200 * 1e6)
    return round(min(rounds), 1)


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ({statistics.stdev(values):.4f})"


def _mean(runs: list[Run]) -> str:
    return f"{statistics.mean(run.seconds for run in runs):.0f}"


if __name__ == "__main__":
    main()
