"""The checks of Shopkeeper on parts of one's own. Run it where the package is installed: `pytest test_own.py`."""

import gzip
import sqlite3
import tempfile
from pathlib import Path

import pytest

from shopkeeper.checks.coverage import every_check


def write(path, table):
    """A table as the source's kind of file."""
    path.write_bytes(gzip.compress(table.write_ndjson().encode()))


def put(frame):
    """A frame as a table of a SQLite file, and the source that reads it."""
    path = Path(tempfile.mkdtemp()) / "till.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE sales ({', '.join(frame.columns)})")
        rows = [
            tuple(value if isinstance(value, int | float | None) else str(value) for value in row)
            for row in frame.rows()
        ]
        connection.executemany(f"INSERT INTO sales VALUES ({', '.join('?' * frame.width)})", rows)  # noqa: S608
    return {"kind": "sqlite", "path": str(path), "table": "sales"}


OWN = [
    *every_check("algorithm", "weekday_average"),
    *every_check("feature", "item_return_share"),
    *every_check("source", "jsonl_gz", write),
    *every_check("table", "sqlite", put),
]


@pytest.mark.parametrize("check", OWN, ids=str)
def test_own(check):
    check()
