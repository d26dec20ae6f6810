"""Brings a database to the present schema: alembic, under a lock, in one transaction."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from shopkeeper.core.errors import Conflict, Unavailable

FOLDER = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """All revisions, oldest first: the files of `migrations/versions`, named NNNN_what.py with `revision = "NNNN"`."""
    return sorted(path.name.split("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def upgrade(engine: Engine, path: Path | None = None, to: str | None = None) -> None:
    """Upgrades to a revision (the newest). `path` is the database file: the lock lies beside it.

    A second process waits for the first and then finds nothing to do. An upgrade that is killed leaves the old schema.
    Raises Conflict when the database is newer than this program.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path), engine.connect() as connection:
        connection.execution_options(begin="BEGIN IMMEDIATE")
        with connection.begin():
            _upgrade(connection, to or revisions()[-1])


def check_revision(engine: Engine) -> None:
    """Raises Unavailable when the schema is not the present one, Conflict when it is newer than this program."""
    with engine.connect() as connection:
        present = current(connection)
    if present != revisions()[-1]:
        raise Unavailable(
            f"the shop's schema is {present or 'empty'}, expected {revisions()[-1]}; start it once: shopkeeper up",
            code="old_schema",
        )


def current(connection: Connection) -> str | None:
    """The revision of the database; None for an empty one. Raises Conflict for one from the future."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is None:
        return None
    if found not in revisions():
        raise Conflict(
            f"the shop's schema {found} is newer than this program ({revisions()[-1]}); upgrade shopkeeper",
            code="newer_schema",
        )
    return str(found)


def _upgrade(connection: Connection, to: str) -> None:
    if current(connection) == to:
        return  # saves the import of alembic at each start
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


@contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
