"""Training rows from files: CSV, Parquet, JSON, Excel, and every registered format; one, a folder, or a pattern."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import Report
from shopkeeper.sources.files import (
    CsvSource,
    JsonlSource,
    ParquetSource,
    XlsxSource,
    check_unpacked_size,
    endings,
    file_sha256,
    open_source,
)
from shopkeeper.sources.slices import column_names
from shopkeeper.sources.source import FileSource
from shopkeeper.sources.tables.base import Options, Reach, Table, check_size
from shopkeeper.sources.tables.columns import typed_columns

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet", "json", "jsonl", "xlsx"]
MAX_FILE_BYTES = 2 << 30
MAX_FILES = 10_000
_WILD = "*?["


class FileOptions(Options, kw_only=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    format: Format | None = None


class FileTable:
    """`path`: a file of this machine, a folder of such files, or a pattern; `format` when the file does not tell."""

    name: ClassVar[str] = "file"
    description: ClassVar[str] = "Files of the shop's machine: CSV, Parquet, JSON, Excel; one, a folder, or a pattern"
    Options: ClassVar[type[Options]] = FileOptions
    secrets: ClassVar[tuple[str, ...]] = ()

    def reach(self, options: FileOptions) -> Reach:
        return Reach(paths=tuple(str(path) for path in matching(options.path)))

    def read(self, options: FileOptions, zone: str, report: Report) -> Table:
        frame, facts = read_files(matching(options.path), options.format, options.path, zone, report)
        return Table(frame, {"name": Path(options.path).name, **facts})


def matching(path: str) -> list[Path]:
    """The files that a path, a folder or a pattern names, sorted. Raises NotFound, Invalid (too many)."""
    if "\0" in path:
        raise Invalid("a path holds no NUL character", code="bad_path", field="path")
    if Path(path).is_file():
        return [Path(path)]
    if Path(path).is_dir():
        known = endings()
        found = [one for one in Path(path).iterdir() if one.suffix.lower() in known and not one.name.startswith(".")]
        kept = f"; files end with {' '.join(known)}"
    else:
        found = [Path(one) for one in glob.glob(path)] if any(sign in path for sign in _WILD) else []
        kept = ""
    files = sorted(one for one in found if one.is_file())
    if not files:
        raise NotFound(f"no file at {path}{kept}; give source.path of a file, folder or pattern", code="no_file")
    if len(files) > MAX_FILES:
        raise Invalid(f"{path} names {len(files)} files, at most {MAX_FILES} are read", code="too_large", field="path")
    return files


def read_files(
    files: Sequence[Path], format: str | None, name: str, zone: str, report: Report
) -> tuple[pl.DataFrame, dict[str, object]]:
    """(rows of all files, facts: files, bytes, fingerprint). Raises Invalid: unreadable, too large, unequal columns."""
    import polars as pl

    size = sum(file.stat().st_size for file in files)
    if size > MAX_FILE_BYTES:
        raise Invalid(f"{name} is larger than {MAX_FILE_BYTES >> 30} GiB; take a sample", code="too_large")
    frames: list[pl.DataFrame] = []
    digest = hashlib.sha256()
    all_text = True
    for place, file in enumerate(files):
        report(place, len(files), message=f"reading {file.name}")
        source = _NAMED[format]() if format else open_source(file)
        all_text = all_text and type(source) not in _TYPED
        frame = _read(file, source)
        if frames:
            _check_columns(frame, frames[0], file.name, files[0].name)
            frame = frame.select(frames[0].columns)
        frames.append(frame)
        digest.update(file_sha256(file).encode())
        check_size(sum(one.height for one in frames), int(sum(one.estimated_size() for one in frames)), name)
    try:
        whole = pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise Invalid(f"the files of {name} hold columns of different types: {error}", code="unequal_files") from error
    fingerprint = digest.hexdigest() if len(files) > 1 else file_sha256(files[0])
    facts: dict[str, object] = {"files": len(files), "bytes": size, "fingerprint": fingerprint}
    return typed_columns(whole, zone, all_text=all_text), facts


def _check_columns(frame: pl.DataFrame, first: pl.DataFrame, name: str, first_name: str) -> None:
    more, less = set(frame.columns) - set(first.columns), set(first.columns) - set(frame.columns)
    if more or less:
        differ = [
            f"{word} {', '.join(sorted(those)[:5])}" for word, those in (("adds", more), ("lacks", less)) if those
        ]
        raise Invalid(
            f"{name} has other columns than {first_name}: it {' and '.join(differ)}", code="unequal_files", field="path"
        )


def _read(path: Path, source: FileSource) -> pl.DataFrame:
    import polars as pl

    read = _READERS.get(type(source))
    try:
        frame = _sliced(path, source) if read is None else read(path)
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError, msgspec.MsgspecError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Invalid(
            f"{path.name} cannot be read as {source.name}: {first[:300]}", code="bad_file", field="path"
        ) from error
    if not frame.width:
        raise Invalid(f"{path.name} has no columns", code="bad_file", field="path")
    return frame


def _csv(path: Path) -> pl.DataFrame:
    """All columns as text: what they are is decided over all rows of all files."""
    import polars as pl

    layout = CsvSource().layout(path)
    plain = layout.encoding in ("utf-8", "utf-8-sig")
    frame = pl.read_csv(
        path,
        separator=layout.delimiter,
        infer_schema=False,
        encoding="utf8" if plain else layout.encoding,
        glob=False,
    )
    return frame.rename(dict(zip(frame.columns, column_names(frame.columns), strict=True)))


def _json(path: Path) -> pl.DataFrame:
    """One object a line, or one array of objects."""
    import polars as pl

    with path.open("rb") as file:
        array = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if array:
        rows = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=list[dict[str, object]])
        return pl.from_dicts(rows, infer_schema_length=None)
    with path.open("rb") as file:  # not by name: it may look like a pattern
        return pl.read_ndjson(file, infer_schema_length=None)


def _parquet(path: Path) -> pl.DataFrame:
    import polars as pl

    return pl.read_parquet(path, glob=False)


def _xlsx(path: Path) -> pl.DataFrame:
    """The first sheet; columns of one type come typed."""
    import fastexcel
    import polars as pl

    check_unpacked_size(path)
    try:
        frame = pl.from_arrow(fastexcel.read_excel(path).load_sheet(0).to_arrow())
    except fastexcel.FastExcelError as error:
        raise Invalid(f"{path.name} cannot be read as Excel: {str(error)[:200]}", code="bad_file") from error
    assert isinstance(frame, pl.DataFrame)
    if not frame.width:
        return frame
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    whole = [name for name, dtype in frame.schema.items() if dtype.is_float() and _is_whole(frame[name])]
    return frame.with_columns(pl.col(whole).cast(pl.Int64))  # a spreadsheet knows no whole numbers


def _is_whole(column: pl.Series) -> bool:
    return bool(((column == column.round()) & (column.abs() < 1 << 53)).all())


def _sliced(path: Path, source: FileSource) -> pl.DataFrame:
    """By a registered format of the shop's own."""
    import polars as pl

    frames = []
    for part in source.slices(path, source.layout(path)):
        if part.broken:
            raise Invalid(f"{path.name}, row {part.broken[0].row} {part.broken[0].reason}", code="bad_file")
        frames.append(part.frame)
    return pl.concat(frames, how="vertical_relaxed") if frames else pl.DataFrame()


_NAMED: Mapping[str, type[FileSource]] = {
    "csv": CsvSource, "parquet": ParquetSource, "json": JsonlSource, "jsonl": JsonlSource, "xlsx": XlsxSource,
}  # fmt: skip
_TYPED = (ParquetSource, JsonlSource, XlsxSource)
_READERS: Mapping[type, Callable[[Path], pl.DataFrame]] = {
    CsvSource: _csv,
    ParquetSource: _parquet,
    JsonlSource: _json,
    XlsxSource: _xlsx,
}
