"""Which column of a file is what, in the names of Nixtla, AutoGluon and others; and its days, in one zone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.days import days_of
from shopkeeper.core.errors import Invalid
from shopkeeper.sources import values

if TYPE_CHECKING:
    import polars as pl

NAMES: dict[str, tuple[str, ...]] = {
    "unique_id": ("unique_id", "item_id", "product_id", "item", "sku", "product"),
    "ds": ("ds", "timestamp", "date", "datetime", "day"),
    "y": ("y", "target", "sales", "quantity", "units"),
    "price": ("price", "unit_price", "sell_price"),
    "promotion": ("promotion", "promo", "onpromo", "onpromotion", "on_promotion"),
    "discount": ("discount",),
    "holiday": ("holiday", "is_holiday", "isholiday"),
    "temperature": ("temperature", "temp"),
    "store": ("store_id", "store", "store_nbr"),
    "category": ("category", "family", "department"),
    "available": ("available", "in_stock"),
}
"""Field -> headers that are read as it, in any case; of several that a file has, the first."""
NEEDED = ("unique_id", "ds", "y")
_OFFSET = r"\d[T ]\d{1,2}:?\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"


def read_frame(path: Path) -> pl.DataFrame:
    """A CSV or Parquet file as it is. Raises Invalid naming the file."""
    import polars as pl

    if not path.is_file():
        raise Invalid(f"no file {path.name!r}: give the path of a csv or parquet file", code="no_file", field="path")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=10_000)
    except pl.exceptions.NoDataError:
        return pl.DataFrame()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Invalid(f"{path.name} cannot be read: {error}", code="bad_file", field="path") from error


def found_in(columns: list[str], file: str) -> dict[str, str]:
    """Field -> column. Raises Invalid when one that is needed is not there."""
    plain = {re.sub(r"[\s-]+", "_", column.strip().lower()): column for column in reversed(columns)}
    found = {
        field: plain[header]
        for field, headers in NAMES.items()
        for header in [next((one for one in headers if one in plain), None)]
        if header is not None
    }
    missing = [field for field in NEEDED if field not in found]
    if missing:
        raise Invalid(
            f"{file} has no usable unique_id, ds, y columns: {', '.join(missing)} missing; it has"
            f" {', '.join(columns)[:300]}",
            code="bad_file",
            field=missing[0],
        )
    return found


def days_in(column: pl.Series, zone: str, file: str) -> NDArray[np.int32]:
    """(n,) local days since 1970. Moments with an offset are turned to `zone`; dates and local times are taken as they
    stand. Raises Invalid for what is no date, and for a mixture of both with the row where it begins.
    """
    import polars as pl

    plain = column
    if column.dtype == pl.String:
        plain = values.text(column)
        zoned = plain.str.contains(_OFFSET).fill_null(False)
        some = zoned.sum()
        if 0 < some < len(zoned):
            row = int((zoned != zoned[0]).arg_max() or 0) + 1
            raise Invalid(
                f"{file}: ds is {str(plain[row - 1])[:40]!r} in row {row} and {str(plain[0])[:40]!r} in row 1: times"
                " with and without a zone are mixed",
                code="mixed_zones",
                field="ds",
            )
        in_zone = bool(some)
    else:
        in_zone = isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None
    read = values.moment(plain, zone="UTC", order=values.date_order(plain)[0] or "day_first")
    if read.null_count():
        row = int(read.is_null().arg_max() or 0)
        raise Invalid(
            f"{file} has no usable unique_id, ds, y columns: ds is {str(column[row])[:40]!r} in row {row + 1}, no date",
            code="bad_file",
            field="ds",
        )
    us = read.to_numpy()
    return days_of(us, ZoneInfo(zone)) if in_zone else (us // DAY).astype(np.int32)


def numbers_in(column: pl.Series, name: str, file: str) -> NDArray[np.float64]:
    """(n,) NaN where nothing stands; flags as 0 and 1. Raises Invalid with the first row that is no number."""
    import polars as pl

    if column.dtype == pl.Boolean:
        column = column.cast(pl.Float64)
    read = column.cast(pl.Float64) if column.dtype.is_numeric() else values.number(column)
    if column.dtype == pl.String:
        flags = values.flag(column).cast(pl.Float64)
        read = read.zip_with(read.is_not_null(), flags)
        wrong = read.is_null() & values.text(column).is_not_null()
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise Invalid(
                f"{file}: {name} is {str(column[row])[:40]!r} in row {row + 1}, no number", code="bad_value", field=name
            )
    numbers: NDArray[np.float64] = read.fill_null(float("nan")).to_numpy()
    if np.isinf(numbers).any():
        row = int(np.isinf(numbers).argmax())
        raise Invalid(f"{file}: {name} is not finite in row {row + 1}", code="bad_value", field=name)
    return numbers
