"""What the benches of forecast nets share: panels, and one net of the house in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecast_sets import Set, measured, pharmacy, store_item
from benchmarks.peers.peak import peak_from_now, peak_mb
from benchmarks.stock import sales
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.plugins import algorithm, read_params

ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
HORIZON = 28
RETAIL, STORE_ITEM, PHARMACY = "500 products of Online Retail", "100 series of Store-Item", "8 groups of a pharmacy"
PANELS = (RETAIL, STORE_ITEM, PHARMACY)


@dataclass(frozen=True)
class Panel:
    """Everything learns from what lies before the first of `cuts` and then forecasts from each of them."""

    data: Set
    cuts: tuple[int, ...]

    @property
    def series(self) -> SeriesSet:
        return self.data.series


@dataclass(frozen=True)
class Run:
    """`quantiles` (cuts, n, horizon, 9), seconds of fit and forecasts, MB that the process grew by meanwhile."""

    quantiles: NDArray[np.float64]
    seconds: float
    peak_mb: float


def panel(name: str) -> Panel:
    """By its name in PANELS. Which products are busiest is counted before the first cutoff."""
    if name == RETAIL:
        everything = sales()
        cuts = _cuts(everything.days, 4)
        products = np.flatnonzero(~everything.aggregate)
        busiest = products[np.argsort(-everything.y[products, : cuts[0]].sum(axis=1), kind="stable")[:500]]
        series = everything.select(np.sort(busiest))
        actual = np.where(series.closed[None, :], np.nan, series.y).astype(np.float64)
        return Panel(Set(name, series, actual, np.ones(series.days)), cuts)
    data, windows = (store_item(), 4) if name == STORE_ITEM else (pharmacy(), 8)
    rows = np.arange(0, len(data.series), 5 if name == STORE_ITEM else 1)
    some = Set(name, data.series.select(rows), data.actual[rows], data.weight)
    return Panel(some, _cuts(some.series.days, windows))


def quality(panel: Panel, quantiles: NDArray[np.float64]) -> dict[str, float]:
    """Measures over all cutoffs together."""
    came = np.concatenate([panel.data.came(cut, HORIZON) for cut in panel.cuts])
    every = quantiles.reshape(-1, HORIZON, quantiles.shape[-1])
    return measured(came, Outlook(every.mean(axis=2), every))


def in_process(command: list[str], given: dict[str, Any]) -> Run:
    """`command GIVEN.npz MADE.npz` on one thread."""
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        before, after = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(before, **given)
        subprocess.run([*command, str(before), str(after)], check=True, env=ALONE)
        with np.load(after) as made:
            return Run(made["quantiles"], float(made["seconds"]), float(made["peak_mb"]))


def ours(
    name: str, panel_name: str, params: dict[str, Any], seed: int, module: str = "benchmarks.forecast_nets"
) -> Run:
    """An algorithm of the house; `module` has it, when it is no registered one, in TRAINERS."""
    told = json.dumps({"name": name, "panel": panel_name, "params": params, "seed": seed, "module": module})
    return in_process([sys.executable, "-m", module], {"told": told})


def run(trainers: dict[str, type[Any]]) -> None:
    """In the process of one run."""
    import onnxruntime
    import torch

    # What the peers import before their clock starts, is imported here before ours does.
    torch.set_num_threads(1)
    assert onnxruntime.get_available_providers()
    told: dict[str, Any] = json.loads(str(np.load(sys.argv[1])["told"]))
    on = panel(told["panel"])
    trainer = trainers.get(told["name"]) or algorithm(told["name"])
    params = read_params(trainer, {"horizon": HORIZON, **told["params"]})
    before = peak_from_now()
    begun = time.perf_counter()
    model: ForecastModel = trainer(params, told["seed"]).fit(on.series.until(on.cuts[0]), silent)  # type: ignore[assignment]
    said = [model.forecast(on.series.until(cut), HORIZON).quantiles for cut in on.cuts]
    seconds = time.perf_counter() - begun
    peak = peak_mb() - before
    np.savez(sys.argv[2], quantiles=np.array(said), seconds=seconds, peak_mb=peak)


def _cuts(days: int, windows: int) -> tuple[int, ...]:
    return tuple(days - HORIZON * back for back in range(windows, 0, -1))


if __name__ == "__main__":
    run({})
