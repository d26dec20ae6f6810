"""Rows of named values as numbers: which columns, in which order, what stands for a text and for what is missing.

A `Schema` is fitted on the training rows only (`fitting.py`), saved with the version, and used wherever rows become
numbers: training, measuring, serving. Shapes: n rows, f features, float32 throughout.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, isnan
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.telemetry import metrics

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)
FILE = "schema.json"
_LARGEST = float(np.finfo(np.float32).max)


class Column(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One feature.

    `default` is taken when the value is missing; null: it stays missing (NaN), for models that know what to do.
    `categories` maps a text to its code (0 ...); `other` is the code of every text that is not in it, `missing` that of
    no text. `mean` and `scale` standardise: (value - mean) / scale.
    """

    name: str
    default: float | None = 0.0
    categories: dict[str, int] | None = None
    other: int = 0
    missing: int = 0
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Schema:
    """The columns in their order. Safe to share between threads."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) != len(names):
            raise Invalid(f"features must be named, each once, not {names[:20]}", code="bad_schema")

    @classmethod
    def of_numbers(cls, names: Iterable[str], defaults: Iterable[float] | None = None) -> Schema:
        """Numeric columns; `defaults` are 0.0 when not given, NaN stands for one that stays missing."""
        named = list(names)
        given = [0.0] * len(named) if defaults is None else [float(value) for value in defaults]
        pairs = zip(named, given, strict=True)
        return cls(tuple(Column(name=name, default=None if isnan(value) else value) for name, value in pairs))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def defaults(self) -> NDArray[np.float32]:
        """(f,) what stands for a missing value: NaN where it stays missing, the code where there are categories."""
        return np.array([_default(column) for column in self.columns], dtype=np.float32)

    @cached_property
    def categorical(self) -> tuple[int, ...]:
        """Places of the columns with categories."""
        return tuple(at for at, column in enumerate(self.columns) if column.categories is not None)

    @property
    def standardised(self) -> bool:
        return self._scaling is not None

    # -- from rows to numbers

    def encode(self, rows: Sequence[Mapping[str, Any]], *, told: bool = True) -> NDArray[np.float32]:
        """(n, f), not standardised. Unknown names are ignored; a bool is a number; missing or null takes the default,
        is counted, and warned about once a feature, unless `told` is false (golden rows are nobody's request). Raises
        Invalid (`not_a_number`, `not_a_category`) with row and field.
        """
        if not rows:
            return np.empty((0, len(self.columns)), dtype=np.float32)
        fast = self._encode_whole(rows)
        return self._encode_each(rows, told) if fast is None else fast

    def encode_frame(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """(n, f) of a table, by the same rules, except that what is not a finite number counts as missing."""
        result = np.empty((frame.height, len(self.columns)), dtype=np.float32)
        for at, column in enumerate(self.columns):
            if column.name not in frame.columns:
                result[:, at] = self.defaults[at]
            elif column.categories is None:
                values = numbers(frame[column.name])
                result[:, at] = np.where(np.isfinite(values), values, self.defaults[at])
            else:
                codes = texts(frame[column.name]).replace_strict(
                    {**column.categories, None: column.missing}, default=column.other
                )
                result[:, at] = codes.cast(_float32()).to_numpy()
        return result

    def standardise(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) as the model learned it; the same array when nothing is to be done."""
        scaling = self._scaling
        return values if scaling is None else (values - scaling[0]) / scaling[1]

    def with_scaling(self, values: NDArray[np.float32]) -> Schema:
        """Mean and standard deviation of `values` (n, f), the training rows; codes are left as they are.

        Missing values do not count; a column without two different values only has its mean removed.
        """
        columns = []
        for at, column in enumerate(self.columns):
            known = values[:, at].astype(np.float64)
            known = known[np.isfinite(known)]
            if column.categories is None and len(known):
                spread = float(known.std())
                column = msgspec.structs.replace(column, mean=float(known.mean()), scale=spread if spread > 0 else 1.0)
            columns.append(column)
        return Schema(tuple(columns))

    # -- on disk

    def save(self, folder: Path) -> None:
        (folder / FILE).write_bytes(msgspec.json.encode(self.columns))

    @classmethod
    def load(cls, folder: Path) -> Schema:
        """Raises Invalid (`bad_artifact`)."""
        try:
            return cls(msgspec.json.decode((folder / FILE).read_bytes(), type=tuple[Column, ...]))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{FILE} cannot be read: {error}", code="bad_artifact") from error

    # -- how a request's rows are read: whole rows at C speed, and value by value where something is missing or wrong

    def _encode_whole(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float32] | None:
        """(n, f) when every row has every value as it should be, else None. A few microseconds a row."""
        pick, pack, total, packed = self._pick, self._pack, 0.0, []
        try:
            for row in rows:
                values = pick(row)
                for at, codes, other in self._codes:
                    values[at] = codes.get(values[at], other)
                total += sum(values)
                packed.append(pack(*values))
        except (KeyError, TypeError, OverflowError, struct.error):
            return None
        if not isfinite(total):  # a NaN, an infinity, or numbers so large that each has to be looked at
            return None
        return np.frombuffer(bytearray(b"".join(packed)), dtype=np.float32).reshape(len(rows), len(self.columns))

    def _encode_each(self, rows: Sequence[Mapping[str, Any]], told: bool = True) -> NDArray[np.float32]:
        result = np.empty((len(rows), len(self.columns)), dtype=np.float32)
        codes = {at: (known, other) for at, known, other in self._codes}
        for at, name in enumerate(self.names):
            missing, default, column = 0, self.defaults[at], codes.get(at)
            for number, row in enumerate(rows):
                value = row.get(name)
                if value is None:
                    missing += 1
                    result[number, at] = default
                elif column is not None:
                    result[number, at] = _code(value, *column, number, name)
                else:
                    result[number, at] = _number(value, number, name)
            if missing and told:
                self._missed(name, missing)
        return result

    def _missed(self, name: str, times: int) -> None:
        metrics.feature_missing_total.labels(name).inc(times)
        if name not in self._warned:
            self._warned.add(name)
            log.warning("feature %s is missing in rows to score; its default stands in (told once)", name)

    @cached_property
    def _warned(self) -> set[str]:
        return set()

    @cached_property
    def _pick(self) -> Any:
        """row -> its values as a list (where codes replace texts) or tuple. Raises KeyError."""
        if len(self.names) == 1:
            only = self.names[0]
            return lambda row: [row[only]]
        pick = itemgetter(*self.names)
        return (lambda row: list(pick(row))) if self.categorical else pick

    @cached_property
    def _pack(self) -> Any:
        return struct.Struct(f"={len(self.columns)}f").pack

    @cached_property
    def _codes(self) -> tuple[tuple[int, dict[Any, int], int], ...]:
        """(place, value -> code, code of the rest) of the columns with categories."""
        return tuple(
            (at, _lookup(column), column.other)
            for at, column in enumerate(self.columns)
            if column.categories is not None
        )

    @cached_property
    def _scaling(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        mean = np.array([column.mean for column in self.columns], dtype=np.float32)
        scale = np.array([column.scale for column in self.columns], dtype=np.float32)
        return None if not mean.any() and (scale == 1).all() else (mean, scale)


def numbers(column: pl.Series) -> NDArray[np.float32]:
    """(n,) with NaN for null and for what is no number; true is 1."""
    result: NDArray[np.float32] = column.cast(_float32(), strict=False).fill_null(float("nan")).to_numpy()
    return result


def texts(column: pl.Series) -> pl.Series:
    """The values as category names: whole numbers without a fraction, true as 1, an empty text as null."""
    import polars as pl

    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8).cast(pl.String)
    if column.dtype.is_float():
        whole = (column == column.floor()) & (column.abs() < _WHOLE)
        return column.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, column.cast(pl.String))
    plain = column.cast(pl.String)
    return plain.set(plain == "", None)


_WHOLE = 1e15


def _float32() -> Any:
    import polars as pl

    return pl.Float32


def _default(column: Column) -> float:
    if column.categories is not None:
        return float(column.missing)
    return float("nan") if column.default is None else column.default


_ABSENT = "no value"  # cannot be added up, so such a row is read value by value, where it is counted


def _lookup(column: Column) -> dict[Any, Any]:
    """Codes by the text and, where the text is a number, by that number: 3, 3.0 and "3" are one category. Where several
    texts are one number, such as 1 and 01, it is the one that a number is written as."""
    known: dict[Any, Any] = {"": column.missing, None: _ABSENT}
    written = []
    for text, code in (column.categories or {}).items():
        known[text] = code
        if (number := _written(text)) is not None:
            written.append((str(number) != text, number, code))
    for _, number, code in sorted(written):
        known.setdefault(number, code)
    return known


def _written(text: str) -> int | float | None:
    """The number that a text is. Whole ones exactly: ids need more digits than a float has."""
    if "_" in text:  # 1_0 is a number to Python alone
        return None
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        number = float(text)
        return number if isfinite(number) else None
    return None


def _code(value: Any, known: dict[Any, int], other: int, row: int, name: str) -> int:
    if isinstance(value, str | bool | int | float):
        return known.get(value, other)
    raise Invalid(
        f"row {row}: {name} is {str(value)[:60]!r}, expected a text or a number",
        code="not_a_category",
        field=f"data[{row}].{name}",
    )


def _number(value: Any, row: int, name: str) -> float:
    if isinstance(value, bool | int | float | np.floating | np.integer):
        with suppress(OverflowError):  # an integer of hundreds of digits
            number = float(value)
            if abs(number) <= _LARGEST:
                return number
    raise Invalid(
        f"row {row}: {name} is {str(value)[:60]!r}, expected a finite number",
        code="not_a_number",
        field=f"data[{row}].{name}",
    )
