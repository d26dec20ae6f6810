"""The SQL database of a shop: opened once, read from any thread, written by one.

SQLite in WAL mode is the default; every commit is on disk before it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.stores.migrate import check_revision, upgrade
from shopkeeper.stores.writer import Writer

BUSY_MS = 15_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # fsync at each commit: acknowledged means durable
    f"PRAGMA busy_timeout={BUSY_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA wal_autocheckpoint=8192",  # bulk appends rewrite the same index pages: fewer checkpoints, fewer writes
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA temp_store=MEMORY",
)


class Database:
    """`read()` gives a connection with a consistent snapshot; `writer` is the only way to change anything."""

    def __init__(self, engine: Engine, *, read_only: bool = False, queue: int = 10_000) -> None:
        self.engine = engine
        self.read_only = read_only
        self.writer = Writer(engine, queue=queue, translate=translate)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction. Raises Unavailable when the database cannot answer."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise translate(error) from error

    def close(self) -> None:
        """Finishes the writes that wait, then closes every connection."""
        self.writer.close()
        self.engine.dispose()


def open_database(url: str, *, read_only: bool = False, queue: int = 10_000) -> Database:
    """Opens the database, first bringing its schema to the present one under a lock.

    `queue` bounds the writes that wait. A read-only database is left as it is: NotFound when it does not exist,
    Unavailable when its schema is not the present one. Raises Conflict for a schema newer than this program.
    """
    if read_only and (path := _sqlite_path(url)) is not None and not path.exists():
        raise NotFound(f"no shop at {path}; open one first: shopkeeper up", code="no_shop")
    engine = make_engine(url, read_only=read_only)
    try:
        check_revision(engine) if read_only else upgrade(engine, _sqlite_path(url))
    except SQLAlchemyError as error:
        engine.dispose()
        raise translate(error) from error
    except ShopkeeperError:
        engine.dispose()
        raise
    return Database(engine, read_only=read_only, queue=queue)


def sqlite_url(home: Path | str) -> str:
    """The URL of the SQLite database in a home folder."""
    return f"sqlite:///{Path(home).resolve() / 'shop.db'}"


def translate(error: SQLAlchemyError) -> ShopkeeperError:
    """The error of our tree that stands for one of the driver's."""
    reason = str(getattr(error, "orig", None) or error)
    if isinstance(error, IntegrityError):
        return Conflict(f"the database refused the change: {reason}", code="constraint")
    return Unavailable(
        f"the database cannot answer: {reason}; check the disk's free space and that no other program holds the file",
        code="database_unavailable",
    )


def make_engine(url: str, *, read_only: bool = False) -> Engine:
    """Connections as `open_database` uses them, on whatever schema is there. Raises Invalid for another engine."""
    if make_url(url).get_backend_name() != "sqlite":
        raise Invalid(
            f"database {make_url(url).render_as_string()!r} is not supported; use sqlite:///PATH", field="url"
        )
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False},
        pool_size=8,
        max_overflow=56,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    _prepare_sqlite(engine, read_only)
    return engine


def _prepare_sqlite(engine: Engine, read_only: bool) -> None:
    """Transactions begin when SQLAlchemy says so, not when the driver guesses: savepoints and DDL need that."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _sqlite_path(url: str) -> Path | None:
    parts = make_url(url)
    return Path(parts.database) if parts.get_backend_name() == "sqlite" and parts.database else None
