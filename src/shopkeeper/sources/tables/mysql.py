"""MySQL, MariaDB, and Doris, which speaks their protocol."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
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
    only_reads,
    scrubbed,
    seconds,
    silent_for,
)

_REFUSED = (1044, 1045, 1095, 1130, 1142, 1143, 1227, 1370, 1698, 1820, 4151)
_MISSING = {1049: "unknown_database", 1051: "unknown_table", 1146: "unknown_table"}
_READ_ONLY = 1792
_NOT_NOW = (1040, 1053, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1927, 1969, 3024)


class MysqlTable(SqlTable):
    """`query` or `table`; the session is read-only and the server is asked for nothing but one statement."""

    name: ClassVar[str] = "mysql"
    description: ClassVar[str] = "A table or a query of MySQL or MariaDB"
    default_port: ClassVar[int] = 3306
    _session: ClassVar[tuple[str, ...]] = ("SET time_zone = '+00:00'", "START TRANSACTION READ ONLY")

    def quoted(self, options: SqlOptions) -> str:
        names = [name for name in (options.database, options.table) if name]
        return ".".join(f"`{name.replace('`', '``')}`" for name in names)

    def _chunks(self, options: SqlOptions) -> Iterator[tuple[list[Column], Sequence[Sequence[Any]]]]:
        with self._connected(options) as (connection, patience), ExitStack() as held:
            from pymysql.cursors import SSCursor

            for text in self._session:
                with patience.within(CONNECT_S), closing(connection.cursor()) as cursor:
                    cursor.execute(text)
            cursor = held.enter_context(_unbuffered(connection, SSCursor))
            with patience.within(ANSWER_S):
                cursor.execute(self.statement(options))
            if cursor.description is None:
                raise Invalid("the query gives no table; it must be one SELECT", code="bad_query", field="query")
            columns = [_column(one[0], one[1]) for one in cursor.description]
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
        """A connection whose silence has limits, also while it is being made. It is cut, not read to its end."""
        try:
            import pymysql
        except ModuleNotFoundError:
            raise not_installed("pymysql", "mysql", self.name) from None
        connection = pymysql.connect(
            host=options.host,
            port=options.port or self.default_port,
            user=options.user,
            password=options.password or "",
            database=options.database,
            charset="utf8mb4",
            autocommit=None,
            conv={**pymysql.converters.decoders, **_DECODERS},
            defer_connect=True,
        )
        try:
            sock = socket.create_connection((options.host, options.port or self.default_port), CONNECT_S)
        except OSError as error:
            raise _unreachable(options, error.strerror or str(error)) from None
        patience = Patience(sock.fileno())
        try:
            with patience.within(CONNECT_S):
                sock.settimeout(None)
                connection.connect(sock)
            yield connection, patience
        except Exception as error:
            if patience.over is not None and not isinstance(error, ShopkeeperError):
                raise silent_for(patience.over, options) from None
            raise
        finally:
            patience.cut()
            with suppress(pymysql.Error):
                connection.close()
            sock.close()
            patience.close()

    def _error(self, error: Exception, options: SqlOptions) -> ShopkeeperError | None:
        import pymysql

        if isinstance(error, RuntimeError) and "cryptography" in str(error):
            return Unavailable(
                f"{options.host} wants a password that only the package cryptography can send; "
                "install it, or let the user log in with mysql_native_password",
                code="not_installed",
            )
        if isinstance(error, OSError | UnicodeError):
            return _unreachable(options, scrubbed(str(error), options))
        if not isinstance(error, pymysql.Error):
            return None
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = scrubbed(str(error.args[-1] if error.args else error), options)
        if code in _REFUSED:
            return Refused(f"{options.host} refused: {said}; check user and password", code="database_refused")
        if code in _MISSING:
            return NotFound(f"{options.host}: {said}", code=_MISSING[code])
        if code == _READ_ONLY:
            return Invalid("a query for training data only reads; this one writes", code="bad_query", field="query")
        if code >= 1000 and not 2000 <= code < 3000 and code not in _NOT_NOW:  # 2000 to 2999: the library's own
            return Invalid(f"{options.host} does not accept the query: {said}", code="bad_query", field="query")
        return _unreachable(options, said)


class DorisTable(MysqlTable):
    """As MySQL, at the query port of a frontend. Doris knows no read-only session and runs what stands behind a
    semicolon, so that its text is looked at here; beside that its rights alone say what may be."""

    name: ClassVar[str] = "doris"
    description: ClassVar[str] = "A table or a query of Apache Doris"
    default_port: ClassVar[int] = 9030
    _session: ClassVar[tuple[str, ...]] = ()

    def statement(self, options: SqlOptions) -> str:
        text = super().statement(options)
        plain = _ASIDE.sub(lambda found: " x " if found[0][0] in "'\"`" else " ", text)
        if ";" in plain or _WRITING.search(plain):
            raise only_reads()
        return text


_ASIDE = re.compile(
    r"""'(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z)|`[^`]*(?:`|\Z)|--[^\n]*|\#[^\n]*|/\*(?!!).*?(?:\*/|\Z)""",
    re.DOTALL,
)
"""Texts, quoted names and comments. Where Doris reads another one as a comment, it sees less than is looked at."""
_WRITING = re.compile(
    r"\b(?:insert\s+(?:into|overwrite)|delete\s+from|merge\s+into|update\s+\S+(?:\s+(?:as\s+)?\w+)?\s+set)\b",
    re.IGNORECASE,
)


@contextmanager
def _unbuffered(connection: Any, kind: type) -> Iterator[Any]:
    """A cursor that, left early, does not read on to the end of the answer, as the library's does."""
    cursor = connection.cursor(kind)
    try:
        yield cursor
    finally:
        if (result := cursor._result) is not None:
            result.unbuffered_active = False
        cursor._result = cursor.connection = None


def _unreachable(options: SqlOptions, why: str) -> Unavailable:
    return Unavailable(f"cannot read from {options.host}: {why}; check host and port, try again",
                       code="database_unreachable")  # fmt: skip


def _bits(value: Any) -> int:
    return int.from_bytes(value, "big") if isinstance(value, bytes) else int(value)


def _moment_or_none(value: Any) -> Any:
    """MySQL knows days that are none, such as 0000-00-00: the library leaves them as text."""
    return None if isinstance(value, str) else value


_INTEGER, _FLOAT, _BIT = (1, 2, 3, 8, 9, 13), (0, 4, 5, 246), 16
_DATE, _TIMESTAMP, _DATETIME, _TIME = (10, 14), 7, 12, 11
_DECODERS = dict.fromkeys((0, 246), float)


def _column(name: str, kind: int) -> Column:
    import polars as pl

    if kind in _INTEGER:
        return Column(name, pl.Int64)
    if kind in _FLOAT:
        return Column(name, pl.Float64)
    if kind == _BIT:
        return Column(name, pl.Int64, _bits)
    if kind in _DATE:
        return Column(name, pl.Date, _moment_or_none)
    if kind == _DATETIME:
        return Column(name, pl.Datetime("us"), _moment_or_none)
    if kind == _TIMESTAMP:  # the session's zone is UTC
        return Column(name, pl.Datetime("us", "UTC"), _moment_or_none)
    if kind == _TIME:
        return Column(name, pl.Float64, lambda value: seconds(value) if isinstance(value, timedelta) else None)
    return Column(name, pl.String)
