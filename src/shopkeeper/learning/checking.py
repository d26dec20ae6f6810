"""Looks at a table before a model learns from it: types, ranges, gaps, copies, balance, and signs of a leak.

A finding is `ok`, `warn` (training goes on, a person should look) or `stop` (what would be learned is not what was
meant). Nothing is changed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.fitting import is_text
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.quality.classification import auc

if TYPE_CHECKING:
    import polars as pl

Severity: TypeAlias = Literal["ok", "warn", "stop"]
_MISSING_SHARE, _COPIES_SHARE, _RARE_SHARE, _LEAK_AUC = 0.5, 0.2, 0.01, 0.99
_ID_SHARE, _NUMBERS_SHARE = 0.9, 0.9
_FEW = 20
_SAMPLE = 50_000
_ENOUGH = 100
_PER_TEXT = 50  # rows for each text on average: with fewer, its mean label says little
_PER_RARE = 20  # texts for each of the rarer labels: k of them reach by chance an AUC of 1 - 1 / 2k


class Finding(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`column` is null for what concerns the whole table."""

    severity: Severity
    message: str
    column: str | None = None


def check_table(
    frame: pl.DataFrame, label: NDArray[np.float32], label_name: str, names: Sequence[str], categorical: Collection[str]
) -> list[Finding]:
    """Findings about the rows (n) and each of the features `names`; `label` (n,) is 0 or 1.

    `categorical` names columns that a person declared to hold categories; texts hold them anyway.
    """
    found = [*_rows(frame), *_balance(label, label_name)]
    step = max(1, len(label) // _SAMPLE)
    seen: dict[str, str] = {}
    for name in names:
        column = frame[name]
        found += _column(column, name in categorical)
        found += _leak(column[::step], label[::step], label_name, name in categorical)
        print_of = column_fingerprint(column)
        if print_of in seen:
            found.append(_warn(f"{name} holds the same values as {seen[print_of]}; one of them is enough", name))
        seen.setdefault(print_of, name)
    return found


def looks_like_an_id(column: pl.Series) -> bool:
    """A text that is another one in nearly every row: it names the row and tells nothing about the next one."""
    if not is_text(column) or len(column) < _ENOUGH or column.n_unique() <= _ID_SHARE * len(column):
        return False
    return _number_share(column.drop_nulls()) < _NUMBERS_SHARE


def summary(frame: pl.DataFrame, names: Sequence[str], most: int = 200) -> dict[str, dict[str, Any]]:
    """Of each column (at most `most`): type, share of missing, and the range or the number of different texts."""
    told: dict[str, dict[str, Any]] = {}
    for name in names[:most]:
        column = frame[name]
        facts: dict[str, Any] = {"type": str(column.dtype), "missing": round(column.null_count() / len(column), 4)}
        if is_text(column):
            facts["distinct"] = column.n_unique()
        else:
            values = numbers(column)
            known = values[np.isfinite(values)]
            if len(known):
                facts |= {"min": float(known.min()), "max": float(known.max()), "mean": float(known.mean(dtype=float))}
        told[name] = facts
    return told


def fingerprint(frame: pl.DataFrame) -> str:
    """SHA-256 over names and values, in order: the same rows give the same, whatever file or table they came from."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{len(name.encode())}:{name}={column_fingerprint(frame[name])};".encode())
    return digest.hexdigest()


def column_fingerprint(column: pl.Series) -> str:
    """SHA-256 over the values alone. Numbers count as float64, everything else as text."""
    import polars as pl

    digest = hashlib.sha256(b"%d" % len(column))
    digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        digest.update(column.cast(pl.Float64).fill_null(0.0).to_numpy().tobytes())
    else:
        plain = column.cast(pl.String).fill_null("")
        digest.update(plain.str.len_bytes().cast(pl.UInt32).to_numpy().tobytes())
        digest.update(plain.str.join("")[0].encode())
    return digest.hexdigest()


def _rows(frame: pl.DataFrame) -> Iterator[Finding]:
    yield Finding(severity="ok", message=f"{frame.height:,} rows, {frame.estimated_size('mb'):.1f} MB in memory")
    share = int(frame.is_duplicated().sum()) / frame.height
    if share > _COPIES_SHARE:
        yield _warn(f"{share:.0%} of the rows are copies of another; held-out rows may be among those learned from")


def _balance(label: NDArray[np.float32], name: str) -> Iterator[Finding]:
    ones, share = int(label.sum()), float(label.mean(dtype=np.float64))
    fewest = min(ones, len(label) - ones)
    text = f"{share:.2%} of the labels are 1 ({ones:,} of {len(label):,})"
    if fewest < _FEW:
        yield _warn(f"{text}: too few of one kind to learn or to measure well", name)
    elif min(share, 1 - share) < _RARE_SHARE:
        yield _warn(f"{text}: very uneven", name)
    else:
        yield Finding(severity="ok", message=text, column=name)


def _column(column: pl.Series, category: bool) -> Iterator[Finding]:
    import polars as pl

    name, n = column.name, len(column)
    missing = column.null_count() / n
    if missing > _MISSING_SHARE:
        yield _warn(f"{name} is missing in {missing:.0%} of the rows", name)
    if column.drop_nulls().n_unique() <= 1:
        yield _warn(f"{name} is the same in every row that has it: it tells nothing", name)
    elif not is_text(column) and not category:
        values = numbers(column)
        odd = int(np.isinf(values).sum() + column.is_nan().sum()) if column.dtype.is_float() else 0
        if odd:
            yield _warn(f"{name} is infinite, not a number, or too large in {odd:,} rows: they count as missing", name)
        if n >= _ENOUGH and column.dtype.is_integer() and _counts_rows(column):
            yield _warn(f"{name} is another whole number in every row: is it a row number or an id?", name)
    elif is_text(column) and not category:
        known = column.drop_nulls()
        if _number_share(known) >= _NUMBERS_SHARE:
            odd_ones = known.filter(known.cast(pl.Float64, strict=False).is_null())
            shown = ", ".join(repr(value)[:40] for value in odd_ones.unique(maintain_order=True).head(3).to_list())
            yield Finding(
                severity="stop",
                message=f"{name} holds numbers but for {len(odd_ones):,} values such as {shown}; empty or correct "
                "them, or name the column in categorical",
                column=name,
            )


def _number_share(texts_: pl.Series) -> float:
    """Share of the texts that are written numbers."""
    import polars as pl

    return 1 - texts_.cast(pl.Float64, strict=False).null_count() / len(texts_)


def _counts_rows(column: pl.Series) -> bool:
    if column.null_count() or column.n_unique() < len(column):
        return False
    values = column.to_numpy()
    return int(values.max()) - int(values.min()) <= 2 * len(column)


def _leak(column: pl.Series, label: NDArray[np.float32], label_name: str, category: bool) -> Iterator[Finding]:
    """A feature that alone says nearly everything. Missing values have a place of their own."""
    ones = int(label.sum())
    fewest = min(ones, len(label) - ones)
    if fewest < _FEW:
        return
    if is_text(column) or category:
        if column.n_unique() > min(len(label) // _PER_TEXT, fewest * _PER_RARE):
            return
        values = _by_mean_label(column, label)
    else:
        numbers_ = numbers(column)
        values = np.nan_to_num(numbers_, nan=float(np.finfo(np.float32).min))
    distinct = len(np.unique(values))
    if distinct < 2:
        return
    said = auc(label, values)
    said = max(said, 1 - said)
    if said == 1.0 and distinct == 2:
        message = f"{column.name} says the same as {label_name}: it is the answer; leave it out with features"
        yield Finding(severity="stop", message=message, column=column.name)
    elif said > _LEAK_AUC:
        yield _warn(
            f"{column.name} alone orders the rows with AUC {said:.4f}: would it be known when the model is asked?",
            column.name,
        )


def _by_mean_label(column: pl.Series, label: NDArray[np.float32]) -> NDArray[np.float32]:
    import polars as pl

    told = pl.DataFrame({"text": texts(column), "label": label})
    means = told.group_by("text").agg(pl.mean("label").alias("mean"))
    joined = told.join(means, on="text", how="left", nulls_equal=True, maintain_order="left")
    return joined["mean"].cast(pl.Float32).to_numpy()


def _warn(message: str, column: str | None = None) -> Finding:
    return Finding(severity="warn", message=message, column=column)
