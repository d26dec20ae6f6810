"""`deepfm` on MovieLens-1M by two published protocols, beside trees, logistic regression and torch-rechub's DeepFM."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # before any library that makes threads is loaded

import numpy as np
import polars as pl

from benchmarks import record
from benchmarks.forecast_sets import peer_python
from shopkeeper import plugins
from shopkeeper.core.protocols import silent
from shopkeeper.learning.fitting import fit_schema
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.ranking.deepfm import Deepfm
from shopkeeper.recommend.ranking.deepfm_inputs import Inputs
from shopkeeper.recommend.ranking.deepfm_model import DeepfmRanker
from shopkeeper.recommend.ranking.rows import RankRows

SEEDS = (1, 2, 3)
_FOLDER = record.SHARED_DATA / "movielens-1m"
_PEER = Path(__file__).with_name("peers") / "rechub_deepfm.py"
_PACKAGES = ["torch-rechub==0.9.0", "torch==2.13.0", "pandas<3", "scikit-learn"]
_FEATURES = ("user_id", "movie_id", "gender", "age", "occupation", "genres", "year")
_ZIP = (*_FEATURES, "zip")
_QUICK_ROWS = 40_000

PROTOCOL = (
    "MovieLens-1M, each rating a row: user, movie, gender, age, occupation, genres together, year, in P6 the zip code"
    " too (in P5 it made the stopping rows worse); all are categories. P5: the label is a rating of 4 or 5; the first"
    " 80 % of all ratings by time are learned from, the next 10 % say when to stop, the last 10 % are measured (84 % "
    "of the timestamps are original, see the notes of the data set). P6: ratings of 3 are left out, 4 and 5 are "
    "positive; a random tenth is measured, the same for all; of the other rows a random twentieth says when to stop. "
    "The vocabulary is that of the rows that are learned from. `deepfm` with what differs from its defaults told in "
    "the table, three seeds, mean (standard deviation); trees with their defaults, one seed, on learned and stopping "
    "rows together, of which they keep 15 % to stop by. torch-rechub's DeepFM with vectors, layers, dropout, batch, "
    "learning rate and stopping of ours and batches that are ready; logistic regression on one-hot codes. Everything "
    "with one thread. Rows/s: rows learned from, times passes, over the time of the passes; ours includes measuring "
    "the stopping rows behind each pass. Published: P5 FM .7661, DeepFM .7736 (ReChorus); P6 DeepFM .8867 (EasyRec)."
)


@dataclass(frozen=True)
class Split:
    """`parts` in the order of learned, check, test. `settings`: parameters chosen on the stopping rows."""

    name: str
    parts: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
    settings: dict[str, Any]
    features: tuple[str, ...]


_P5: dict[str, Any] = {"patience": 2}
_P6: dict[str, Any] = {"patience": 2}


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    if not _FOLDER.exists():
        raise SystemExit(f"nothing was measured: {_FOLDER} is missing")
    rated = _rated()
    splits = [_p5(rated), _p6(rated)]
    if quick:
        splits = [Split(one.name, _few(one.parts), one.settings | {"epochs": 2}, one.features) for one in splits]
    rows: list[list[Any]] = []
    forms: list[list[Any]] = []
    speed: list[list[Any]] = []
    for split in splits:
        print(split.name, [len(part) for part in split.parts], flush=True)
        rows_of, forms_of, speed_of = _measured(split, SEEDS[:1] if quick else SEEDS)
        rows, forms, speed = rows + rows_of, forms + forms_of, speed + speed_of
    tables = [
        {"title": "AUC and log-loss", "columns": ["protocol", "model", "AUC", "log-loss", "training s"], "rows": rows},
        {"title": "Forms", "columns": ["protocol", "form", "AUC", "log-loss", "bytes"], "rows": forms},
        {"title": "Training rows a second", "columns": ["protocol", "what", "rows/s", "test AUC"], "rows": speed},
    ]
    if quick:
        print(json.dumps(tables, indent=1))
        return
    record.write("deepfm", "DeepFM", PROTOCOL, tables)


def _rated() -> pl.DataFrame:
    users = _table("users.dat", ("user_id", "gender", "age", "occupation", "zip"))
    movies = _table("movies.dat", ("movie_id", "title", "genres"))
    movies = movies.with_columns(pl.col("title").str.extract(r"\((\d{4})\)\s*$").alias("year")).drop("title")
    rated = pl.read_parquet(_FOLDER / "ratings.parquet").select("user_id", "movie_id", "rating", "timestamp")
    rated = rated.with_columns(pl.col("user_id", "movie_id").cast(pl.String))
    return rated.join(users, on="user_id", how="left", maintain_order="left").join(
        movies, on="movie_id", how="left", maintain_order="left"
    )


def _table(name: str, columns: tuple[str, ...]) -> pl.DataFrame:
    lines = (_FOLDER / name).read_text(encoding="latin-1").splitlines()
    return pl.DataFrame([line.split("::") for line in lines], schema=list(columns), orient="row")


def _p5(rated: pl.DataFrame) -> Split:
    rows = rated.with_columns((pl.col("rating") > 3).cast(pl.Int8).alias("label")).sort(
        "timestamp", maintain_order=True
    )
    a, b = int(len(rows) * 0.8), int(len(rows) * 0.9)
    return Split("P5", (rows[:a], rows[a:b], rows[b:]), _P5, _FEATURES)


def _p6(rated: pl.DataFrame) -> Split:
    rows = rated.filter(pl.col("rating") != 3).with_columns((pl.col("rating") > 3).cast(pl.Int8).alias("label"))
    order = np.random.default_rng(0).permutation(len(rows))
    a = len(rows) // 10
    b = a + (len(rows) - a) // 20
    return Split("P6", (rows[order[b:]], rows[order[a:b]], rows[order[:a]]), _P6, _ZIP)


def _few(parts: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    return parts[0][-_QUICK_ROWS:], parts[1][: _QUICK_ROWS // 10], parts[2][: _QUICK_ROWS // 10]


def _measured(split: Split, seeds: tuple[int, ...]) -> tuple[list[list[Any]], list[list[Any]], list[list[Any]]]:
    learned, check, test = _rows(split)
    runs, models, paces = [], [], []
    for seed in seeds:
        model, took, pace = _ours(split, learned, check, seed)
        said = model.score(test.values)
        runs.append((auc(test.label, said), logloss(test.label, said), took))
        paces.append(pace)
        models.append(model)
        print(split.name, "deepfm", seed, [round(one, 4) for one in runs[-1]], round(pace), "rows/s", flush=True)
    rows = [[split.name, f"deepfm {_told(split.settings)}", *_spread(runs)]]
    for name in ("xgb", "lgbm"):
        rows.append([split.name, name, *_trees(name, learned, check, test)])
        print(rows[-1], flush=True)
    peers = _peers(split, learned, check, test)
    for name, found in peers.items():
        rows.append([split.name, name, f"{found['auc']:.4f}", f"{found['log_loss']:.4f}", f"{found['seconds']:.1f}"])
        print(rows[-1], flush=True)
    rate = np.full(len(test), learned.label.mean())
    rows.append([split.name, "base rate", "0.5000", f"{logloss(test.label, rate):.4f}", ""])
    other = peers["torch-rechub DeepFM"]
    speed = [
        [split.name, "deepfm", round(statistics.mean(paces)), f"{statistics.mean(run[0] for run in runs):.4f}"],
        [split.name, "torch-rechub DeepFM, batches ready", round(other["rows_a_second"]), f"{other['auc']:.4f}"],
        [split.name, "torch-rechub DeepFM, its own loader", round(other["rows_a_second_by_its_loader"]), ""],
    ]
    return rows, _forms(split.name, models[0], test), speed


def _rows(split: Split) -> list[RankRows]:
    parts = split.parts
    labels = [part["label"].to_numpy().astype(np.float32) for part in parts]
    schema = fit_schema(parts[0], labels[0], split.features, set(split.features))
    return [
        RankRows(schema, schema.encode_frame(part), label, np.ones(len(label), dtype=np.float32), by_time=True)
        for part, label in zip(parts, labels, strict=True)
    ]


def _ours(split: Split, learned: RankRows, check: RankRows, seed: int) -> tuple[DeepfmRanker, float, float]:
    """(model, seconds of the whole training, rows a second of its passes)."""
    times: list[float] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del step, of, metrics, message
        if epoch or not times:
            times.append(time.perf_counter())

    began = time.perf_counter()
    model = Deepfm(Deepfm.Params(**split.settings), seed).fit_beside(learned, check, report)
    return model, time.perf_counter() - began, len(learned) * (len(times) - 1) / (times[-1] - times[0])


def _trees(name: str, learned: RankRows, check: RankRows, test: RankRows) -> list[str]:
    trainer = plugins.algorithm(name)
    values, label = (np.concatenate([getattr(one, part) for one in (learned, check)]) for part in ("values", "label"))
    both = RankRows(learned.schema, values, label, np.ones(len(label), dtype=np.float32), by_time=True)
    began = time.perf_counter()
    model: Any = trainer(trainer.Params(), SEEDS[0]).fit(both, silent)
    took = time.perf_counter() - began
    said = model.score(test.values)
    return [f"{auc(test.label, said):.4f}", f"{logloss(test.label, said):.4f}", f"{took:.1f}"]


def _peers(split: Split, learned: RankRows, check: RankRows, test: RankRows) -> dict[str, dict[str, float]]:
    params = Deepfm.Params(**split.settings)
    sizes = Inputs.of(learned.schema).sizes
    told: dict[str, Any] = {
        "sizes": np.array(sizes),
        "seed": SEEDS[0],
        "batch": max(params.batch_size, -(-len(learned) // params.steps)),
        "epochs": params.epochs,
        "patience": params.patience,
        "vector": params.embedding_dim,
        "hidden": np.array(params.hidden),
        "dropout": params.dropout,
        "rate": params.learning_rate,
        "decay": 1e-5,  # torch-rechub's own
    }
    for name, part in (("train", learned), ("check", check), ("test", test)):
        told |= {f"codes_{name}": part.values.astype(np.int32), f"label_{name}": part.label}
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        path = Path(folder) / "rows.npz"
        np.savez(path, **told)
        done = subprocess.run(
            [str(peer_python("torch_rechub", _PACKAGES)), str(_PEER), str(path)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        )  # fmt: skip
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def _forms(name: str, model: DeepfmRanker, test: RankRows) -> list[list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        sizes = {one.name: one.stat().st_size for one in Path(folder).glob("*.onnx")}
    table = []
    for form, file, score in (
        ("float32", "net.onnx", model.score),
        ("int8", "net.int8.onnx", model.score_by_other),
    ):
        said = score(test.values)
        table.append([name, form, f"{auc(test.label, said):.5f}", f"{logloss(test.label, said):.5f}", sizes[file]])
    return table


def _told(settings: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name} {value}" for name, value in settings.items()) + ")"


def _spread(runs: list[tuple[float, float, float]]) -> list[str]:
    columns = list(zip(*runs, strict=True))
    told = [
        f"{statistics.mean(values):.4f}" + (f" ({statistics.stdev(values):.4f})" if len(values) > 1 else "")
        for values in columns[:2]
    ]
    return [*told, f"{statistics.mean(columns[2]):.1f}"]


if __name__ == "__main__":
    main()
