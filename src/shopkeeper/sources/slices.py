"""From records as they stand in a file to a slice: named columns, numbered rows, and the rows that do not fit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.sources.source import Broken, Layout, Slice

if TYPE_CHECKING:
    import polars as pl

MAX_COLUMNS = 500
ROW = "\0row"  # no header can hold this name


def column_names(header: list[str]) -> tuple[str, ...]:
    """Trimmed names; an empty one becomes `column_3`, a repeated one `name_2`. Raises Invalid: too many."""
    if len(header) > MAX_COLUMNS:
        raise Invalid(f"the file has {len(header)} columns, at most {MAX_COLUMNS} are read", code="too_many_columns")
    names: list[str] = []
    for number, text in enumerate(header, 1):
        name = wanted = text.strip().removeprefix("\ufeff") or f"column_{number}"
        for again in itertools.count(2):
            if name not in names:
                break
            name = f"{wanted}_{again}"
        names.append(name)
    return tuple(names)


def text_slice(block: list[list[str]], at: int, layout: Layout) -> Slice:
    import polars as pl

    width = len(layout.columns)
    broken: list[Broken] = []
    numbers: Sequence[int] = range(at, at + len(block))
    if any(len(row) != width for row in block):
        block = [row[:width] if not any(row[width:]) else row for row in block]  # blank fields at the end are nothing
        whole: list[tuple[int, list[str]]] = []
        wrong: list[tuple[int, list[str]]] = []
        for number, row in zip(numbers, block, strict=True):
            (whole if len(row) == width else wrong).append((number, row))
        broken = [Broken(number, f"has {len(row)} fields, the header has {width}", tuple(row)) for number, row in wrong]
        numbers, block = [n for n, _ in whole], [row for _, row in whole]
    columns = list(zip(*block, strict=True)) if block else [()] * width
    frame = pl.DataFrame(
        [pl.Series(name, values, dtype=pl.String) for name, values in zip(layout.columns, columns, strict=True)]
    )
    return Slice(at, at + len(broken) + len(block), pl.Series(ROW, numbers, dtype=pl.Int64), frame, broken)


def json_slice(block: list[bytes], at: int, layout: Layout) -> Slice:
    import polars as pl

    numbers, records, broken = [], [], []
    for number, line in enumerate(block, at):
        record = json_object(line)
        if isinstance(record, str):
            broken.append(Broken(number, record, (line.decode(errors="replace")[:1000],)))
        else:
            numbers.append(number)
            records.append(record)
    frame = pl.DataFrame(
        [pl.Series(name, [_json_text(r.get(name)) for r in records], dtype=pl.String) for name in layout.columns]
    )
    return Slice(at, at + len(block), pl.Series(ROW, numbers, dtype=pl.Int64), frame, broken)


def json_object(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or why it is none."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"is not JSON: {str(error)[:120]}"
    return record if isinstance(record, dict) else "is not a JSON object"


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def typed_slice(frame: pl.DataFrame, at: int, layout: Layout, first_row: int) -> Slice:
    import polars as pl

    frame.columns = list(layout.columns)
    if at < first_row:
        frame, at = frame[first_row - at :], first_row
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    frame = frame.with_columns(
        [pl.Series(name, [_json_text(v) for v in frame[name].to_list()], dtype=pl.String) for name in nested]
    )
    end = at + frame.height
    return Slice(at, end, pl.int_range(at, end, eager=True).alias(ROW), frame)
