"""Columns as a learner needs them: what is written as a number is one, categories are text, times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.sources import values

if TYPE_CHECKING:
    import polars as pl

_WRITTEN_NUMBER = r"^[-+]?[\d.,]+$"
_CODE = r"^[-+]?0\d|^[-+]?\d{19,}$"  # 007 and numbers that no 64 bits hold are names
_ONLY_DIGITS = r"^[\d.]+$"
_YEAR = r"(?:19|20)\d\d"  # 1.2.24 may be a version
_SAMPLE = 200


def typed_columns(frame: pl.DataFrame, zone: str, *, all_text: bool) -> pl.DataFrame:
    """Every text column as what all of its values can be read as. Unless the format knows only text (`all_text`, as
    CSV does), what it calls text is no number; but a time it may be, for want of a type."""
    import polars as pl

    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns([typed(frame[name], zone, all_text=all_text) for name in texts])


def typed(column: pl.Series, zone: str, *, all_text: bool = True) -> pl.Series:
    """Boolean, Int64, Float64, Date, Datetime in UTC, or the trimmed text. One value that differs makes it text."""
    plain = values.text(column) if all_text else column
    present = plain.drop_nulls()
    if not len(present):
        return plain
    if not all_text:
        digits = bool(present.head(_SAMPLE).str.contains(_ONLY_DIGITS).any())
        return plain if digits else _moment(plain, present, zone)
    if bool(present.head(_SAMPLE).str.to_lowercase().is_in(["true", "false"]).all()):
        words = present.str.to_lowercase()
        if bool(words.is_in(["true", "false"]).all()):
            return plain.str.to_lowercase() == "true"
    number = _number(plain, present)
    if number is not None:
        return number
    return _moment(plain, present, zone)


def plain_columns(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The types of `Table`. Decimals become Float64, durations seconds, nested values JSON text, naive times UTC.

    Raises Invalid for binary columns, and for a name that stands twice.
    """
    return frame.with_columns([_plain(column, zone) for column in frame.get_columns()])


def _number(plain: pl.Series, present: pl.Series) -> pl.Series | None:
    import polars as pl

    head = present.head(_SAMPLE)
    if head.cast(pl.Float64, strict=False).null_count():
        if not bool(present.str.contains(_WRITTEN_NUMBER).all()):
            return None
        read = values.number(plain, decimal=values.decimal_mark(present))
        return read if read.null_count() == plain.null_count() else None
    if bool(present.str.contains(_CODE).any()):
        return None
    for dtype in (pl.Int64(), pl.Float64()):
        read = plain.cast(dtype, strict=False)
        if read.null_count() == plain.null_count():
            return read
    return None


def _moment(plain: pl.Series, present: pl.Series, zone: str) -> pl.Series:
    import polars as pl

    head = present.head(_SAMPLE)
    if not bool(head.str.contains(_YEAR).all()):
        return plain
    order, _ = values.date_order(present)
    if values.moment(head, zone=zone, order=order).null_count():
        return plain
    read = values.moment(plain, zone=zone, order=order)
    if read.null_count() != plain.null_count():
        return plain
    if bool(present.str.contains(r"^\d{4}-\d{1,2}-\d{1,2}$").all()):
        return plain.str.to_date("%Y-%m-%d")
    return read.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _plain(column: pl.Series, zone: str) -> pl.Series:
    import polars as pl

    dtype = column.dtype
    if dtype in (pl.String, pl.Boolean, pl.Date, pl.Int64):
        return column
    if dtype.is_integer():
        return column.cast(pl.Int64 if dtype != pl.UInt64 or _fits(column) else pl.Float64)
    if dtype.is_float():
        return column.cast(pl.Float64).fill_nan(None)
    if dtype == pl.Decimal:
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        stamps = column.dt.cast_time_unit("us")
        if dtype.time_zone is None:
            stamps = stamps.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        return stamps.dt.convert_time_zone("UTC")
    if dtype == pl.Duration:
        return column.dt.total_microseconds() / 1e6
    if dtype.is_nested():
        told = [None if value is None else msgspec.json.encode(value).decode() for value in column.to_list()]
        return pl.Series(column.name, told, dtype=pl.String)
    if dtype in (pl.Binary, pl.Object):
        raise Invalid(
            f"column {column.name!r} holds binary data; leave it out of what is read", code="bad_column", field="table"
        )
    return column.cast(pl.String)


def _fits(column: pl.Series) -> bool:
    return not bool((column >= 1 << 63).any())
