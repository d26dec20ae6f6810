"""Makes what was deleted really gone: the pages of a database keep old bytes until they are written over."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from sqlalchemy import Engine

from shopkeeper.core.errors import Unavailable
from shopkeeper.stores.sql import Database

_TRIES, _AGAIN_S = 60, 1.0


def sweep(db: Database) -> None:
    """Writes the whole database anew and empties the write-ahead log. Writes wait meanwhile, about a second for 100 MB;
    as much free space is needed. Never on the writer's thread.

    Raises Unavailable when the disk is full, or when somebody reads an old state for longer than a minute.
    """
    db.writer.alone(lambda: _pragma(db.engine, "PRAGMA temp_store=FILE", "VACUUM", "PRAGMA temp_store=MEMORY")).result()
    for _ in range(_TRIES):
        busy, _, _ = db.writer.alone(lambda: _pragma(db.engine, "PRAGMA wal_checkpoint(TRUNCATE)")).result()
        if not busy:
            return
        time.sleep(_AGAIN_S)
    raise Unavailable(
        "the write-ahead log cannot be emptied while somebody reads an old state; it is tried again at the next start"
    )


def _pragma(engine: Engine, *statements: str) -> Any:
    """The last statement's first row. By the driver itself, as these run outside of transactions."""
    errors: Any = engine.dialect.loaded_dbapi
    try:
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone()
            cursor.close()
            return row
    except errors.Error as error:
        raise Unavailable(
            f"the database cannot be written anew: {error}; check the disk's free space", code="database_unavailable"
        ) from error
