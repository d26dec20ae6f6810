"""Makes what was deleted really gone: the pages of a database keep old bytes until they are written over."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from sqlalchemy import Engine

from shopkeeper.core.errors import Unavailable
from shopkeeper.stores.sql import BUSY_MS, Database

_TRIES, _AGAIN_S = 60, 1.0


def sweep(db: Database) -> None:
    """Writes the whole database anew and empties the write-ahead log. Writes wait meanwhile, about a second for 100 MB;
    as much free space is needed. Never on the writer's thread.

    Raises Unavailable when the disk is full, or when somebody reads an old state for longer than a minute.
    """
    db.writer.alone(lambda: _alone(db.engine, "VACUUM", ("temp_store", "FILE", "MEMORY"))).result()
    at_once = ("busy_timeout", 0, BUSY_MS)  # who reads is waited for here, and not by all who write
    for _ in range(_TRIES):
        busy, _, _ = db.writer.alone(lambda: _alone(db.engine, "PRAGMA wal_checkpoint(TRUNCATE)", at_once)).result()
        if not busy:
            return
        time.sleep(_AGAIN_S)
    raise Unavailable(
        "the write-ahead log cannot be emptied while somebody reads an old state; it is tried again at the next start"
    )


def _alone(engine: Engine, statement: str, setting: tuple[str, object, object]) -> Any:
    """Its first row, with a setting (name, now, afterwards). By the driver itself, outside of transactions."""
    errors: Any = engine.dialect.loaded_dbapi
    name, now, afterwards = setting
    try:
        with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA {name}={now}")
            try:
                return cursor.execute(statement).fetchone()
            finally:
                cursor.execute(f"PRAGMA {name}={afterwards}")
    except errors.Error as error:
        raise Unavailable(
            f"the database cannot be written anew: {error}; check the disk's free space", code="database_unavailable"
        ) from error
