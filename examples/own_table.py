"""Training rows from a place of one's own: a table of a SQLite file, as cash registers leave them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import polars as pl

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import Report
from shopkeeper.sources.tables import Options, Reach, Table
from shopkeeper.sources.tables.columns import typed_columns


class SqliteOptions(Options, kw_only=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    table: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SqliteTable:
    name: ClassVar[str] = "sqlite"
    description: ClassVar[str] = "A table of a SQLite file"
    Options: ClassVar[type[Options]] = SqliteOptions
    secrets: ClassVar[tuple[str, ...]] = ()

    def reach(self, options: SqliteOptions) -> Reach:
        return Reach(paths=(options.path,))

    def read(self, options: SqliteOptions, zone: str, report: Report) -> Table:
        file, quoted = Path(options.path), options.table.replace('"', '""')
        report(0, 1, message=f"reading {file.name}")
        if not file.is_file():
            raise NotFound(f"no file at {file}; give source.path of a SQLite file", code="no_file")
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                cursor = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  quoted
                names, rows = [one[0] for one in cursor.description], cursor.fetchall()
        except sqlite3.OperationalError as error:
            raise NotFound(f"{file.name}: {error}", code="unknown_table") from error
        except (sqlite3.Error, ValueError) as error:
            raise Invalid(f"{file.name} cannot be read as SQLite: {error}", code="bad_file") from error
        frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None, strict=False)
        fingerprint = hashlib.sha256(repr(rows).encode()).hexdigest()
        facts = {"name": options.table, "file": file.name, "fingerprint": fingerprint}
        return Table(typed_columns(frame, zone, all_text=False), facts)
