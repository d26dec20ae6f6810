"""An empty database of the present schema, for tests whose matter begins after a shop was opened.

All migrations, one after another, take a tenth of a second and more, which thousands of tests would spend; what they
do has tests of its own in tests/stores. They run once in each process, and each test gets a copy of the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from shopkeeper.stores.sql import open_database, sqlite_url


def ready(home: Path) -> Path:
    """The folder, with a database in it: the one that is there already, or a new one."""
    database = home / "shop.db"
    if not database.exists():
        home.mkdir(parents=True, exist_ok=True)
        database.write_bytes(_migrated())
    return home


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        open_database(sqlite_url(folder)).close()
        left = sorted(path.name for path in Path(folder).iterdir())
        assert left == ["shop.db", "shop.db.lock"], left  # nothing is in a log beside the file
        return Path(folder, "shop.db").read_bytes()
