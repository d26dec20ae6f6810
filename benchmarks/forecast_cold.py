"""New products: their first four weeks from 0, 3 and 7 days of sales, by their neighbours and without them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.forecast_sets import Floats, fitted
from benchmarks.stock import sales
from benchmarks.suggest_lists import interval
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.answering.neighbours import Neighbourhood
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.lifecycle.spaces import ItemSpace, space_of
from shopkeeper.plugins import algorithm
from shopkeeper.quality import forecast as quality
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.sources.categories import category_of
from shopkeeper.sources.retail import RetailShop

HORIZON, LAST = 28, 120
KNOWN = (0, 3, 7)
_DAY_US = 86_400_000_000
_WAYS = ("category mean", "lightgbm", "neighbours: category", "neighbours: als, else category", "lightgbm + neighbours")


@dataclass
class Found:
    """One number a product: |sum said - sum sold|, pinball of its days, pieces sold, days inside the 80 % interval."""

    missed: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    sold: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)

    def add(self, came: Floats, said: Outlook) -> None:
        counted = np.isfinite(came)
        error = came[:, None] - said.quantiles[0]
        loss = np.maximum(quality.LEVELS * error, (quality.LEVELS - 1) * error)
        self.missed.append(abs(float(np.nansum(came)) - float(said.mean[0][counted].sum())))
        self.loss.append(2 * float(loss[counted].sum()) / len(quality.LEVELS))
        self.sold.append(float(np.nansum(came)))
        self.inside.append(quality.interval_coverage(came[None, :], said.quantiles[:1], 0.8))


def main(every: int = 1) -> None:
    """`every` of so many new products, to try it."""
    series, lines = sales(), RetailShop().load(0)
    names = dict(lines.items.select("item_id", "category").iter_rows())
    began = series.start.astype(int)
    fresh = np.flatnonzero((began >= series.days - LAST) & (began + HORIZON + max(KNOWN) <= series.days))
    fresh = fresh[~series.aggregate[fresh]][::every]
    model = fitted("lightgbm", series.until(series.days - LAST), HORIZON)
    spaces = Spaces(series, lines.kept)
    tables = []
    for known in KNOWN:
        found = {way: Found() for way in _WAYS}
        for cutoff in sorted({int(began[row]) + known for row in fresh}):
            rows = fresh[began[fresh] + known == cutoff]
            _cut(series, cutoff, rows, names, spaces.at(cutoff), model, found)
        tables.append(_table(known, len(fresh), found))
    record.write(
        "forecast_cold",
        "Forecasts of new products",
        f"UCI Online Retail, {len(fresh)} products whose first sale lies in the last {LAST} days: the {HORIZON} days "
        f"after {', '.join(map(str, KNOWN))} days on sale, from what the shop knew on that day. Categories come from "
        "the products' names. als: item vectors of orders before the last Monday before the day. lightgbm was trained "
        "before all of them began. Category mean: mean and quantiles of the days of the category's products in the "
        "90 days before. WAPE of the 28-day sum (the mean), pinball of the days; 95 % intervals by resampled products; "
        "ratios to category mean under 1 are better.",
        tables,
    )


class Spaces:
    """ALS vectors by week: each of the orders before it."""

    def __init__(self, series: SeriesSet, lines: pl.DataFrame) -> None:
        orders = lines.filter((pl.col("event_type") == "order") & pl.col("user_id").is_not_null()).sort("time")
        ids = tuple(name for row, name in enumerate(series.ids) if not series.aggregate[row])
        place = {name: row for row, name in enumerate(ids)}
        users = {name: row for row, name in enumerate(orders["user_id"].unique().sort())}
        kept = orders.filter(pl.col("item_id").is_in(list(ids)))
        self._orders = Orders(
            np.array([users[one] for one in kept["user_id"]], np.int32),
            np.array([place[one] for one in kept["item_id"]], np.int32),
            kept["time"].cast(pl.Int64).to_numpy(),
            ids,
        )
        self._first = series.first_day
        self._made: dict[int, ItemSpace] = {}

    def at(self, cutoff: int) -> ItemSpace:
        monday = (self._first + cutoff + 3) // 7 * 7 - 3
        if monday not in self._made:
            now = (monday - 1) * _DAY_US  # a day early: local days end before those of UTC or after
            data = RecallData(self._orders.between(None, now), now)
            als = algorithm("als")
            space = space_of(als(als.Params(), 1).fit(data, silent), f"als/{monday}")
            self._made[monday] = ItemSpace(space.item_ids, space.vectors, space.version, now)
        return self._made[monday]


def _cut(
    series: SeriesSet,
    cutoff: int,
    rows: NDArray[np.int64],
    names: dict[str, str],
    space: ItemSpace,
    model: ForecastModel,
    found: dict[str, Found],
) -> None:
    """Every way's answer for the products that are exactly so many days old."""
    past = series.until(cutoff)
    actual = series.y[:, cutoff : cutoff + HORIZON].astype(np.float64)
    actual[:, past.future_closed(HORIZON)] = np.nan
    space.check_before((past.last_day + 1) * _DAY_US, "this answer")
    by_category = Neighbourhood.of(past, names)
    by_vector = replace(by_category, space=space)
    one_and_total = [np.array([row, len(series) - 1]) for row in rows]
    for row, both in zip(rows, one_and_total, strict=True):
        asked, only = past.select(both), np.array([0])
        nothing = Outlook(np.zeros((2, HORIZON)), np.zeros((2, HORIZON, len(quality.LEVELS))))
        trees = model.forecast(asked, HORIZON)
        answers = {
            "category mean": _category_mean(past, names, series.ids[row]),
            "lightgbm": trees,
            "neighbours: category": _alone(by_category, asked, nothing),
            "neighbours: als, else category": _alone(by_vector, asked, nothing),
            "lightgbm + neighbours": by_vector.outlook(asked, only, HORIZON, trees)[0],
        }
        for way, said in answers.items():
            found[way].add(actual[row], said)


def _alone(near: Neighbourhood, asked: SeriesSet, nothing: Outlook) -> Outlook:
    """What the neighbours say, without the model's share."""
    mean, quantiles, _ = near.alone(asked, 0, HORIZON)
    return Outlook(np.vstack([mean, nothing.mean[1]]), np.stack([quantiles, nothing.quantiles[1]]))


def _category_mean(past: SeriesSet, names: dict[str, str], item: str) -> Outlook:
    shelf = names.get(item) or category_of(item)
    old = (past.days - past.start >= 90) & ~past.aggregate
    alike = old & np.array([names.get(one) == shelf for one in past.ids])
    days = past.observed()[alike if alike.any() else old][:, -90:].astype(np.float64)
    mean, quantiles = float(np.nanmean(days)), np.nanquantile(days, quality.LEVELS)
    closed = past.future_closed(HORIZON)
    flat = np.where(closed, 0.0, mean)[None, :]
    return Outlook(flat, np.where(closed[:, None], 0.0, quantiles[None, :])[None])


def _table(known: int, products: int, found: dict[str, Found]) -> dict[str, Any]:
    base = found[_WAYS[0]]
    sold = float(np.sum(base.sold))
    rows = []
    for way in _WAYS:
        one = found[way]
        gain = (np.array(one.loss) - np.array(base.loss)) * len(base.sold) / sold
        rows.append(
            [
                way,
                float(np.sum(one.missed)) / sold,
                float(np.sum(one.loss)) / sold,
                float(np.sum(one.loss)) / float(np.sum(base.loss)),
                "" if way == _WAYS[0] else interval(gain),
                float(np.nanmean(one.inside)),
            ]
        )
        print(known, rows[-1], flush=True)
    title = f"{known} days known, {products} products"
    return {
        "title": title,
        "columns": ["answer", "WAPE of the sum", "pinball", "ratio", "pinball - category mean's", "coverage 80 %"],
        "rows": rows,
    }


if __name__ == "__main__":
    main()
