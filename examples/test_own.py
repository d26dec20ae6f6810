"""The checks of Shopkeeper on parts of one's own. Run it where the package is installed: `pytest test_own.py`."""

import gzip

import pytest

from shopkeeper.checks.coverage import every_check


def write(path, table):
    """A table as the source's kind of file."""
    path.write_bytes(gzip.compress(table.write_ndjson().encode()))


OWN = [
    *every_check("algorithm", "weekday_average"),
    *every_check("feature", "item_return_share"),
    *every_check("source", "jsonl_gz", write),
]


@pytest.mark.parametrize("check", OWN, ids=str)
def test_own(check):
    check()
