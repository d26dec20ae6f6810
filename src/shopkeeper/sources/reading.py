"""The fields of a slice as columns, and for each row the first thing that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from shopkeeper.core.clock import DAY, SECOND, rfc3339
from shopkeeper.sources import values
from shopkeeper.sources.kinds import KINDS
from shopkeeper.sources.mapping import Plan
from shopkeeper.sources.source import Broken, Slice

if TYPE_CHECKING:
    import polars as pl

FUTURE = 300 * SECOND
LIMIT = 1e12
_YEAR_2149 = (1 << 16) * DAY
_ID = r"^(?:[^/\p{C}\p{Z}]| )+$"


@dataclass(frozen=True)
class Setting:
    """What the shop adds to a file: its time zone, its present (us), and how ids of rows without one begin."""

    zone: str
    now: int
    id_prefix: str


class Reader:
    """The fields of a slice as columns (n,), and for each row the first thing that is wrong with it."""

    def __init__(self, plan: Plan, part: Slice, setting: Setting) -> None:
        import polars as pl

        self.plan, self.part, self.setting = plan, part, setting
        self.kind = KINDS[plan.kind]
        self.height = part.frame.height
        self.reasons = pl.Series("reason", [None] * self.height, dtype=pl.String)
        self.nothing = pl.repeat(False, self.height, eager=True)
        self.zone = plan.options.get("@timezone", setting.zone)

    def raw(self, name: str) -> pl.Series:
        import polars as pl

        column = self.plan.mapping.get(name)
        if column is None:
            return pl.Series(name, [None] * self.height, dtype=pl.String)
        if column.startswith("="):
            return pl.repeat(column[1:], self.height, dtype=pl.String, eager=True).alias(name)
        return self.part.frame[column].alias(name)

    def refuse(self, wrong: pl.Series, reason: str | pl.Series) -> None:
        """Gives the rows where `wrong` is true this reason, unless they have one."""
        import polars as pl

        if not wrong.any():
            return
        said = pl.repeat(reason, self.height, dtype=pl.String, eager=True) if isinstance(reason, str) else reason
        self.reasons = self.reasons.zip_with(self.reasons.is_not_null() | ~wrong.fill_null(False), said)

    def text(self, name: str, *, longest: int = 500) -> pl.Series:
        """Names and words: line breaks, tabs and odd spaces become one space."""
        plain = values.text(self.raw(name)).str.replace_all(r"[\p{C}\p{Z}]+", " ")
        self.refuse(plain.str.len_chars() > longest, f"{name} is longer than {longest} characters")
        return plain

    def id(self, name: str, *, required: bool = False) -> pl.Series:
        plain = values.text(self.raw(name))
        if self.plan.options.get("@integer_ids") == "yes":
            plain = plain.str.replace(r"^(\d+)\.0$", "$1")
        if required:
            self.refuse(plain.is_null(), f"{name} is missing")
        self.refuse(plain.str.len_chars() > 128, f"{name} is longer than 128 characters")
        self.refuse(~plain.str.contains(_ID), quoted(name, plain, "holds a slash or a control character"))
        return plain

    def number(self, name: str, *, required: bool = False, lowest: float = -LIMIT, highest: float = LIMIT) -> pl.Series:
        import polars as pl

        raw = self.raw(name)
        plain = raw if raw.dtype.is_numeric() else values.text(raw)
        read = values.number(raw, decimal=self.plan.options.get("@decimal", "."))
        if required:
            self.refuse(plain.is_null(), f"{name} is missing")
        self.refuse(read.is_null() & plain.is_not_null(), quoted(name, plain.cast(pl.String), "is not a number"))
        self.refuse(read.is_nan() | read.is_infinite(), quoted(name, plain.cast(pl.String), "is not finite"))
        self.refuse(read > highest, quoted(name, plain.cast(pl.String), f"is more than {highest:g}"))
        self.refuse(read < lowest, quoted(name, plain.cast(pl.String), f"is less than {lowest:g}"))
        return read

    def time(self, name: str, *, required: bool = False) -> pl.Series:
        import polars as pl

        raw = self.raw(name)
        read = values.moment(raw, zone=self.zone, order=self.plan.options.get("@dates", "day_first"))
        plain = values.text(raw.cast(pl.String))
        if required:
            self.refuse(plain.is_null(), f"{name} is missing")
        self.refuse(
            read.is_null() & plain.is_not_null(),
            quoted(name, plain, f"is not a date or time that exists in {self.zone}"),
        )
        self.refuse(read < 0, quoted(name, plain, "lies before 1970"))
        later = f"lies after the shop's present, {rfc3339(self.setting.now)[:19]}Z"
        self.refuse(read > self.setting.now + FUTURE, quoted(name, plain, later))
        return read

    def day(self, name: str, *, required: bool = False) -> pl.Series:
        """Local days since 1970, int32; they may lie in the future."""
        import polars as pl

        raw = self.raw(name)
        read = values.moment(raw, zone="UTC", order=self.plan.options.get("@dates", "day_first"))
        plain = values.text(raw.cast(pl.String))
        if required:
            self.refuse(plain.is_null(), f"{name} is missing")
        self.refuse(read.is_null() & plain.is_not_null(), quoted(name, plain, "is not a date"))
        self.refuse((read < 0) | (read >= _YEAR_2149), quoted(name, plain, "does not lie between 1970 and 2149"))
        return (read // DAY).cast(pl.Int32, strict=False)

    def flag(self, name: str) -> pl.Series:
        import polars as pl

        raw = self.raw(name)
        read = values.flag(raw)
        plain = raw.cast(pl.String)
        self.refuse(read.is_null() & values.text(plain).is_not_null(), quoted(name, plain, "is neither yes nor no"))
        return read

    def row_ids(self, given: pl.Series) -> pl.Series:
        """The mapped ids; for the rest the file's hash and the row number: a second import finds them again."""
        import polars as pl

        made = pl.select(pl.format("{}-{}", pl.lit(self.setting.id_prefix), pl.lit(self.part.rows))).to_series()
        return given.zip_with(given.is_not_null(), made)

    def rest(self) -> pl.Series:
        """The columns nobody mapped, as JSON text of one object a row; empty values are left out."""
        import polars as pl

        taken = set(self.plan.mapping.values())
        names = [name for name in self.part.frame.columns if name not in taken]
        columns = [_attribute_values(self.part.frame[name], name in self.plan.numeric) for name in names]
        rows = zip(*columns, strict=True) if columns else ((),) * self.height
        texts = [json_text({n: v for n, v in zip(names, row, strict=True) if v is not None}) for row in rows]
        return pl.Series("attributes", texts, dtype=pl.String)

    def rejects(self) -> list[Broken]:
        import polars as pl

        wrong = self.reasons.is_not_null()
        if not wrong.any():
            return []
        raw = self.part.frame.filter(wrong).select(pl.all().cast(pl.String)).rows()
        numbers, reasons = self.part.rows.filter(wrong), self.reasons.drop_nulls()
        return [Broken(n, why, cells) for n, why, cells in zip(numbers, reasons, raw, strict=True)]


def _attribute_values(column: pl.Series, numeric: bool) -> list[Any]:
    """Numbers as numbers where the column is numeric, true and false as such, text otherwise."""
    if column.dtype.is_numeric():
        return [None if value != value else value for value in column.to_list()]
    plain = values.text(column)
    words: list[Any] = [{"true": True, "false": False}.get(str(v).lower(), v) for v in plain.to_list()]
    if not numeric:
        return words
    return [
        _whole(word) if value is None else _whole(value)
        for word, value in zip(words, values.number(column), strict=True)
    ]


def _whole(value: Any) -> Any:
    """33.0 as 33; what is no whole number as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def quoted(name: str, plain: pl.Series, what: str) -> pl.Series:
    import polars as pl

    shown = plain.fill_null("").str.slice(0, 60)
    return pl.select(pl.format("{} '{}' {}", pl.lit(name), shown, pl.lit(what))).to_series()


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
