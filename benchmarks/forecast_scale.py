"""Minutes and peak memory of 30,000 daily series over three years, each part in a process of its own.

python -m benchmarks.forecast_scale [PART ...]: some parts only, printed and not written down.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks import record
from benchmarks.forecast_sets import drawn, fitted
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.measuring.backtest import BacktestForm, backtest
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.plugins import names

SERIES, DAYS, HORIZON, WINDOWS = 30_000, 1_096, 28, 4
_ROWS = 1_000_000
_DAY_US = 86_400_000_000
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def main() -> None:
    asked = sys.argv[1:]
    if asked[:1] == ["--part"]:
        print(json.dumps(_PARTS[asked[1]]()))
        return
    rows = []
    for part in asked or _PARTS:
        found = _alone(part)
        print(part, found, flush=True)
        rows.append([found.get("what", part), *(found.get(name, "-") for name in ("seconds", "peak_mb", "note"))])
    if asked:
        return
    record.write(
        "forecast_scale",
        "Forecasts of many series",
        f"{SERIES:,} drawn daily series (negative binomial, slowly moving levels, most days without a sale) of "
        f"{DAYS:,} days. One process a part, one thread; the kernel's high-water mark of the process, the series "
        f"themselves included ({SERIES * DAYS * 4 / 2**20:,.0f} MB a layer of float32). Horizon {HORIZON} days, "
        "intervals included.",
        [{"title": "Time and memory", "columns": ["part", "seconds", "peak MB", "note"], "rows": rows}],
    )


def _alone(part: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.forecast_scale", "--part", part]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **_ALONE}, check=False)
    if done.returncode:
        return {"what": part, "note": f"failed: {done.stderr.strip().splitlines()[-1:]}"}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _panel() -> dict[str, Any]:
    """From batches of orders to the matrix; drawing the orders is not counted."""
    y = drawn(SERIES, DAYS).series.y
    words = _Rows(SERIES)
    panel, seconds, events = SalesPanel(ZoneInfo("UTC"), words, words), 0.0, 0
    for first in range(0, SERIES, 2_000):
        batch = _orders(y[first : first + 2_000], first)
        begun = time.perf_counter()
        panel.apply(batch)
        seconds += time.perf_counter() - begun
        events += len(batch)
    begun = time.perf_counter()
    series = panel.dense(19_723 + DAYS - 1)
    made = time.perf_counter() - begun
    note = f"{events:,} orders, {len(series) - 1:,} products that sold, matrix alone {made:.1f} s"
    return _told("panel: orders to matrix", seconds + made, note)


def _orders(y: Any, first: int) -> EventBatch:
    row, day = np.nonzero(y)
    n = len(row)
    nobody, nothing = np.full(n, -1, np.int32), np.full(n, np.nan)
    return EventBatch(
        seq=np.arange(n),
        user=nobody,
        item=(first + row).astype(np.int32),
        other=nobody,
        type=np.zeros(n, np.int32),
        store=np.zeros(n, np.int32),
        time=(19_723 + day) * _DAY_US,
        quantity=y[row, day].astype(np.float64),
        unit_price=np.full(n, 2.0),
        value=nothing,
        promotion=np.zeros(n, np.bool_),
    )


class _Rows:
    """Items by number; `order` is event type 0, `return` type 1."""

    def __init__(self, n: int) -> None:
        self._n = n

    def row(self, id: str, /) -> int | None:
        return {"order": 0, "return": 1}.get(id)

    def id(self, row: int, /) -> str:
        return f"P{row:05d}"


def _trees() -> dict[str, Any]:
    series = drawn(SERIES, DAYS).series
    begun = time.perf_counter()
    model = fitted("lightgbm", series, HORIZON, {"rows": _ROWS})
    trained = time.perf_counter()
    model.forecast(series, HORIZON)
    asked = time.perf_counter() - trained
    what = f"lightgbm, {_ROWS:,} rows: training and all forecasts"
    return _told(what, trained - begun + asked, f"asked {asked:.1f} s")


def _statistics(name: str) -> Callable[[], dict[str, Any]]:
    def part() -> dict[str, Any]:
        if name not in names("algorithm"):
            return {"what": name, "note": "not there"}
        series = drawn(SERIES, DAYS).series
        begun = time.perf_counter()
        model = fitted(name, series, HORIZON)
        trained = time.perf_counter()
        model.forecast(series, HORIZON)
        now = time.perf_counter()
        return _told(f"{name}: training and all forecasts", now - begun, f"asked {now - trained:.1f} s")

    return part


def _backtest() -> dict[str, Any]:
    series = drawn(SERIES, DAYS).series
    begun = time.perf_counter()
    form = BacktestForm(models=["lightgbm"], windows=WINDOWS, horizon=HORIZON, params={"lightgbm": {"rows": _ROWS}})
    found = backtest(series, form, silent)["models"]["lightgbm"]["metrics"]
    note = f"WAPE {found['wape']:.3f}, seasonal naive {found['naive_wape']:.3f}, 80 % covers {found['coverage_80']:.3f}"
    return _told(f"backtest of lightgbm, {WINDOWS} windows", time.perf_counter() - begun, note)


def _told(what: str, seconds: float, note: str) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"what": what, "seconds": round(seconds, 1), "peak_mb": peak, "note": note}


_PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "panel": _panel,
    "lightgbm": _trees,
    "theta": _statistics("theta"),
    "tsb": _statistics("tsb"),
    "backtest": _backtest,
}


if __name__ == "__main__":
    main()
