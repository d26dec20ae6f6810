"""Where series come from inside a job: the shop's own log, or a file of `unique_id, ds, y[, price]`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.panel import SalesPanel
from shopkeeper.forecast.series import SeriesSet, from_rows

_SLICE = 200_000
_NAMES = {"item_id": "unique_id", "timestamp": "ds", "target": "y", "date": "ds"}


def read_series(source: Mapping[str, Any], sql_url: str, now: int, zone: str, report: Report) -> SeriesSet:
    """Products and total up to the last complete day. Raises Invalid without any, or for another kind."""
    kind = source.get("kind", "shop")
    if kind == "shop":
        return from_log(sql_url, now, zone, report)
    if kind in ("csv", "parquet", "file"):
        return from_file(Path(str(source.get("path", ""))))
    raise Invalid(f"forecasts learn from source 'shop', 'csv' or 'parquet', not {kind!r}", code="bad_source")


def from_log(sql_url: str, now: int, zone: str, report: Report) -> SeriesSet:
    """Reads the whole log through the same panel that serves."""
    from shopkeeper.stores.events import EventLog
    from shopkeeper.stores.sql import open_database
    from shopkeeper.stores.vocabulary import Vocabularies

    db = open_database(sql_url, read_only=True)
    try:
        known = Vocabularies.load(db)
        log = EventLog(db, known, StoppedClock(now))
        panel = SalesPanel(ZoneInfo(zone), known.items, known.event_types)
        after, last = 0, max(log.last_seq, 1)
        while len(batch := log.read(after, _SLICE)):
            panel.apply(batch)
            after = int(batch.seq[-1])
            report(min(after, last), last, message="reading sales")
    finally:
        db.close()
    if not len(panel):
        raise Invalid("the shop has no sales yet: import orders first", code="no_data")
    return panel.dense(panel.last_complete_day(now))


def from_file(path: Path) -> SeriesSet:
    """Nixtla's names (`unique_id, ds, y`) or AutoGluon's (`item_id, timestamp, target`); `price` if there is one."""
    import polars as pl

    if not path.is_file():
        raise Invalid(f"no file {path.name!r}: give the path of a csv or parquet file", code="no_file", field="path")
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
        frame = frame.rename({old: new for old, new in _NAMES.items() if old in frame.columns})
        rows = frame.select(
            pl.col("unique_id").cast(pl.String),
            pl.col("ds").cast(pl.Date).cast(pl.Int32),
            pl.col("y").cast(pl.Float64),
            (pl.col("price") if "price" in frame.columns else pl.lit(None)).cast(pl.Float64).alias("price"),
        ).drop_nulls(["unique_id", "ds", "y"])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Invalid(f"{path.name} has no usable unique_id, ds, y columns: {error}", code="bad_file") from error
    price = rows["price"].fill_null(float("nan")).to_numpy()
    return from_rows(rows["unique_id"].to_list(), rows["ds"].to_numpy(), rows["y"].to_numpy(), price)


def fingerprint(series: SeriesSet) -> str:
    """SHA-256 of ids, first day and values."""
    digest = hashlib.sha256("\n".join(series.ids).encode())
    digest.update(np.int64(series.first_day).tobytes())
    digest.update(np.ascontiguousarray(series.y).tobytes())
    return digest.hexdigest()
