"""Every registered source goes through its suite."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from shopkeeper import plugins
from shopkeeper.checks import sources
from shopkeeper.checks.coverage import every_check
from shopkeeper.checks.sources import FileFormat, gives_what_was_written, goes_on_from_every_slice
from shopkeeper.sources.files import JsonlSource, endings

WRITERS = {
    "csv": lambda path, table: table.write_csv(path),
    "jsonl": lambda path, table: table.write_ndjson(path),
    "parquet": lambda path, table: table.write_parquet(path),
    "xlsx": lambda path, table: table.write_excel(path),
}


@pytest.mark.parametrize(
    "check",
    [check for name in plugins.names("source") for check in every_check("source", name, WRITERS.get(name))],
    ids=str,
)
def test_every_registered_source_passes(check):
    check()


def test_every_ending_is_offered_to_those_who_upload():
    assert {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx"} <= set(endings())


class Forgetful(JsonlSource):
    """Begins anew whatever row it is asked for."""

    def slices(self, path, layout, *, first_row=1, size=50_000):
        del first_row
        yield from super().slices(path, layout, size=size)


class Lossy(JsonlSource):
    """Drops the last row of the file."""

    def slices(self, path, layout, *, first_row=1, size=50_000):
        parts = list(super().slices(path, layout, first_row=first_row, size=size))
        yield from parts[:-1]


@pytest.mark.parametrize(
    ("source", "check"),
    [(Forgetful, goes_on_from_every_slice), (Lossy, gives_what_was_written)],
    ids=lambda part: part.__name__,
)
def test_a_source_that_cheats_is_caught(source, check, tmp_path: Path):
    with pytest.raises(AssertionError):
        check(FileFormat(source, WRITERS["jsonl"]), tmp_path)


class Careless(JsonlSource):
    """Lets the errors of its library out."""

    def layout(self, path):
        gzip.decompress(path.read_bytes())
        return super().layout(path)


def test_a_foreign_error_is_caught(tmp_path: Path):
    form = FileFormat(
        Careless, lambda path, table: path.write_bytes(gzip.compress(pl.DataFrame.write_ndjson(table).encode()))
    )
    with pytest.raises(gzip.BadGzipFile):
        sources.a_damaged_file_is_read_or_refused(form, tmp_path)
