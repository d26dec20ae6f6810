"""From what people write in files to values: numbers, moments, yes and no, ids. A column at a time.

Every function takes a column of text or of typed values (n,) and returns (n,); what cannot be read is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "null", "NULL", "None", "\\N")
_CURRENCY = r"[£€$¥￥元]|\b(?:GBP|EUR|USD|CNY|RMB)\b"
_SPACES = "[\\s\u00a0\u202f']"
_THOUSANDS = r"^[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
_MOMENT = (
    r"^(\d{1,4})[-/.年](\d{1,2})[-/.月](\d{1,4})日?"
    r"(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?)?"
    r"\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_NAMED_MONTH = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y")
_YES = ("true", "t", "yes", "y", "1", "1.0", "on", "active", "是", "有效", "上架")
_NO = ("false", "f", "no", "n", "0", "0.0", "off", "inactive", "否", "无效", "下架")


def text(values: pl.Series) -> pl.Series:
    """Trimmed text; the marks of MISSING become null. Whole floats lose their `.0`."""
    import polars as pl

    if values.dtype.is_float():
        values = values.fill_nan(None)
        whole = values.drop_nulls()
        if len(whole) and bool((whole.is_finite() & (whole == whole.floor())).all()):
            values = values.cast(pl.Int64)
    if values.dtype != pl.String:
        values = values.cast(pl.String)
    trimmed = values.str.strip_chars()
    return trimmed.set(trimmed.is_in(MISSING), None)


def integer_text(values: pl.Series) -> pl.Series:
    """Text whose every value ends with `.0` (ids that went through a float column) without that ending."""
    present = values.drop_nulls()
    if len(present) and bool(present.str.contains(r"^\d+\.0$").all()):
        return values.str.strip_suffix(".0")
    return values


def number(values: pl.Series, *, decimal: str = ".") -> pl.Series:
    """float64. Currency signs and spaces are left out, `(3.50)` is -3.5; NaN and infinities stay for the caller."""
    import polars as pl

    if values.dtype.is_numeric():
        return values.cast(pl.Float64)
    plain = text(values)
    read = plain.cast(pl.Float64, strict=False)
    if decimal == "." and read.null_count() == plain.null_count():
        return read
    tidy = plain.str.replace_all(_CURRENCY, "").str.replace_all(_SPACES, "")
    tidy = tidy.str.replace(r"^\((.+)\)$", "-$1").str.replace("^[−–]", "-").str.replace("^[+]", "")
    if decimal == ",":
        tidy = tidy.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    else:
        tidy = tidy.zip_with(~tidy.str.contains(_THOUSANDS), tidy.str.replace_all(",", "", literal=True))
    return tidy.cast(pl.Float64, strict=False)


def decimal_mark(sample: pl.Series) -> str:
    """ "," when numbers are written like `3,5` or `1.234,50`; "." otherwise. `1,234` alone is one thousand and more."""
    import polars as pl

    if sample.dtype != pl.String:
        return "."
    tidy = sample.str.replace_all(_CURRENCY, "").str.replace_all(_SPACES, "")
    comma = tidy.str.contains(r"^[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),(?:\d{1,2}|\d{4,})$").sum()
    dot = tidy.str.contains(r"^[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)\.(?:\d{1,2}|\d{4,})$").sum()
    return "," if comma > dot else "."


def date_order(sample: pl.Series) -> tuple[str, bool]:
    """`day_first` or `month_first`, and whether the sample proves it (a number above 12 in one place).

    An empty order: no date of the sample has one to ask about, such as `2024-01-05`.
    """
    import polars as pl

    if sample.dtype != pl.String:
        return "", True
    parts = sample.str.strip_chars().str.extract_groups(r"^(\d{1,2})[-/.](\d{1,2})[-/.]\d{2,4}").struct.unnest()
    first, second = (parts.to_series(at).cast(pl.Int64) for at in (0, 1))
    if not len(first.drop_nulls()):
        return "", True
    days, months = int((first > 12).sum()), int((second > 12).sum())
    if days or months:
        return ("day_first" if days >= months else "month_first"), not (days and months)
    return "day_first", bool(sample.str.contains(r"^\d{1,2}\.\d{1,2}\.").any())


def moment(values: pl.Series, *, zone: str, order: str = "day_first") -> pl.Series:
    """int64 microseconds UTC. What names no zone is local time in `zone`; a bare date is its local midnight.

    Read are ISO 8601, day-month-year or month-day-year by `order`, `2024年1月5日`, `20240105`, `5 Jan 2024`, and
    seconds, milli- or microseconds since 1970. A local time that the clocks skip is null.
    """
    import polars as pl

    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        stamps = values.dt.cast_time_unit("us")
        return stamps.dt.epoch("us") if values.dtype.time_zone else _to_utc(stamps, zone)
    if values.dtype.is_numeric():
        return _since_1970(values.cast(pl.Float64))
    plain = text(values).alias("text")
    distinct = plain.unique()  # the lines of one order share their moment: each is read once
    read = _written(distinct, zone, order)
    rest = read.is_null() & distinct.is_not_null()
    if rest.any():
        read = read.zip_with(~rest, _unusual(distinct, zone))
    known = pl.DataFrame({"text": distinct, "us": read})
    return plain.to_frame().join(known, on="text", how="left", maintain_order="left")["us"].alias(values.name)


def flag(values: pl.Series) -> pl.Series:
    """bool: true, yes, 1, 是 ... and false, no, 0, 否 ..."""
    import polars as pl

    if values.dtype == pl.Boolean:
        return values
    words = text(values).str.to_lowercase()
    return words.is_in(_YES).set(~(words.is_in(_YES) | words.is_in(_NO)), None)


def _written(plain: pl.Series, zone: str, order: str) -> pl.Series:
    import polars as pl

    parts = plain.str.extract_groups(_MOMENT).struct.unnest()
    parts.columns = ["a", "b", "c", "hour", "minute", "second", "fraction", "half", "offset"]
    iso = pl.col("a").str.len_chars() == 4
    day_first = order != "month_first"
    year = pl.when(iso).then("a").when(pl.col("c").str.len_chars() == 2).then(pl.lit("20") + pl.col("c")).otherwise("c")
    month = pl.when(iso).then("b").otherwise("b" if day_first else "a")
    day = pl.when(iso).then("c").otherwise("a" if day_first else "b")
    hour = pl.col("hour").fill_null("0").cast(pl.Int64)
    half = pl.col("half").str.to_lowercase()
    hour = (
        pl.when((half == "pm") & (hour < 12))
        .then(hour + 12)
        .when((half == "am") & (hour == 12))
        .then(0)
        .otherwise(hour)
    )
    stamp = pl.concat_str(
        year, pl.lit("-"), month.str.zfill(2), pl.lit("-"), day.str.zfill(2), pl.lit(" "),
        hour.cast(pl.String).str.zfill(2), pl.lit(":"), pl.col("minute").fill_null("00"),
        pl.lit(":"), pl.col("second").fill_null("00"), pl.lit("."),
        pl.col("fraction").fill_null("0").str.pad_end(6, "0").str.slice(0, 6),
    )  # fmt: skip
    frame = parts.select(stamp.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False), "offset")
    local, offset = frame.to_series(0), frame.to_series(1)
    utc = _to_utc(local, zone)
    if offset.null_count() == len(offset):
        return utc
    return utc.zip_with(offset.is_null(), local.dt.epoch("us") - _offset_us(offset))


def _offset_us(offset: pl.Series) -> pl.Series:
    """`+02:00` as microseconds; `Z` is 0."""
    import polars as pl

    digits = offset.str.replace("Z|UTC", "+0000").str.replace(":", "")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    sign = digits.str.starts_with("-").cast(pl.Int64) * -2 + 1
    return sign * minutes * 60_000_000


def _unusual(plain: pl.Series, zone: str) -> pl.Series:
    """`20240105`, a number since 1970, or a month by its name."""
    import polars as pl

    compact = plain.str.contains(r"^(?:19|20)\d{6}$")
    read = _to_utc(plain.str.to_datetime("%Y%m%d", time_unit="us", strict=False), zone)
    numbers = plain.set(~plain.str.contains(r"^\d{9,16}(?:\.\d+)?$"), None).cast(pl.Float64, strict=False)
    read = read.zip_with(compact, _since_1970(numbers))
    for form in _NAMED_MONTH:
        if not (read.is_null() & plain.is_not_null()).any():
            break
        day = plain.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        read = read.zip_with(read.is_not_null(), _to_utc(day, zone))
    return read


def _since_1970(numbers: pl.Series) -> pl.Series:
    """Seconds up to 1e11, milliseconds up to 1e14, else microseconds."""
    import polars as pl

    values = numbers.fill_nan(None).to_frame("n")
    size = pl.col("n").abs()
    unit = pl.when(size < 1e11).then(1e6).when(size < 1e14).then(1e3).otherwise(1.0)
    return values.select((pl.col("n") * unit).cast(pl.Int64, strict=False)).to_series()


def _to_utc(local: pl.Series, zone: str) -> pl.Series:
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.epoch("us")
