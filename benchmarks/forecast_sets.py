"""Public series that forecasts are measured on, each as a SeriesSet, and what every forecast bench needs of them.

A set's `actual` is what came, before anything was clipped, NaN where a step must not count. A model is fitted on and
asked from `until(cutoff)` alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.covariates import HOLIDAY, Covariates
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import DAY, Step, week
from shopkeeper.plugins import algorithm, read_params
from shopkeeper.quality import forecast as quality

Floats = NDArray[np.float64]
MEDIAN = len(quality.LEVELS) // 2
_SATURDAY = 5
_WALMART_PAST = ("Temperature", "Fuel_Price", "MarkDown1", "MarkDown2", "MarkDown3", "MarkDown4", "MarkDown5", "CPI",
                 "Unemployment")  # fmt: skip


@dataclass(frozen=True)
class Set:
    """`weight` (d,) of a step in WMAE."""

    name: str
    series: SeriesSet
    actual: Floats
    weight: Floats

    def came(self, cutoff: int, horizon: int) -> Floats:
        """(n, horizon) behind `cutoff` columns; NaN too for series that had not begun by then."""
        came = self.actual[:, cutoff : cutoff + horizon].copy()
        came[self.series.start >= cutoff] = np.nan
        return came


def store_item() -> Set:
    """Store Item Demand: 500 series (10 stores x 50 items), 1,826 days from 2013 on, no price, nothing known ahead."""
    frame = pl.read_parquet(record.SHARED_DATA / "store-item-demand" / "train.parquet").sort("store", "item", "date")
    pairs = frame.select("store", "item").unique(maintain_order=True)
    y = frame["sales"].to_numpy().reshape(len(pairs), -1).astype(np.float32)
    ids = [f"{store}_{item}" for store, item in pairs.iter_rows()]
    words = {"store": [str(one) for one in pairs["store"]], "item": [str(one) for one in pairs["item"]]}
    series = _series(ids, _day(frame["date"].min()), y, statics=words)
    return Set("store-item", series, y.astype(np.float64), np.ones(y.shape[1]))


def walmart() -> Set:
    """Walmart weekly sales: 3,331 departments of stores, 143 weeks from Saturday to Friday.

    Known ahead: whether a week holds a holiday, which weighs 5. MarkDown, CPI and the like are known of the past only.
    A week without a row says nothing. Sales below 0 (returns) are 0 in the series, what they are in `actual`.
    """
    folder = record.SHARED_DATA / "walmart-weekly"
    frame = pl.read_parquet(folder / "train.parquet").with_columns(pl.col("Date").cast(pl.Date)).sort("Store", "Dept")
    pairs = frame.select("Store", "Dept").unique(maintain_order=True)
    row = frame.join(pairs.with_row_index("row"), on=["Store", "Dept"], how="left", maintain_order="left")["row"]
    first = _day(frame["Date"].min())
    column = (frame["Date"].cast(pl.Int32).to_numpy() - first) // 7
    weeks = int(column.max()) + 1
    actual = np.full((len(pairs), weeks), np.nan)
    actual[row.to_numpy(), column] = frame["Weekly_Sales"].to_numpy()
    facts = pl.read_parquet(folder / "features.parquet")
    holiday, own = _walmart_facts(facts, pairs["Store"].to_numpy(), first, weeks)
    kinds = dict(pl.read_csv(folder / "stores.csv").select("Store", "Type").iter_rows())
    words = {
        "store": [str(store) for store in pairs["Store"]],
        "department": [str(department) for department in pairs["Dept"]],
        "type": [str(kinds[store]) for store in pairs["Store"]],
    }
    series = _series(
        [f"{store}_{department}" for store, department in pairs.iter_rows()],
        first - 6,
        np.maximum(np.nan_to_num(actual), 0).astype(np.float32),
        statics=words,
        shared={HOLIDAY: holiday},
        own=dict(zip(_WALMART_PAST, own, strict=True)),
        known={HOLIDAY},
        available=np.isfinite(actual),
        step=week(_SATURDAY),
    )
    return Set("walmart", series, actual, np.where(holiday > 0, 5.0, 1.0))


def _walmart_facts(
    facts: pl.DataFrame, store: NDArray[np.int64], first: int, weeks: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(weeks,) holiday and (names, n, weeks) numbers of each series' store, NaN where there is none."""
    day = pl.col("Date").str.to_date().cast(pl.Int32)
    facts = facts.with_columns(((day - first) // 7).alias("week"))
    facts = facts.filter(pl.col("week").is_between(0, weeks - 1))
    holiday = np.zeros(weeks, np.float32)
    holiday[facts.filter(pl.col("IsHoliday"))["week"].to_numpy()] = 1
    stores = int(facts["Store"].max()) + 1  # type: ignore[arg-type]
    table = np.full((len(_WALMART_PAST), stores, weeks), np.nan, np.float32)
    for place, name in enumerate(_WALMART_PAST):
        numbers = facts[name].cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy()
        table[place, facts["Store"].to_numpy(), facts["week"].to_numpy()] = numbers
    return holiday, table[:, store]


def pharmacy() -> Set:
    """Sales of 8 groups of medicines in one pharmacy, 2,106 days."""
    frame = pl.read_csv(record.SHARED_DATA / "pharma-sales" / "salesdaily.csv")
    names = ["M01AB", "M01AE", "N02BA", "N02BE", "N05B", "N05C", "R03", "R06"]
    y = np.maximum(frame.select(names).to_numpy().T, 0.0)
    series = _series(names, _day(frame["datum"].str.to_date().min()), y.astype(np.float32))
    return Set("pharmacy", series, y, np.ones(y.shape[1]))


def drawn(n: int, days: int, seed: int = 1) -> Set:
    """Negative binomial days of `n` products with a weekly rhythm and slowly moving levels; most sell seldom."""
    random = np.random.default_rng(seed)
    rhythm = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.4, 0.75])[(np.arange(days) + 4) % 7]
    y = np.empty((n, days), np.float32)
    for first in range(0, n, 1_000):
        rows = slice(first, min(first + 1_000, n))
        level = np.exp(random.normal(-0.7, 1.3, rows.stop - first))[:, None]
        drift = np.exp(np.cumsum(random.normal(0, 0.01, (rows.stop - first, days)), axis=1))
        mean = np.minimum(level * drift, 500.0) * rhythm
        y[rows] = random.negative_binomial(2.0, 2.0 / (2.0 + mean))
    series = _series([f"P{row:05d}" for row in range(n)], 19_723, y)
    return Set("drawn", series, y.astype(np.float64) if n <= 2_000 else y, np.ones(days))  # type: ignore[arg-type]


def _series(
    ids: Iterable[str],
    first_day: int,
    y: NDArray[np.float32],
    *,
    statics: dict[str, list[str]] | None = None,
    shared: dict[str, NDArray[np.float32]] | None = None,
    own: dict[str, NDArray[np.float32]] | None = None,
    known: Iterable[str] = (),
    available: NDArray[np.bool_] | None = None,
    step: Step = DAY,
) -> SeriesSet:
    """Products alone, without a total and without prices."""
    n, columns = y.shape
    vocabulary = {name: tuple(sorted(set(words))) for name, words in (statics or {}).items()}
    place = {name: {word: code for code, word in enumerate(words)} for name, words in vocabulary.items()}
    codes = [[place[name][word] for word in words] for name, words in (statics or {}).items()]
    covariates = Covariates(
        shared_names=tuple(shared or ()),
        shared=np.array(list((shared or {}).values()), np.float32).reshape(-1, columns),
        own_names=tuple(own or ()),
        own=np.array(list((own or {}).values()), np.float32).reshape(-1, n, columns),
        static_names=tuple(vocabulary),
        statics=np.array(codes, np.int32).reshape(-1, n).T.copy(),
        static_words=tuple(vocabulary.values()),
        known=frozenset(known),
    )
    return SeriesSet(
        ids=tuple(ids),
        first_day=first_day,
        y=y,
        price=np.full(y.shape, np.nan, np.float32),
        sold=(y > 0).sum(axis=0).astype(np.int32),
        aggregate=np.zeros(n, np.bool_),
        covariates=covariates,
        available=available,
        step=step,
    )


def fitted(
    name: str, past: SeriesSet, horizon: int, params: dict[str, Any] | None = None, seed: int = 1
) -> ForecastModel:
    """An algorithm by its name, its horizon set where it has one, trained on `past`."""
    trainer = algorithm(name)
    given = {"horizon": horizon} if "horizon" in trainer.Params.__struct_fields__ else {}
    model = trainer(read_params(trainer, {**given, **(params or {})}), seed).fit(past, silent)
    return cast(ForecastModel, model)


def asked(
    data: Set, name: str, cutoff: int, horizon: int, params: dict[str, Any] | None = None, seed: int = 1
) -> tuple[Outlook, float]:
    """What an algorithm that was trained at `cutoff` says from there on, and the seconds for both."""
    past, begun = data.series.until(cutoff), time.perf_counter()
    said = fitted(name, past, horizon, params, seed).forecast(past, horizon)
    return said, time.perf_counter() - begun


def measured(came: Floats, said: Outlook, steps: tuple[int, ...] = ()) -> dict[str, float]:
    """SMAPE in 0..200 and WAPE of the median, pinball, bias of the mean, coverage of 80 % and 95 %, that of 80 % and
    WAPE at single steps. `came` (n, h) with NaN where a step must not count."""
    point = said.quantiles[:, :, MEDIAN]
    answer = {
        "smape": 100 * quality.smape(came, point),
        "wape": quality.wape(came, point),
        "bias": quality.bias(came, said.mean),
        "pinball": quality.pinball(came, said.quantiles),
        "coverage_80": quality.interval_coverage(came, said.quantiles, 0.8),
        "coverage_95": quality.interval_coverage(came, said.quantiles, 0.95),
    }
    for step in steps:
        one = slice(step - 1, step)
        answer[f"wape_step_{step}"] = quality.wape(came[:, one], point[:, one])
        answer[f"coverage_80_step_{step}"] = quality.interval_coverage(came[:, one], said.quantiles[:, one], 0.8)
    return answer


def weighted_mae(came: Floats, point: Floats, weight: Floats) -> float:
    """WMAE: sum of weighted absolute errors / sum of weights, over the steps that count. `weight` (h,)."""
    heavy = np.where(np.isfinite(came), weight[None, :], 0.0)
    return float((np.nan_to_num(np.abs(came - point)) * heavy).sum() / heavy.sum())


def peer_python(name: str, packages: list[str]) -> Path:
    """The interpreter of a virtual environment with these packages, made once, below the temporary folder."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-peers" / name
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"


def _day(value: Any) -> int:
    """Days since 1970 of a date or datetime."""
    return int(np.datetime64(value, "D").astype(np.int64))
