"""The file formats: CSV, Parquet, JSON lines, Excel. `open_source` picks one by what the file holds.

A registered source of another format is picked by the ending of the file's name, before anything is looked at.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.sources.slices import ROW, column_names, json_object, json_slice, text_slice, typed_slice
from shopkeeper.sources.source import SAMPLE_ROWS, SLICE_ROWS, FileSource, Layout, Slice, Survey
from shopkeeper.sources.text import check_delimiter, check_encoding, find_delimiter, find_encoding

if TYPE_CHECKING:
    import polars as pl

MAX_FIELD = 131_072
MAX_XLSX_BYTES = 1 << 30


class CsvSource:
    """Text with a header row; delimiter `, ; tab |`, any quoting a spreadsheet writes. Every value is text.

    Encoding and delimiter are found in the file unless they are given.
    """

    name: ClassVar[str] = "csv"
    description: ClassVar[str] = "Text with a header: comma, semicolon, tab or bar; UTF-8, GB 18030 or Windows-1252"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt")

    def __init__(self, encoding: str = "", delimiter: str = "") -> None:
        self.encoding = encoding
        self.delimiter = delimiter

    def layout(self, path: Path) -> Layout:
        encoding = check_encoding(self.encoding) if self.encoding else find_encoding(path)
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            head = file.readline(MAX_FIELD)
            while head and not head.strip():
                head = file.readline(MAX_FIELD)
        if not head:
            raise Invalid("the file is empty; expected a header row and data rows", code="empty_file")
        mark = check_delimiter(self.delimiter) if self.delimiter else find_delimiter(head)
        return Layout(self.name, column_names(self._header(path, encoding, mark)), encoding, mark)

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        with path.open(encoding=layout.encoding, errors="replace", newline="") as file:
            rows = self._rows(file, layout.delimiter)
            next(rows, None)
            for _ in itertools.islice(rows, first_row - 1):
                pass
            at = first_row
            while block := list(itertools.islice(rows, size)):
                yield text_slice(block, at, layout)
                at += len(block)

    def _header(self, path: Path, encoding: str, delimiter: str) -> list[str]:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            return next(self._rows(file, delimiter), [])

    def _rows(self, file: Any, delimiter: str) -> Iterator[list[str]]:
        """Records that are not blank. A quote that is never closed would swallow the file: refused with its place."""
        reader = csv.reader(file, delimiter=delimiter)
        try:
            yield from (row for row in reader if row)
        except csv.Error as error:
            raise Invalid(
                f"line {reader.line_num} cannot be read as CSV ({error}); look for a quote that is not closed",
                code="bad_csv",
            ) from error


class JsonlSource:
    """One JSON object a line. Nested values are kept as JSON text."""

    name: ClassVar[str] = "jsonl"
    description: ClassVar[str] = "One JSON object a line, UTF-8"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def layout(self, path: Path) -> Layout:
        names: dict[str, None] = {}
        seen = False
        for line in self._lines(path):
            seen = True
            record = json_object(line)
            if isinstance(record, dict):
                names.update(dict.fromkeys(record))
        if not seen:
            raise Invalid("the file is empty; expected one JSON object a line", code="empty_file")
        if not names:
            raise Invalid("no line holds a JSON object; expected one object a line, not an array", code="bad_jsonl")
        return Layout(self.name, column_names(list(names)), "utf-8")

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        lines = itertools.islice(self._lines(path), first_row - 1, None)
        at = first_row
        while block := list(itertools.islice(lines, size)):
            yield json_slice(block, at, layout)
            at += len(block)

    def _lines(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            for line in file:
                text = line.strip().removeprefix(b"\xef\xbb\xbf")
                if text:
                    yield text


class ParquetSource:
    """Columns with types. Read row group by row group."""

    name: ClassVar[str] = "parquet"
    description: ClassVar[str] = "Apache Parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def layout(self, path: Path) -> Layout:
        return Layout(self.name, column_names(list(self._open(path).schema_arrow.names)))

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        import polars as pl

        file = self._open(path)
        start = 0
        for batch in file.iter_batches(batch_size=size):
            at, start = start + 1, start + batch.num_rows
            if start < first_row or not batch.num_rows:
                continue
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield typed_slice(frame, at, layout, first_row)

    def _open(self, path: Path) -> Any:
        import pyarrow
        import pyarrow.parquet

        try:
            return pyarrow.parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise Invalid(f"the file cannot be read as Parquet: {str(error)[:200]}", code="bad_parquet") from error


class XlsxSource:
    """The first sheet of an Excel workbook, its first row as the header; read into memory."""

    name: ClassVar[str] = "xlsx"
    description: ClassVar[str] = "The first sheet of an Excel workbook (.xlsx)"
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")

    def layout(self, path: Path) -> Layout:
        return Layout(self.name, column_names(self._frame(path).columns))

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        frame = self._frame(path)
        for start in range(first_row - 1, frame.height, size):
            yield typed_slice(frame[start : start + size], start + 1, layout, first_row)

    def _frame(self, path: Path) -> pl.DataFrame:
        import fastexcel
        import polars as pl

        check_unpacked_size(path)
        try:
            sheet = fastexcel.read_excel(path).load_sheet(0, dtypes="string")
            frame = pl.from_arrow(sheet.to_arrow())
        except fastexcel.FastExcelError as error:
            raise Invalid(f"the file cannot be read as Excel: {str(error)[:200]}", code="bad_xlsx") from error
        assert isinstance(frame, pl.DataFrame)
        if not frame.width:
            raise Invalid("the first sheet is empty; expected a header row and data rows", code="empty_file")
        return frame.filter(~pl.all_horizontal(pl.all().is_null()))


BUILT_IN: tuple[type[FileSource], ...] = (CsvSource, ParquetSource, JsonlSource, XlsxSource)


def endings() -> tuple[str, ...]:
    """Endings of the files that registered sources read, sorted."""
    return tuple(sorted({ending for source in plugins.load_all("source").values() for ending in source.suffixes}))


def open_source(path: Path, *, encoding: str = "", delimiter: str = "") -> FileSource:
    """The source that fits what the file holds (its name only decides between kinds of text). Raises Invalid."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise Invalid("the file is empty; expected a header row and data rows", code="empty_file")
    if (further := _further_source(path)) is not None:
        return further
    if head.startswith(b"PAR1"):
        return ParquetSource()
    if head.startswith(b"PK\x03\x04"):
        return XlsxSource()
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Invalid("this is an old .xls workbook; save it as .xlsx or CSV", code="unsupported_file")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"Rar!", b"7z\xbc\xaf")):
        raise Invalid("the file is compressed; unpack it and send the file inside", code="unsupported_file")
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid("unknown binary file; expected CSV, Parquet, JSON lines or xlsx", code="unsupported_file")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if path.suffix.lower() in JsonlSource.suffixes or text.startswith(b"{"):
        return JsonlSource()
    return CsvSource(encoding, delimiter)


def _further_source(path: Path) -> FileSource | None:
    """A registered source beyond the built-in four that claims the file's ending."""
    registered: dict[str, type[FileSource]] = plugins.load_all("source")
    further = (kind for kind in registered.values() if kind not in BUILT_IN)
    return next((kind() for kind in further if path.suffix.lower() in kind.suffixes), None)


def survey(path: Path, *, encoding: str = "", delimiter: str = "") -> Survey:
    """Reads the whole file once: its layout, its rows counted, an even sample, its SHA-256. Raises Invalid."""
    import polars as pl

    source = open_source(path, encoding=encoding, delimiter=delimiter)
    layout = source.layout(path)
    step, rows, kept = 1, 0, []
    for part in source.slices(path, layout):
        rows = part.next_row - 1
        kept.append(part.frame.with_columns(part.rows.alias(ROW)).filter((pl.col(ROW) - 1) % step == 0))
        while sum(frame.height for frame in kept) > SAMPLE_ROWS:
            step *= 2
            kept = [frame.filter((pl.col(ROW) - 1) % step == 0) for frame in kept]
    if not rows:
        raise Invalid(f"the file has a header ({', '.join(layout.columns)[:200]}) but no data rows", code="no_rows")
    sample = pl.concat(kept, how="vertical_relaxed").drop(ROW)
    return Survey(layout, rows, sample, file_sha256(path))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unpacked_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Invalid("the file is a damaged workbook; save it again as .xlsx or CSV", code="bad_xlsx") from error
    if size > MAX_XLSX_BYTES:
        raise Invalid(
            f"the workbook unpacks to {size >> 20} MiB, at most {MAX_XLSX_BYTES >> 20} are read; save it as CSV",
            code="too_large",
        )
