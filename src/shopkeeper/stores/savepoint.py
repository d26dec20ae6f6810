"""Undoing a part of a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError


class TransactionLost(Exception):
    """The database gave up the whole transaction (a full or broken disk): nothing of it may be acknowledged.

    `first` is the error that began it.
    """

    def __init__(self, first: SQLAlchemyError) -> None:
        super().__init__(str(first))
        self.first = first


@contextmanager
def savepoint(connection: Connection, name: str) -> Iterator[None]:
    """What the block wrote is undone when it raises. Plain SQL: SQLAlchemy would compile its own each time.

    Raises TransactionLost when there is nothing left to go back to.
    """
    connection.exec_driver_sql(f"SAVEPOINT {name}")
    try:
        yield
    except TransactionLost:
        raise
    except BaseException as first:
        try:
            connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")
            connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")
        except SQLAlchemyError as second:
            raise TransactionLost(first if isinstance(first, SQLAlchemyError) else second) from first
        raise
    connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")
