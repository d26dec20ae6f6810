"""The bundled shop's real sales: the trees must beat seasonal naive on days that neither has seen."""

from pathlib import Path

import polars as pl
import pytest

from shopkeeper import sources
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.lightgbm import LightGbm
from shopkeeper.forecast.family import ForecastFamily, split
from shopkeeper.forecast.series import SeriesSet, from_rows


@pytest.fixture(scope="module")
def retail() -> SeriesSet:
    """Order lines of the 300 products with most lines; every other line only says that the shop was open."""
    path = Path(sources.__file__).parent / "data" / "online_retail.parquet"
    lines = pl.read_parquet(path).filter(
        pl.col("StockCode").str.contains(r"^\d{5}"), pl.col("Quantity").is_between(1, 5000), pl.col("UnitPrice") > 0
    )
    busiest = lines["StockCode"].value_counts(sort=True).head(300)["StockCode"]
    rows = lines.filter(pl.col("StockCode").is_in(busiest.implode()))
    day = rows["InvoiceDate"].dt.date().cast(pl.Int32).to_numpy()
    return from_rows(rows["StockCode"].to_list(), day, rows["Quantity"].to_numpy(), rows["UnitPrice"].to_numpy())


def test_saturdays_and_bank_holidays_are_learned(retail: SeriesSet) -> None:
    assert retail.weekly_closed.tolist() == [False] * 5 + [True, False]
    assert retail.closed.sum() == 69  # 53 Saturdays and 16 holidays


def test_trees_beat_seasonal_naive_on_unseen_weeks(retail: SeriesSet) -> None:
    data, family = split(retail), ForecastFamily()
    model = LightGbm(LightGbm.Params(rounds=60, learning_rate=0.1, rows=60_000), 1).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["wape"] < 0.9 * metrics["naive_wape"]
    assert metrics["pinball"] < 0.9 * metrics["naive_pinball"]
    assert 0.78 < metrics["coverage_80"] < 0.95
    assert metrics["coverage_95"] > 0.93
    assert family.judge(metrics, None).verdict == "PROMOTE"
