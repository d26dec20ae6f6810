"""Rankers on two public tables with their official splits, beside scikit-learn, and the time of one answer by form."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper import plugins
from shopkeeper.core.protocols import silent
from shopkeeper.learning.fitting import fit_schema, is_text
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.ranking.rows import RankRows

SEEDS = (1, 2, 3)
_PEER = Path(__file__).with_name("peers") / "trees_on_table.py"
_SIZES = (1, 16, 64, 256, 1024)
_ROUNDS = 9
_FEW = 200  # calls of each size, each with rows of its own


@dataclass(frozen=True)
class Dataset:
    """`yes`: the label's text for 1. `codes`: numbers that name things."""

    name: str
    folder: str
    files: tuple[str, str]
    label: str
    yes: str
    codes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


DATASETS = (
    Dataset("Adult", "adult", ("adult_train.parquet", "adult_test.parquet"), "income", ">50K"),
    Dataset(
        "Census-Income (KDD)",
        "census-income-kdd",
        ("census_income_train.parquet", "census_income_test.parquet"),
        "income_50k",
        "50000+.",
        codes=("det_ind_code", "det_occ_code"),
        dropped=("row", "instance_weight"),
    ),
)


_ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    os.environ.update(_ALONE)  # before any library that makes threads is loaded
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        python = _environment()
        quality, notes, last = [], [], None
        for dataset in DATASETS:
            found = _read(dataset)
            if found is None:
                notes.append(f"{dataset.name} was not measured: {record.SHARED_DATA / dataset.folder} is missing")
                continue
            rows, models = _quality(dataset, *found, python, Path(folder))
            quality += rows
            last = last or (models, found)
        speed = [] if last is None else _speed(*last)
    if not quality:
        raise SystemExit(f"nothing was measured: {'; '.join(notes)}")
    record.write(
        "tabular",
        "Rankers on tables",
        "Official train and test files; nothing of the test file is looked at before measuring. `xgb` and `lgbm` with "
        "their default parameters, stopped early on 15 % of the training rows; mean (standard deviation) over seeds "
        "1, 2, 3. Peers of scikit-learn in an environment of their own: HistGradientBoosting with the rates, rounds "
        "and stopping of `lgbm` and native categories; logistic regression on one-hot texts and standardised numbers. "
        "The naive baseline says the base rate of the training rows. All train with one thread; training seconds "
        "include early stopping and, for ours, making and comparing the ONNX form. Speed: models of the first table, "
        "one thread, "
        f"{_FEW} calls each with other rows, best of {_ROUNDS} rounds, microseconds a call.",
        [
            {"title": "AUC and log-loss", "columns": _QUALITY, "rows": quality},
            {"title": "Microseconds a call by number of rows", "columns": ["what", *map(str, _SIZES)], "rows": speed},
        ],
        notes,
    )


_QUALITY = ["table", "model", "AUC", "log-loss", "training s", "largest difference of the ONNX form"]


def _read(dataset: Dataset) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """(train, test) with `label` 0 or 1, or None when the files are not there."""
    paths = [record.SHARED_DATA / dataset.folder / name for name in dataset.files]
    if not all(path.exists() for path in paths):
        return None
    frames = []
    for path in paths:
        frame = pl.read_parquet(path).drop(dataset.dropped)
        label = (frame[dataset.label].str.strip_chars() == dataset.yes).cast(pl.Int8)
        frames.append(
            frame.drop(dataset.label).with_columns(label.alias("label"), pl.col(dataset.codes).cast(pl.String))
        )
    return frames[0], frames[1]


def _rows(train: pl.DataFrame, test: pl.DataFrame) -> tuple[RankRows, RankRows]:
    names = [name for name in train.columns if name != "label"]
    label = train["label"].to_numpy().astype(np.float32)
    schema = fit_schema(train, label, names, {name for name in names if is_text(train[name])})
    both = [(schema.encode_frame(one), one["label"].to_numpy().astype(np.float32)) for one in (train, test)]
    learned, held = (
        RankRows(schema, values, said, np.ones(len(said), dtype=np.float32), by_time=False) for values, said in both
    )
    return learned, held


def _quality(
    dataset: Dataset, train: pl.DataFrame, test: pl.DataFrame, python: Path, folder: Path
) -> tuple[list[list[Any]], dict[str, Any]]:
    learned, held = _rows(train, test)
    models: dict[str, Any] = {}
    table = []
    for name in ("xgb", "lgbm"):
        trainer, runs = plugins.algorithm(name), []
        for seed in SEEDS:
            began = time.perf_counter()
            model = models[name] = trainer(trainer.Params(), seed).fit(learned, silent)
            took = time.perf_counter() - began
            said = model.score(held.values)
            runs.append((auc(held.label, said), logloss(held.label, said), took))
            print(dataset.name, name, seed, [round(value, 4) for value in runs[-1]], flush=True)
        difference = getattr(models[name], "onnx_max_difference", None)
        table.append([dataset.name, name, *_spread(runs), "no form: categories" if difference is None else difference])
    peers = [_peer(python, train, test, seed, folder) for seed in SEEDS]
    table += [[dataset.name, name, *_spread([run[name] for run in peers]), ""] for name in peers[0]]
    rate = np.full(len(held), learned.label.mean())
    table.append([dataset.name, "base rate", "0.5000", f"{logloss(held.label, rate):.4f}", "", ""])
    return table, models


def _spread(runs: list[tuple[float, float, float]]) -> list[str]:
    columns = list(zip(*runs, strict=True))
    told = [f"{statistics.mean(values):.4f} ({statistics.stdev(values):.4f})" for values in columns[:2]]
    return [*told, f"{statistics.mean(columns[2]):.1f}"]


def _peer(
    python: Path, train: pl.DataFrame, test: pl.DataFrame, seed: int, folder: Path
) -> dict[str, tuple[float, float, float]]:
    paths = [folder / "train.parquet", folder / "test.parquet"]
    for frame, path in zip((train, test), paths, strict=True):
        frame.write_parquet(path)
    done = subprocess.run(
        [str(python), str(_PEER), *map(str, paths), str(seed)], capture_output=True, text=True, check=True, env=_ALONE
    )
    found: dict[str, tuple[float, float, float]] = json.loads(done.stdout)
    print("peers", seed, {name: [round(value, 4) for value in values] for name, values in found.items()}, flush=True)
    return found


def _environment() -> Path:
    """The Python of an environment with the peers, kept below the system's temporary folder."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-sklearn"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        packages = ["scikit-learn==1.7.2", "pandas==2.3.3", "pyarrow"]
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"


def _speed(models: dict[str, Any], found: tuple[pl.DataFrame, pl.DataFrame]) -> list[list[Any]]:
    learned, held = _rows(*found)
    number_rows = learned.schema.names
    plain = _numeric(learned)
    trainer = plugins.algorithm("lgbm")
    numeric = trainer(trainer.Params(), SEEDS[0]).fit(plain, silent)
    xgb = models["xgb"]
    named = found[1].select(number_rows).rows(named=True)
    table = [
        ["xgb, native", *_times(xgb.native, held.values)],
        ["xgb, ONNX", *_times(xgb.form.score, held.values)],
        ["lgbm, native, categories", *_times(models["lgbm"].native, held.values)],
        ["lgbm, native, all columns as numbers", *_times(numeric.native, held.values)],
        ["lgbm, ONNX, all columns as numbers", *_times(numeric.form.score, held.values)],
    ]
    for what, call in (("named rows to a matrix", xgb.schema.encode), ("xgb, named rows to answers", xgb.score_rows)):
        table.append([what, *_times(call, named)])
    return table


def _numeric(rows: RankRows) -> RankRows:
    """The same codes, taken for numbers."""
    from shopkeeper.learning.tabular import Schema

    return RankRows(Schema.of_numbers(rows.names), rows.values, rows.label, rows.weight, by_time=False)


def _times(call: Callable[[Any], Any], rows: NDArray[np.float32] | list[dict[str, Any]]) -> list[float]:
    return [_time(call, rows, size) for size in _SIZES]


def _time(call: Callable[[Any], Any], rows: Any, size: int) -> float:
    """Microseconds of one call in the best round: what other programs take away is not the form's."""
    parts = [rows[at * size : (at + 1) * size] for at in range(min(_FEW, len(rows) // size))]
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for part in parts:
            call(part)
        rounds.append((time.perf_counter() - began) / len(parts) * 1e6)
    return round(min(rounds), 1)


if __name__ == "__main__":
    main()
