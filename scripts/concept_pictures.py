"""Draws docs/pictures: what docs/forecasting-concepts.md shows, from the bundled shop, by the console's own charts.

    python scripts/concept_pictures.py [NAME ...]

Needs the extra console and a chromium. Models learn on the days before `CUTOFF`; a test compares the names
with the chapter, and the pictures that need no training with the data.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from shopkeeper import plugins
from shopkeeper.console import charts
from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import QUANTILES, Forecast, ForecastPoint, HistoryPoint
from shopkeeper.forecast.answering.explaining import explain
from shopkeeper.forecast.series import SeriesSet, from_rows
from shopkeeper.sources.retail import RetailShop

if TYPE_CHECKING:
    import plotly.graph_objects as go

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CUTOFF = date(2011, 11, 11)
"""The first day that is forecast; the bundled sales end four weeks later."""
HORIZON, BACK, SHOWN = 28, 120, 90
PRODUCT = "22423"  # Regency Cakestand 3 Tier
PRODUCTS, WEEKS = 400, 26
REACH, PIECES = 1.5, 3
MOST_BYTES = 60_000
_WIDTH, _HEIGHT = 760, 320


def moving_average() -> go.Figure:
    """What the shop sold a day, and the mean of the last 28 days of it."""
    y = past().y[-1].astype(np.float64)
    mean = np.convolve(y, np.ones(28) / 28)[: len(y)]
    lines = {"sold a day": y[-BACK:].tolist(), "mean of the last 28 days": mean[-BACK:].round(1).tolist()}
    return charts.lines_chart(_days()[-BACK:], lines, "pieces")


def exponential_smoothing() -> go.Figure:
    """The whole shop by autoets, and what came."""
    return charts.forecast_chart(answered("autoets", -1), came(-1))


def trees() -> go.Figure:
    """Why the trees expect what they expect of one product."""
    found = explain(model("lightgbm"), past(), past().ids.index(PRODUCT), HORIZON)
    return charts.parts_chart(found, {}, ("usual", "expected"))


def lstm() -> go.Figure:
    """Two notes about what the shop sold, one that forgets quickly and one that keeps."""
    y = past().y[-1].astype(np.float64)
    lines = {"sold a day": y[-BACK:].tolist()}
    for keep in (0.5, 0.95):
        note = np.empty(len(y))
        note[0] = y[0]
        for day in range(1, len(y)):
            note[day] = keep * note[day - 1] + (1 - keep) * y[day]
        lines[f"note that keeps {keep:.0%}"] = note[-BACK:].round(1).tolist()
    return charts.lines_chart(_days()[-BACK:], lines, "pieces")


def transformer() -> go.Figure:
    """What the shop's last week, asking, takes from each week before it: the softmax of their likeness."""
    y = np.log1p(past().y[-1].astype(np.float64))
    weeks = y[-7 * (WEEKS + 1) :].reshape(-1, 7)
    weeks = (weeks - weeks.mean()) / weeks.std()
    likeness = weeks[:-1] @ weeks[-1] / np.sqrt(7)
    shares = np.exp(likeness - likeness.max())
    shares /= shares.sum()
    begins = _days()[-7 * (WEEKS + 1) : -7 : 7]
    lines = {"if all weeks were alike": [round(1 / WEEKS, 4)] * WEEKS, "taken from this week": shares.round(4).tolist()}
    return charts.lines_chart(begins, lines, "share")


def kan() -> go.Figure:
    """How the next week hangs on the last one, both against the four before: a spline, and the bumps it is made of."""
    from scipy.interpolate import BSpline

    y = np.cumsum(np.pad(past().y[:-1].astype(np.float64), ((0, 0), (1, 0))), axis=1)
    at = np.arange(42, past().days - 6, 7)
    usual, last, later = (
        (y[:, at + to] - y[:, at + since]) / (to - since) for since, to in ((-35, -7), (-7, 0), (0, 7))
    )
    known = usual > 1
    x = np.clip(np.log((last[known] + 1) / (usual[known] + 1)), -REACH, REACH)
    step = 2 * REACH / PIECES
    knots = -REACH + step * np.arange(-3, PIECES + 4)
    bumps = BSpline.design_matrix(x, knots, 3).toarray()
    weights = np.linalg.lstsq(bumps, np.log((later[known] + 1) / (usual[known] + 1)), rcond=None)[0]
    grid = np.linspace(-REACH, REACH, 61)
    parts = BSpline.design_matrix(grid, knots, 3).toarray() * weights
    lines = {"the curve": parts.sum(axis=1).round(3).tolist()}
    lines |= {f"bump {place + 1}": parts[:, place].round(3).tolist() for place in range(len(weights))}
    return charts.lines_chart(grid.round(3).tolist(), lines, "next week", x_title="last week", zero=False)


PICTURES: dict[str, Callable[[], go.Figure]] = {
    "moving-average": moving_average,
    "exponential-smoothing": exponential_smoothing,
    "trees": trees,
    "lstm": lstm,
    "transformer": transformer,
    "kan": kan,
}


@cache
def sales() -> SeriesSet:
    """Daily pieces ordered of the products that sell most, and the total of all as the last row."""
    data = RetailShop().load(0)
    orders = pl.concat([data.kept, data.withheld]).filter(pl.col("event_type") == "order")
    local = pl.from_epoch("time", time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/London")
    daily = (
        orders.with_columns(local.dt.date().cast(pl.Int32).alias("day"))
        .group_by("item_id", "day")
        .agg(pl.col("quantity").sum(), (pl.col("unit_price") * pl.col("quantity")).sum().alias("money"))
        .sort("item_id", "day")
    )
    price = (daily["money"] / daily["quantity"]).to_numpy()
    series = from_rows(daily["item_id"].to_list(), daily["day"].to_numpy(), daily["quantity"].to_numpy(), price)
    busiest = np.argsort(-series.y[:-1].sum(axis=1), kind="stable")[:PRODUCTS]
    return series.select(np.append(np.sort(busiest), len(series) - 1))


@cache
def past() -> SeriesSet:
    return sales().until(day_number(CUTOFF) - sales().first_day)


@cache
def model(name: str) -> Any:
    trainer = plugins.algorithm(name)
    return trainer(trainer.Params(), 1).fit(past(), silent)


def answered(name: str, row: int) -> Forecast:
    """The last days before the cutoff and what a model expects after it."""
    said = model(name).forecast(past(), HORIZON)
    levels = [f"{level:g}" for level in QUANTILES]
    points = [
        ForecastPoint(
            ds=date_of(past().last_day + 1 + step).isoformat(),
            mean=round(float(said.mean[row, step]), 2),
            quantiles=dict(zip(levels, said.quantiles[row, step].round(2).tolist(), strict=True)),
        )
        for step in range(HORIZON)
    ]
    history = sold(row, past().days - SHOWN, past().days)
    return Forecast(item_id=None, model=name, version=1, history=history, forecast=points, beats_naive=True)


def came(row: int) -> list[HistoryPoint]:
    """What was sold on the days that are forecast."""
    return sold(row, past().days, min(past().days + HORIZON, sales().days))


def sold(row: int, begin: int, end: int) -> list[HistoryPoint]:
    days = range(begin, end)
    return [HistoryPoint(ds=date_of(sales().first_day + day).isoformat(), y=float(sales().y[row, day])) for day in days]


def _days() -> list[str]:
    return [date_of(past().first_day + column).isoformat() for column in range(past().days)]


def digest(figure: go.Figure) -> str:
    """Of what a figure shows: names and points."""
    shown = [
        [trace.type, trace.name, [str(x) for x in trace.x], [y and round(float(y), 2) for y in trace.y]]
        for trace in figure.data
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def svg(page: Any, name: str, figure: go.Figure) -> str:
    """Drawn by Plotly in a browser's page; random names in it are made plain, so that it is the same every time."""
    figure.update_layout(width=_WIDTH, height=_HEIGHT, font={"size": 12}, margin={"l": 64, "r": 16, "t": 16, "b": 40})
    size = f"{{format: 'svg', width: {_WIDTH}, height: {_HEIGHT}}}"
    address: str = page.evaluate(f"figure => Plotly.toImage(JSON.parse(figure), {size})", figure.to_json())
    head, _, body = address.partition(",")
    drawn = base64.b64decode(body).decode() if head.endswith("base64") else _unescaped(body)
    for place, random in enumerate(dict.fromkeys(re.findall(r'id="(?:clip|defs|legend|topdefs-)([0-9a-f]{6})', drawn))):
        drawn = drawn.replace(random, f"p{place}")
    return re.sub(r"(<svg[^>]*>)", rf"\1<title>{name}</title><desc>{digest(figure)}</desc>", drawn, count=1)


def _unescaped(body: str) -> str:
    from urllib.parse import unquote

    return unquote(body)


def main(names: list[str]) -> None:
    import plotly
    from playwright.sync_api import sync_playwright

    logging.disable(logging.WARNING)  # Streamlit's about a session that is not there
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content("<html><body></body></html>")
        page.add_script_tag(path=library)
        for name in names or PICTURES:
            drawn = svg(page, name, PICTURES[name]())
            if len(drawn.encode()) >= MOST_BYTES:
                raise SystemExit(f"{name} is {len(drawn.encode()):,} bytes, at most {MOST_BYTES:,}")
            (FOLDER / f"{name}.svg").write_text(drawn + "\n", encoding="utf-8")
            print(name, len(drawn.encode()), flush=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
