"""Other data for the same shop: all that came from people, items and events is replaced by what another database holds.

It happens in one transaction: a kill leaves the old data or the new, whole. What the owner has made stays: rules,
segments, webhooks, schedules; and which jobs there were. Those that are unfinished end: they would go on with rows of
people and items that are others then. Scenarios, versions of the features, the calendar and agents are the owner's too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.schedules import ScheduleState
from shopkeeper.stores import jobs, schema
from shopkeeper.stores.meta import set_in
from shopkeeper.stores.sql import Database, translate

KEPT = frozenset(
    {"rules", "segments", "webhooks", "schedules", "jobs", "job_events", "scenarios", "feature_versions"}
    | {"feature_activations", "calendar", "agents", "agent_steps"}
)
"""Every other table is replaced, those that are not thought of here as well."""
KEPT_FACTS = ("shop.id", "profiles.seeded", "schedules.seeded", "simulation.config", "erase.unswept")
_OTHER = "other"


def reseed(db: Database, source: Path, facts: Mapping[str, str], *, by: str, now: int) -> None:
    """Takes over the data of the database file `source`, of the same schema, and adds `facts` to those of the shop.
    `by`: the job that made it, which may be unfinished; `now` in us.

    Nothing may hold what was read before: vocabularies, catalogs and followers are to be made anew. Returns when it is
    durable; never on the writer's thread. Raises Unavailable.
    """

    def take_over(connection: Connection) -> None:
        _take_over(connection, facts)
        jobs.cancel_all(connection, but=by, now=now)

    db.writer.alone(lambda: _reseed(db, source, take_over)).result()


def _reseed(db: Database, source: Path, take_over: Callable[[Connection], None]) -> None:
    errors: Any = db.engine.dialect.loaded_dbapi
    with db.engine.connect() as connection:
        try:
            plain: Any = connection.connection.driver_connection
            plain.execute("PRAGMA foreign_keys=OFF")  # the tables go in any order, and a parent is emptied at once
            plain.execute(f"ATTACH DATABASE ? AS {_OTHER}", (str(source),))
            with connection.execution_options(begin="BEGIN IMMEDIATE").begin():
                take_over(connection)
        except SQLAlchemyError as error:
            raise translate(error) from error
        except errors.Error as error:
            raise Unavailable(f"{source} cannot be taken over: {error}", code="database_unavailable") from error
        finally:
            connection.invalidate()  # nobody gets a connection that is attached to a file of ours


def _take_over(connection: Connection, facts: Mapping[str, str]) -> None:
    there = MetaData()
    kept = dict(_facts(connection))
    for table in schema.metadata.sorted_tables:
        if table.name in KEPT:
            continue
        source = table.to_metadata(there, schema=_OTHER)
        names = [column.name for column in table.columns]
        connection.execute(delete(table))
        connection.execute(insert(table).from_select(names, select(*(source.c[name] for name in names))))
    for key, value in {**kept, **facts}.items():
        set_in(connection, key, value)
    # What a condition compared with is a number of the old log.
    connection.execute(update(schema.schedules).values(state=msgspec.to_builtins(ScheduleState())))


def _facts(connection: Connection) -> list[tuple[str, str]]:
    meta = schema.meta.c
    return [
        (key, value) for key, value in connection.execute(select(meta.key, meta.value).where(meta.key.in_(KEPT_FACTS)))
    ]
