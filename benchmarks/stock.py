"""Accuracy of the forecast algorithms on the bundled sales, seasonal naive beside them on the same rows."""

from __future__ import annotations

import statistics
from typing import Any

import polars as pl

from benchmarks import record
from shopkeeper.forecast.backtest import BacktestForm, backtest
from shopkeeper.forecast.series import SeriesSet, from_rows
from shopkeeper.sources.retail import RetailShop

_SEEDS = (1, 2, 3)
_MODELS = ("seasonal_naive", "autoets", "lightgbm")
_MEASURES = ("wape", "wape_sums", "mase", "rmsse", "bias", "pinball", "coverage_80", "coverage_95")


def main() -> None:
    series = sales()
    runs = {name: [_run(series, name, seed) for seed in (_SEEDS if name == "lightgbm" else (1,))] for name in _MODELS}
    record.write(
        "stock",
        "Forecasts of the bundled shop",
        f"UCI Online Retail, raw times, daily pieces ordered of {len(series) - 1:,} products and their total. Four "
        "rolling origins, horizon 28 days, every model trained anew on the past of each origin. Weekdays on which the "
        "shop is known to be closed are not counted. WAPE, MASE: the median's; RMSSE, bias, sums: the mean's; pinball "
        "over nine quantiles. lightgbm: mean (standard deviation) of three seeds; the others have no randomness.",
        [
            _table("Products, pooled", "", runs),
            _table("The total of the shop", "total_", runs),
            {
                "title": "Time for four trainings and forecasts",
                "columns": ["algorithm", "seconds"],
                "rows": [[name, statistics.median(one["seconds"] for one in runs[name])] for name in _MODELS],
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
    form = BacktestForm(models=[name], windows=4, horizon=28, refit=True, seed=seed)
    result: dict[str, Any] = backtest(series, form)["models"][name]
    print(name, seed, {key: round(result["metrics"].get(key, float("nan")), 3) for key in _MEASURES}, flush=True)
    return result


def _table(title: str, prefix: str, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    present = [name for name in _MEASURES if prefix + name in runs["lightgbm"][0]["metrics"]]
    rows = [
        [name, *(_cell([one["metrics"][prefix + measure] for one in runs[name]]) for measure in present)]
        for name in _MODELS
    ]
    return {"title": title, "columns": ["algorithm", *present], "rows": rows}


def _cell(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({statistics.stdev(values):.3f})"


if __name__ == "__main__":
    main()
