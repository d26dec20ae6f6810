"""Databases as a source of training rows: types, names, what is refused, and servers that fail."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from datetime import UTC, date, datetime

import databases
import polars as pl
import pytest

from shopkeeper.core.errors import Cancelled, Invalid, NotFound, Refused, Unavailable
from shopkeeper.core.protocols import silent
from shopkeeper.sources.tables import base, mysql, postgres, read_table, sql
from shopkeeper.sources.tables.sql import SqlOptions

ENGINES = ("mariadb", "postgres")


@pytest.fixture(params=ENGINES)
def server(request):
    return request.getfixturevalue(request.param)


def read(server, report=silent, zone="Europe/Berlin", **more):
    return read_table(server.source(**more), zone=zone, report=report)


def refused(kind, server, **more):
    with pytest.raises(kind) as caught:
        read(server, **more)
    assert server.password not in caught.value.message
    return caught.value


def test_types_of_mysql(mariadb):
    mariadb.run(
        "CREATE TABLE types (big BIGINT UNSIGNED, n TINYINT, price DECIMAL(10,2), f FLOAT, b BOOL, bits BIT(3), d DATE,"
        " dt DATETIME(6), ts TIMESTAMP NULL, t TIME, y YEAR, txt LONGTEXT, js JSON, e ENUM('a','b'))",
        "INSERT INTO types VALUES (18446744073709551615, -5, 12.50, 2.5, 1, b'101', '2024-01-05',"
        " '2024-07-05 10:00:00.5', '2024-07-05 10:00:00', '10:00:30', 2024, '杯子 100%', '{\"a\":1}', 'a')",
        "INSERT INTO types (n) VALUES (NULL)",
        "SET sql_mode=''",
    )  # fmt: skip
    frame = read(mariadb, table="types").frame
    assert frame.row(0) == (
        1.8446744073709552e19, -5, 12.5, 2.5, 1, 5, date(2024, 1, 5),
        datetime(2024, 7, 5, 8, 0, 0, 500_000, UTC),  # what has no zone is the shop's
        datetime(2024, 7, 5, 10, tzinfo=UTC),  # a TIMESTAMP has one
        36030.0, 2024, "杯子 100%", '{"a":1}', "a",
    )  # fmt: skip
    assert set(frame.row(1)) == {None}


def test_a_day_that_is_none_is_missing(mariadb):
    frame = read(mariadb, query="SELECT CAST('0000-00-00' AS DATE) AS d").frame
    assert frame["d"].to_list() == [None]


def test_types_of_postgres(postgres):
    postgres.run(
        "CREATE TABLE types (n smallint, price numeric(10,2), f real, b boolean, d date, dt timestamp, ts timestamptz,"
        " i interval, txt text, js jsonb, u uuid, arr int[], bits bytea)",
        "INSERT INTO types VALUES (-5, 12.50, 2.5, true, '2024-01-05', '2024-07-05 10:00', '2024-07-05 10:00+05',"
        " '1 day 30 seconds', '杯子 100%', '{\"a\":1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,2}', 'as text')",
        "INSERT INTO types (n) VALUES (NULL)",
    )
    frame = read(postgres, table="public.types").frame
    assert frame.row(0) == (
        -5, 12.5, 2.5, True, date(2024, 1, 5), datetime(2024, 7, 5, 8, tzinfo=UTC), datetime(2024, 7, 5, 5, tzinfo=UTC),
        86430.0, "杯子 100%", '{"a":1}', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "[1,2]", "as text",
    )  # fmt: skip
    assert set(frame.row(1)) == {None}


@pytest.mark.parametrize(
    "name", ["we`ird", 'two "quotes"', "x; DROP TABLE keep --", "表 格", "per%cent %s", "back\\slash", "'", "a b"]
)
def test_a_name_is_a_name_whatever_it_holds(server, name):
    quote = '"' if server.kind == "postgres" else "`"
    made = quote + name.replace(quote, quote * 2) + quote
    server.run(f"CREATE TABLE {made.replace('%', '%')} (n int)", f"INSERT INTO {made} VALUES (7)")
    try:
        assert read(server, table=name).frame["n"].to_list() == [7]
    finally:
        server.run(f"DROP TABLE {made}")


def test_a_name_of_a_table_is_never_read_as_sql(server):
    server.run("CREATE TABLE keep (n int)", "INSERT INTO keep VALUES (1)")
    try:
        for name in ("keep; DROP TABLE keep", "keep` WHERE 1=0 -- ", 'keep" WHERE 1=0 -- ', "nul\0"):
            refused((NotFound, Invalid), server, table=name)
        assert read(server, table="keep").frame.height == 1
    finally:
        server.run("DROP TABLE keep")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS n; DROP TABLE kept",
        "SELECT 1 AS n; COMMIT; DROP TABLE kept",
        "DROP TABLE kept",
        "/* SELECT */ DELETE FROM kept",
        "/*! DROP TABLE kept */",
        "INSERT INTO kept VALUES (2)",
        "WITH gone AS (DELETE FROM kept RETURNING n) SELECT * FROM gone",
        "SELECT * INTO OUTFILE '/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * INTO/**/OUTFILE '/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * INTO # \n OUTFILE '/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * INTO/*!OUTFILE*/'/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * /*!50000INTO*//*!50000OUTFILE*/ '/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * INTO/**/DUMPFILE '/tmp/shopkeeper-outfile' FROM kept",
        "SELECT * INTO copied FROM kept",
        "CALL writing()",
        "SELECT writing() AS n",
        "",
        "   ",
        "SELECT '\0'",
    ],
)
def test_a_query_only_reads(server, query):
    function = (
        "CREATE FUNCTION writing() RETURNS int LANGUAGE sql AS 'DELETE FROM kept RETURNING 1'"
        if server.kind == "postgres"
        else "CREATE FUNCTION writing() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM kept; RETURN 1; END"
    )
    server.run("CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)", function)
    try:
        error = refused(Invalid, server, query=query)
        assert error.code in ("bad_query", "bad_option")
        assert read(server, table="kept").frame["n"].to_list() == [1]
        assert not os.path.exists("/tmp/shopkeeper-outfile")
    finally:
        server.run("DROP FUNCTION writing" + ("()" if server.kind == "postgres" else ""), "DROP TABLE kept")


def test_a_query_may_hold_what_looks_like_a_place_for_values(server):
    query = "-- all of them\n/* really */ (SELECT 1 AS n, '100% %s {x} $1 ;' AS text) ;\n"
    frame = read(server, query=query).frame
    assert frame.rows() == [(1, "100% %s {x} $1 ;")]


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({"query": "SELECT nowhere FROM t"}, (NotFound, Invalid), "t"),
        ({"query": "SELECT"}, Invalid, "query"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, Invalid, "two columns 'a'"),
        ({"query": "SELECT 1 AS n WHERE 1 = 0"}, Invalid, "no rows"),
        ({"table": "missing"}, NotFound, "missing"),
        ({"table": "x", "database": "nowhere"}, NotFound, "nowhere"),
        ({}, Invalid, "exactly one"),
        ({"query": "SELECT 1", "table": "x"}, Invalid, "exactly one"),
        ({"query": "SELECT 1", "password": "not the one"}, Refused, "password"),
        ({"query": "SELECT 1", "user": "stranger"}, Refused, "stranger"),
        ({"query": "SELECT 1", "port": 1}, Unavailable, "127.0.0.1"),
        ({"query": "SELECT 1", "host": "no-such-host.invalid"}, Unavailable, "no-such-host.invalid"),
        ({"query": "SELECT 1", "host": "/var/run"}, Invalid, "host"),
        ({"query": "SELECT 1", "host": "a,b"}, Invalid, "host"),
        ({"query": "SELECT 1", "host": "anna@a"}, Invalid, "host"),
        ({"query": "SELECT 1", "port": 0}, Invalid, "port"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server, change, kind, word):
    assert word in refused(kind, server, **change).message


def test_binary_data_is_refused_by_column(server):
    text = "'\\x00ff'::bytea" if server.kind == "postgres" else "0x00ff"
    assert "'blob'" in refused(Invalid, server, query=f"SELECT {text} AS blob").message


def big(server):
    """A table of more rows than a chunk has, wide enough that the server cannot have sent all of it at once."""
    fill = "repeat('x', 500)"
    rows = "generate_series(1, 60000) AS n" if server.kind == "postgres" else "seq_1_to_60000"
    name = "n" if server.kind == "postgres" else "seq AS n"
    server.run("DROP TABLE IF EXISTS big", f"CREATE TABLE big AS SELECT {name}, {fill} AS filler FROM {rows}")


def test_rows_come_in_chunks_and_are_told(server):
    big(server)
    told = []
    table = read(server, lambda step, *_, **__: told.append(step), table="big")
    assert table.frame["n"].to_list() == list(range(1, 60_001))
    assert told == [0, *range(10_000, 70_000, 10_000)]


def test_a_stop_in_the_middle_ends_the_connection(server):
    big(server)

    def stop(step, of, metrics=None, *, message="", epoch=False):
        if step >= 20_000:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        read(server, stop, table="big")


def test_too_many_rows_are_refused(server, monkeypatch):
    big(server)
    monkeypatch.setattr(base, "MAX_ROWS", 25_000)
    assert "25,000 rows" in refused(Invalid, server, table="big").message


def test_a_connection_that_is_lost_half_way(server):
    big(server)

    def kill(step, of, metrics=None, *, message="", epoch=False):
        if step == 10_000:
            if server.kind == "postgres":
                server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='shopkeeper'")
            else:
                _kill_readers(server)

    assert "127.0.0.1" in refused(Unavailable, server, report=kill, table="big").message


def _kill_readers(server):
    import pymysql

    with pymysql.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=server.password
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE info LIKE '%%big%%' AND id<>connection_id()"
        )
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {int(number)}")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_falls_silent_is_given_up(engine, monkeypatch):
    monkeypatch.setattr(mysql, "ANSWER_S", 0.5)
    monkeypatch.setattr(postgres, "ANSWER_S", 0.5)
    with getattr(databases, engine)() as own:
        big(own)

        def freeze(step, of, metrics=None, *, message="", epoch=False):
            if step == 10_000:
                for process in _family(own.process.pid):
                    os.kill(process, signal.SIGSTOP)

        try:
            error = refused(Unavailable, own, report=freeze, table="big")
            assert "0.5 s" in error.message
        finally:
            for process in _family(own.process.pid):
                os.kill(process, signal.SIGCONT)


def _family(pid):
    import psutil

    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


@pytest.mark.parametrize("kind", ["mysql", "doris", "postgres"])
def test_a_server_that_never_speaks_is_given_up(kind, monkeypatch):
    monkeypatch.setattr(mysql, "CONNECT_S", 0.3)
    monkeypatch.setattr(postgres, "CONNECT_S", 2)  # libpq takes no less
    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = {"kind": kind, "host": "127.0.0.1", "port": listener.getsockname()[1], "query": "SELECT 1"}
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            read_table({**source, "user": "u", "password": "hush-hush"}, zone="UTC")


def test_a_server_that_speaks_something_else(monkeypatch):
    monkeypatch.setattr(mysql, "CONNECT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_babble, args=(listener,))
        thread.start()
        source = {"kind": "mysql", "host": "127.0.0.1", "port": listener.getsockname()[1], "query": "SELECT 1"}
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            read_table({**source, "user": "u", "password": "hush-hush"}, zone="UTC")
        thread.join()


def _babble(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        connection.recv(100)


@pytest.mark.parametrize(("kind", "package"), [("mysql", "pymysql"), ("doris", "pymysql"), ("postgres", "psycopg")])
def test_a_missing_driver_is_named_with_its_extra(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    extra = "postgres" if kind == "postgres" else "mysql"
    with pytest.raises(Unavailable, match=rf"shopkeeper\[{extra}\]"):
        read_table({"kind": kind, "query": "SELECT 1"}, zone="UTC")


def test_tls_is_used_where_the_server_has_it(mariadb):
    cipher = "SELECT VARIABLE_VALUE AS c FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME='SSL_CIPHER'"
    assert read(mariadb, query=cipher).frame["c"].to_list() == [""]
    with databases.mariadb(tls=True) as secure:
        assert read(secure, query=cipher).frame["c"].to_list()[0].startswith("TLS")


def test_a_password_in_what_the_server_says_is_blacked_out(mariadb):
    options = sql.SqlOptions(query="SELECT 1", password="tower")
    assert sql.scrubbed("Access denied for 'tower'", options) == "Access denied for '***'"


def test_ports_of_the_kinds():
    assert (mysql.MysqlTable.default_port, mysql.DorisTable.default_port) == (3306, 9030)
    assert postgres.PostgresTable.default_port == 5432


def test_a_frame_of_the_database_has_the_shops_time_zone(server):
    frame = read(server, query="SELECT CAST('2024-07-05 10:00:00' AS " + (
        "timestamp" if server.kind == "postgres" else "datetime") + ") AS at", zone="Asia/Shanghai").frame  # fmt: skip
    assert frame["at"].to_list() == [datetime(2024, 7, 5, 2, tzinfo=UTC)]
    assert frame.schema["at"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("query", "reads"),
    [
        ("WITH a AS (SELECT 1) DELETE FROM kept", False),
        ("WITH a AS (SELECT 1) /* x */ UPDATE kept SET n = 1", False),
        ("WITH a AS (SELECT 1) UPDATE `kept` k SET n = 1", False),
        ("WITH a AS (SELECT 1) UPDATE`kept`SET n = 1", False),
        ("WITH a AS (SELECT 1) INSERT/**/INTO kept SELECT 1", False),
        ("WITH a AS (SELECT 1) /*!DELETE FROM*/ kept", False),
        ("SELECT 1; DROP TABLE kept", False),
        ("SELECT 'it\\'s'; DROP TABLE kept -- '", False),
        ("SELECT '1; DELETE FROM kept' AS n -- ; DELETE FROM kept", True),
        ('SELECT "a;\'b" AS `;`, 1 /* ; */ AS n # ;', True),
        ("WITH a AS (SELECT update_time, deleted FROM kept) SELECT * FROM a;", True),
    ],
)
def test_what_doris_would_write_is_refused_before(query, reads):
    """Doris knows no read-only session."""
    options = SqlOptions(query=query)
    if reads:
        assert mysql.DorisTable().statement(options)
    else:
        with pytest.raises(Invalid, match="only reads"):
            mysql.DorisTable().statement(options)


def test_a_long_query_is_looked_at_in_no_time():
    """As long as is allowed; one that took the square of its length would take minutes."""
    for word in ("into ", "update a ", "'", "/*", "(", "-- \n", "insert "):
        query = ("SELECT " + word * 20_000)[:100_000]
        with suppress(Invalid):
            mysql.DorisTable().statement(SqlOptions(query=query))
