"""Eight groups of medicines by day: every forecaster there is, beside statsforecast."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.forecast_sets import MEDIAN, Floats, Set, fitted, measured, pharmacy
from benchmarks.forecast_walmart import peer_means
from shopkeeper import plugins
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.quality import forecast as quality

HORIZON, WINDOWS = 28, 8
_SEEDS = (1, 2, 3)
_RANDOM = ("trees", "neural")
_PEERS = ("SeasonalNaive", "AutoETS", "Theta", "AutoTheta")
_PARAMS: dict[str, dict[str, Any]] = {"auto": {"preset": "medium"}}
_NEURAL = {"minutes": 0.5}
_COLUMNS = ("WAPE of the mean", "WAPE", "SMAPE", "MASE", "pinball", "coverage 80 %", "coverage 95 %", "seconds")


def main() -> None:
    data = pharmacy()
    cutoffs = [data.series.days - HORIZON * (WINDOWS - window) for window in range(WINDOWS)]
    rows = [_ours(data, name, cutoffs) for name in forecasters()]
    rows += [_peer(data, name, cutoffs) for name in _PEERS]
    record.write(
        "forecast_pharmacy",
        "Daily forecasts: a pharmacy",
        f"Pharma sales: 8 groups of medicines, {data.series.days:,} days. {WINDOWS} windows of {HORIZON} days that "
        "follow on one another, the last ones of the data; every model is fitted once, before the first, and asked "
        f"from each. One thread; trees and nets: mean (standard deviation) of {len(_SEEDS)} seeds, nets at most half a "
        "minute each. Every forecaster that is installed has a row. WAPE, SMAPE and MASE are the median's unless it "
        "says otherwise; peers have a mean alone.",
        [{"title": "All groups pooled", "columns": ["algorithm", *_COLUMNS], "rows": sorted(rows, key=_first)}],
    )


def forecasters() -> list[str]:
    """All that are registered and can run here."""
    described = (plugins.describe(name) for name in plugins.names("algorithm"))
    return [one.name for one in described if one.task == "forecast" and one.available]


def _ours(data: Set, name: str, cutoffs: list[int]) -> list[Any]:
    tags = plugins.describe(name).tags
    params = {**_PARAMS.get(name, {}), **(_NEURAL if "neural" in tags else {})}
    seeds = _SEEDS if any(tag in tags for tag in _RANDOM) else _SEEDS[:1]
    runs = []
    for seed in seeds:
        begun = time.perf_counter()
        model = fitted(name, data.series.until(cutoffs[0]), HORIZON, params, seed)
        said = [model.forecast(data.series.until(cutoff), HORIZON) for cutoff in cutoffs]
        runs.append(_measured(data, cutoffs, said, time.perf_counter() - begun))
    row = [name, *(_cell([run[place] for run in runs]) for place in range(len(_COLUMNS)))]
    print(row, flush=True)
    return row


def _peer(data: Set, name: str, cutoffs: list[int]) -> list[Any]:
    """Asked anew at each cutoff, which fits anew: that is how it is used."""
    begun, said = time.perf_counter(), []
    for cutoff in cutoffs:
        mean = np.maximum(peer_means(data.series.until(cutoff), name, HORIZON), 0.0)
        said.append(Outlook(mean, np.repeat(mean[:, :, None], len(quality.LEVELS), axis=2)))
    measures = _measured(data, cutoffs, said, time.perf_counter() - begun)
    row = [f"statsforecast {name}", *(_cell([value]) for value in measures[:4]), "", "", "", _cell([measures[-1]])]
    print(row, flush=True)
    return row


def _measured(data: Set, cutoffs: list[int], said: list[Outlook], seconds: float) -> list[float]:
    came: Floats = np.concatenate([data.came(cutoff, HORIZON) for cutoff in cutoffs])
    mean = np.concatenate([one.mean for one in said])
    quantiles = np.concatenate([one.quantiles for one in said])
    of = measured(came, Outlook(mean, quantiles))
    scales = [quality.naive_scale(data.series.until(cutoff).observed().astype(np.float64))[0] for cutoff in cutoffs]
    mase = quality.mase(came, quantiles[:, :, MEDIAN], np.concatenate(scales))
    return [
        quality.wape(came, mean),
        of["wape"],
        of["smape"] / 100,
        mase,
        of["pinball"],
        of["coverage_80"],
        of["coverage_95"],
        seconds,
    ]


def _cell(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({statistics.stdev(values):.3f})"


def _first(row: list[Any]) -> float:
    return float(str(row[1]).split()[0])


if __name__ == "__main__":
    main()
