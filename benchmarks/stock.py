"""Accuracy of the forecast algorithms on the bundled sales, seasonal naive beside them on the same rows.

    python -m benchmarks.stock [ALGORITHM ...]

One thread, some 18 minutes for all of `PLAN`; named algorithms are tried alone and nothing is recorded.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any, NamedTuple

import polars as pl

from benchmarks import record
from shopkeeper import plugins
from shopkeeper.forecast.measuring.backtest import BacktestForm, backtest
from shopkeeper.forecast.series import SeriesSet, from_rows
from shopkeeper.sources.retail import RetailShop


class Entry(NamedTuple):
    """How an algorithm is run: `params` beside its defaults, `seeds` of which the mean is told."""

    params: dict[str, Any]
    seeds: tuple[int, ...] = (1,)


_NET = Entry({"minutes": 1.2})
PLAN: dict[str, Entry] = {
    "seasonal_naive": Entry({}),
    "theta": Entry({}),
    "croston": Entry({}),
    "tsb": Entry({}),
    "autoets": Entry({}),
    "lightgbm": Entry({}, (1, 2, 3)),
    "xgboost": Entry({}),
    "auto": Entry({}),
    "tcn": _NET,
    "kan": _NET,
}
_MEASURES = ("wape", "wape_sums", "mase", "rmsse", "bias", "pinball")
_BOUNDS = (0.1, 0.5, 0.9, 0.975)
WINDOWS, HORIZON = 4, 28


def main(only: list[str]) -> None:
    series = sales()
    wanted = only or [name for name in PLAN if name in plugins.names("algorithm")]
    runs = {name: [_run(series, name, seed) for seed in PLAN[name].seeds] for name in wanted}
    if only:
        return
    record.write(
        "stock",
        "Forecasts of the bundled shop",
        f"UCI Online Retail, raw times, daily pieces ordered of {len(series) - 1:,} products and their total. Four "
        "rolling origins 28 days apart, horizon 28 days, every model trained anew on the past of each origin. Weekdays "
        "on which the shop is known to be closed are not counted. WAPE, MASE: the median's; RMSSE, bias, sums: the "
        "mean's; pinball over nine quantiles. lightgbm: mean (standard deviation) of three seeds; the others one seed. "
        f"Nets may learn {_NET.params['minutes']:g} minutes a training, all else is as by default. "
        "The nets' numbers of epochs were chosen with the last of these origins in sight. Of a level tau the share of "
        "days below its quantile and the share at most on it are told: it is honest if tau lies between them. "
        "Counts that are mostly 0 lie in every interval that begins at 0, whatever its level.",
        [
            _table("Products, pooled", "", runs),
            _table("The total of the shop", "total_", runs),
            _steps_table(runs),
            *(_coverage(name, runs[name][0]) for name in ("lightgbm", "autoets", "auto") if name in runs),
            {
                "title": "Time for four trainings and forecasts",
                "columns": ["algorithm", "seconds"],
                "rows": [[name, round(statistics.median(one["seconds"] for one in runs[name]), 1)] for name in runs],
            },
        ],
    )


def sales() -> SeriesSet:
    """Daily pieces ordered, local days, products only; voided orders are dropped by the cleaning."""
    data = RetailShop().load(0)
    orders = pl.concat([data.kept, data.withheld]).filter(pl.col("event_type") == "order")
    zone = "Europe/London"
    local = pl.from_epoch("time", time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    day = orders.with_columns(local.alias("day")).with_columns(pl.col("day").cast(pl.Int32))
    daily = day.group_by("item_id", "day").agg(pl.col("quantity").sum()).sort("item_id", "day")
    return from_rows(daily["item_id"].to_list(), daily["day"].to_numpy(), daily["quantity"].to_numpy())


def _run(series: SeriesSet, name: str, seed: int) -> dict[str, Any]:
    params = {name: PLAN[name].params} if name in PLAN else {}
    form = BacktestForm(models=[name], windows=WINDOWS, horizon=HORIZON, refit=True, seed=seed, params=params)
    result: dict[str, Any] = backtest(series, form)["models"][name]
    if "error" in result:
        raise SystemExit(result["error"])
    shown = {key: round(result["metrics"].get(key, float("nan")), 3) for key in (*_MEASURES, "total_wape")}
    print(name, seed, shown, f"{result['seconds']:.0f} s", flush=True)
    return result


def _table(title: str, prefix: str, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    rows = [
        [name, *(_cell([one["metrics"].get(prefix + measure) for one in done]) for measure in _MEASURES)]
        for name, done in runs.items()
    ]
    return {"title": title, "columns": ["algorithm", *_MEASURES], "rows": rows}


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{statistics.mean(known):.3f}"
    return mean if len(known) == 1 else f"{mean} ({statistics.stdev(known):.3f})"


def _steps_table(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """WAPE of products by part of the horizon, first seed."""
    parts = [_span(part) for part in next(iter(runs.values()))[0]["by_step"]]
    rows = [[name, *(f"{part['wape']:.3f}" for part in done[0]["by_step"])] for name, done in runs.items()]
    return {"title": "Products, WAPE by day ahead", "columns": ["algorithm", *parts], "rows": rows}


def _coverage(name: str, run: dict[str, Any]) -> dict[str, Any]:
    """Both shares of four levels and the share inside 80 %, by part of the horizon."""
    rows = []
    for part in run["by_step"]:
        places = [part["levels"].index(level) for level in _BOUNDS]
        shares = [f"{part['below'][place]:.3f} – {part['at_most'][place]:.3f}" for place in places]
        rows.append([_span(part), *shares, f"{part['coverage_80']:.3f}"])
    columns = ["days ahead", *(f"{level:g}" for level in _BOUNDS), "inside 80 %"]
    return {"title": f"{name}: shares below and at most each level, products", "columns": columns, "rows": rows}


def _span(part: dict[str, Any]) -> str:
    return str(part["first"]) if part["first"] == part["last"] else f"{part['first']} to {part['last']}"


if __name__ == "__main__":
    main(sys.argv[1:])
