"""What all databases have in common: one statement that only reads, its rows fetched in chunks, bounded, typed."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from shopkeeper.core.errors import Invalid, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import Report
from shopkeeper.sources.tables.base import Options, Reach, Table, check_size

if TYPE_CHECKING:
    import polars as pl

CONNECT_S = 10.0
ANSWER_S = 300.0
CHUNK = 10_000
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|#[^\n]*(?:\n|\Z)|/\*(?!!).*?\*/|\()*", re.DOTALL)
_READS = ("select", "with", "values", "table")
_INTO = re.compile(r"into(?![\w$])", re.IGNORECASE)
_FILE = re.compile(r"(?:outfile|dumpfile)(?![\w$])", re.IGNORECASE)
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SqlOptions(Options, kw_only=True):
    """Either `query`, exactly one SELECT, or `table`; `database` is where both are looked up."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)] | None = None
    table: Name | None = None
    database: Name | None = None
    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    user: Name | None = None
    password: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class Column:
    """One column of an answer: its name, its polars type, and how a value of the library becomes one of that type."""

    def __init__(self, name: str, dtype: Any, convert: Callable[[Any], Any] | None = None) -> None:
        self.name, self.dtype, self._convert = name, dtype, convert

    def series(self, values: Sequence[Any]) -> pl.Series:
        """Raises Invalid for binary data and for what does not fit."""
        import polars as pl

        if self._convert is not None:
            values = [None if value is None else self._convert(value) for value in values]
        if self.dtype == pl.String:
            values = [self._text(value) for value in values]
        try:
            return pl.Series(self.name, values, dtype=self.dtype, strict=True)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            if self.dtype == pl.Int64:  # unsigned numbers beyond 63 bits
                return pl.Series(self.name, values, dtype=pl.Float64, strict=False)
            raise Invalid(
                f"column {self.name!r} holds values that are no {self.dtype}; convert it in the query",
                code="bad_column",
            ) from None

    def _text(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                raise Invalid(
                    f"column {self.name!r} holds binary data; name the columns to read in a query", code="bad_column"
                ) from None
        if isinstance(value, dict | list):
            return msgspec.json.encode(value, enc_hook=str).decode()
        return str(value)


class SqlTable(ABC):
    """Base of the database kinds. A kind gives `quoted`, `_chunks` and `_error`."""

    name: ClassVar[str]
    description: ClassVar[str]
    Options: ClassVar[type[Options]] = SqlOptions
    secrets: ClassVar[tuple[str, ...]] = ("password",)
    default_port: ClassVar[int]

    def reach(self, options: SqlOptions) -> Reach:
        check_host(options.host)
        self.statement(options)
        return Reach(hosts=(f"{options.host}:{options.port or self.default_port}",))

    def read(self, options: SqlOptions, zone: str, report: Report) -> Table:
        import polars as pl

        del zone
        self.reach(options)
        what = options.table or "the query's answer"
        digest, frames, rows = hashlib.sha256(), list[pl.DataFrame](), 0
        report(0, CHUNK, message=f"asking {options.host}")
        with self._told(options):
            for columns, chunk in self._chunks(options):
                frame = _frame(columns, chunk)
                digest.update(frame.write_csv().encode())
                frames.append(frame)
                rows += frame.height
                check_size(rows, int(sum(one.estimated_size() for one in frames)), what)
                report(rows, rows + CHUNK, message=f"{rows:,} rows read")
        facts: dict[str, Any] = {
            "name": options.table or "query",
            "server": f"{options.host}:{options.port or self.default_port}",
            "database": options.database,
            "table": options.table,
            "query": options.query,
            "fingerprint": digest.hexdigest(),
        }
        whole = pl.concat(frames, how="vertical_relaxed")
        return Table(whole, {key: value for key, value in facts.items() if value is not None})

    def statement(self, options: SqlOptions) -> str:
        """The text that is sent. Raises Invalid for both or neither of query and table, and for what does not read."""
        if (options.query is None) == (options.table is None):
            raise Invalid(
                f"training data of kind {self.name} is either a query or a table; give exactly one of them",
                code="bad_option",
                field="query",
            )
        if options.query is not None:
            return check_query(options.query)
        assert options.table is not None
        for name in (options.table, options.database or ""):
            if "\0" in name:
                raise Invalid("the name of a table holds no NUL character", code="bad_name", field="table")
        return f"SELECT * FROM {self.quoted(options)}"  # noqa: S608  the dialect quotes

    @abstractmethod
    def quoted(self, options: SqlOptions) -> str:
        """The table's name as the dialect quotes it."""

    @abstractmethod
    def _chunks(self, options: SqlOptions) -> Iterator[tuple[list[Column], Sequence[Sequence[Any]]]]:
        """(columns, rows) once at least, empty when there are no rows. The library's errors come out as they are."""

    @abstractmethod
    def _error(self, error: Exception, options: SqlOptions) -> ShopkeeperError | None:
        """Ours for one of the library's; None for what is not the library's."""

    @contextmanager
    def _told(self, options: SqlOptions) -> Iterator[None]:
        try:
            yield
        except ShopkeeperError:
            raise
        except Exception as error:
            told = self._error(error, options)
            if told is None:
                raise
            raise told from None  # the library's text may hold what was sent to the server


def check_host(host: str) -> None:
    """A name or an address of one machine: no socket path, no list, no user. Raises Invalid."""
    if not _HOST.fullmatch(host):
        raise Invalid(f"host {host[:80]!r} is no host name and no address", code="bad_host", field="host")


def check_query(query: str) -> str:
    """One SELECT without its closing semicolon. That it is one is left to the server, which knows its own quotes."""
    text = query.strip().rstrip(";").rstrip()
    begin = _COMMENT.match(text)
    word = re.match(r"[A-Za-z]*", text[begin.end() if begin else 0 :])
    if "\0" in text or word is None or word[0].lower() not in _READS or _writes_file(text):
        raise only_reads()
    return text


def only_reads() -> Invalid:
    return Invalid(
        "a query for training data only reads: it must be one statement, begin with SELECT, WITH, VALUES or TABLE, and "
        "write no file",
        code="bad_query",
        field="query",
    )


def _writes_file(text: str) -> bool:
    """Whatever stands between both words, as comments may even be instructions: `INTO/*!50000OUTFILE*/`."""
    into = _INTO.search(text)
    return into is not None and _FILE.search(text, into.end()) is not None


def seconds(value: timedelta) -> float:
    return value.total_seconds()


def scrubbed(text: str, options: SqlOptions) -> str:
    """One line of at most 300 characters in which the password does not stand."""
    line = " ".join(text.split())
    if options.password:
        line = line.replace(options.password, "***")
    return line[:300]


def not_installed(package: str, extra: str, name: str) -> Unavailable:
    return Unavailable(
        f"training data of kind {name} needs the package {package}; install it with: pip install 'shopkeeper[{extra}]'",
        code="not_installed",
    )


def silent_for(seconds: float, options: SqlOptions) -> Unavailable:
    return Unavailable(
        f"{options.host} did not answer within {seconds:g} s; it was given up", code="database_unreachable"
    )


def _frame(columns: list[Column], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    import polars as pl

    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(
                f"the answer has two columns {name!r}; give one another name with AS", code="bad_query", field="query"
            )
    parts = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pl.DataFrame([column.series(values) for column, values in zip(columns, parts, strict=True)])
