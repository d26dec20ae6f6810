"""PostgreSQL and what speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from shopkeeper.core.errors import Invalid, NotFound, Refused, ShopkeeperError, Unavailable
from shopkeeper.sources.tables.patience import Patience
from shopkeeper.sources.tables.sql import (
    ANSWER_S,
    CHUNK,
    CONNECT_S,
    Column,
    SqlOptions,
    SqlTable,
    not_installed,
    scrubbed,
    seconds,
    silent_for,
)

_DENIED = ("authentication", "no password supplied", "pg_hba.conf", "role ", "permission denied")
_MISSING = {"42P01": "unknown_table", "3F000": "unknown_table", "3D000": "unknown_database"}
_READ_ONLY = "25006"


class PostgresTable(SqlTable):
    """`query` or `table` (`name` or `schema.name`), through a cursor of a read-only transaction."""

    name: ClassVar[str] = "postgres"
    description: ClassVar[str] = "A table or a query of PostgreSQL"
    default_port: ClassVar[int] = 5432

    def quoted(self, options: SqlOptions) -> str:
        return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (options.table or "").split(".", 1))

    def _chunks(self, options: SqlOptions) -> Iterator[tuple[list[Column], Sequence[Sequence[Any]]]]:
        with self._connected(options) as (connection, patience):
            cursor = connection.cursor("shopkeeper_rows")
            with patience.within(ANSWER_S):
                cursor.execute(self.statement(options))
            columns = [_column(one.name, one.type_code) for one in cursor.description or ()]
            first = True
            while True:
                with patience.within(ANSWER_S):
                    rows = cursor.fetchmany(CHUNK)
                if not rows and not first:
                    return
                yield columns, rows
                first = False

    @contextmanager
    def _connected(self, options: SqlOptions) -> Iterator[tuple[Any, Patience]]:
        try:
            import psycopg
            from psycopg.types.numeric import FloatLoader
        except ModuleNotFoundError:
            raise not_installed("psycopg", "postgres", self.name) from None
        connection = psycopg.connect(
            host=options.host,
            port=options.port or self.default_port,
            user=options.user,
            password=options.password or "",
            dbname=options.database,
            connect_timeout=int(CONNECT_S),
            application_name="shopkeeper",
            client_encoding="utf8",
        )
        patience = Patience(connection.fileno())
        try:
            connection.read_only = True
            connection.adapters.register_loader("numeric", FloatLoader)
            yield connection, patience
        except Exception as error:
            if patience.over is not None and not isinstance(error, ShopkeeperError):
                raise silent_for(patience.over, options) from None
            raise
        finally:
            patience.cut()
            with suppress(psycopg.Error):
                connection.close()
            patience.close()

    def _error(self, error: Exception, options: SqlOptions) -> ShopkeeperError | None:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate or ""
        said = scrubbed(error.diag.message_primary or str(error), options)
        if state.startswith("28") or state == "42501" or (not state and any(word in said for word in _DENIED)):
            return Refused(f"{options.host} refused: {said}; check user and password", code="database_refused")
        if state in _MISSING or (not state and "does not exist" in said):
            return NotFound(f"{options.host}: {said}", code=_MISSING.get(state, "unknown_database"))
        if state == _READ_ONLY:
            return Invalid("a query for training data only reads; this one writes", code="bad_query", field="query")
        if state and not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
            return Invalid(f"{options.host} does not accept the query: {said}", code="bad_query", field="query")
        return Unavailable(
            f"cannot read from {options.host}: {said}; check host and port, try again", code="database_unreachable"
        )


_INTEGER, _FLOAT = (20, 21, 23, 26), (700, 701, 1700)
_BOOLEAN, _DATE, _DATETIME, _TIMESTAMP, _INTERVAL = 16, 1082, 1114, 1184, 1186


def _column(name: str, kind: int) -> Column:
    import polars as pl

    if kind in _INTEGER:
        return Column(name, pl.Int64)
    if kind in _FLOAT:
        return Column(name, pl.Float64)
    if kind == _BOOLEAN:
        return Column(name, pl.Boolean)
    if kind == _DATE:
        return Column(name, pl.Date)
    if kind == _DATETIME:
        return Column(name, pl.Datetime("us"))
    if kind == _TIMESTAMP:
        return Column(name, pl.Datetime("us", "UTC"))
    if kind == _INTERVAL:
        return Column(name, pl.Float64, seconds)
    return Column(name, pl.String)
