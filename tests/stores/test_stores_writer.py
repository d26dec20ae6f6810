from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from sqlalchemy import Connection, insert, select

from shopkeeper.core.errors import Conflict, Invalid, Overloaded, Unavailable
from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database, open_database


def put(key: str, value: str = "x"):
    def write(connection: Connection) -> str:
        connection.execute(insert(schema.meta).values(key=key, value=value))
        return key

    return write


def keys(db: Database) -> list[str]:
    with db.read() as connection:
        return sorted(connection.execute(select(schema.meta.c.key)).scalars())


class Staged:
    """A participant that keeps a list beside the table."""

    def __init__(self) -> None:
        self.staged: list[str] = []
        self.shown: list[str] = []

    def mark(self) -> int:
        return len(self.staged)

    def undo(self, mark: int) -> None:
        del self.staged[mark:]

    def publish(self) -> None:
        self.shown += self.staged
        self.staged.clear()


def block(db: Database) -> tuple[threading.Event, Future[None]]:
    """Holds the writer's thread until the event is set, so that what is submitted meanwhile forms one group."""
    entered, go = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        entered.set()
        assert go.wait(30)

    future = db.writer.submit(wait)
    assert entered.wait(30)
    return go, future


class TestWriter:
    def test_a_finished_write_is_there(self, db: Database) -> None:
        assert db.writer.run(put("a")) == "a"
        assert keys(db) == ["a"]

    def test_one_failing_write_of_a_group_fails_alone(self, db: Database) -> None:
        mirror = Staged()
        db.writer.join(mirror)

        def stage(key: str, fail: bool):
            def write(connection: Connection) -> None:
                put(key)(connection)
                mirror.staged.append(key)
                if fail:
                    raise Invalid("no")

            return write

        go, _ = block(db)
        futures = [db.writer.submit(stage(key, key == "b")) for key in "abc"]
        go.set()
        assert [type(future.exception(30)) for future in futures] == [type(None), Invalid, type(None)]
        assert keys(db) == ["a", "c"]
        assert mirror.shown == ["a", "c"]

    def test_a_broken_constraint_is_a_conflict(self, db: Database) -> None:
        db.writer.run(put("a"))
        with pytest.raises(Conflict, match="refused"):
            db.writer.run(put("a"))

    def test_after_runs_when_the_write_is_visible_and_before_the_future(self, db: Database) -> None:
        seen: list[tuple[str, list[str], bool]] = []
        go, _ = block(db)
        future = db.writer.submit(put("a"), after=lambda key: seen.append((key, keys(db), future.done())))
        go.set()
        future.result(30)
        assert seen == [("a", ["a"], False)]

    def test_an_error_in_after_reaches_the_future_and_the_thread_goes_on(self, db: Database) -> None:
        def fail(_: str) -> None:
            raise Invalid("after")

        with pytest.raises(Invalid, match="after"):
            db.writer.submit(put("a"), after=fail).result(30)
        assert db.writer.run(put("b")) == "b"

    def test_a_participant_that_cannot_show_does_not_stop_the_writer(self, db: Database) -> None:
        class Broken(Staged):
            def publish(self) -> None:
                raise Invalid("cannot show")

        db.writer.join(Broken())
        assert db.writer.run(put("a")) == "a"
        assert db.writer.run(put("b")) == "b"

    def test_a_full_queue_says_come_back_later(self, engine_url: str) -> None:
        db = open_database(engine_url, queue=2)
        go, _ = block(db)
        db.writer.submit(put("a"))
        db.writer.submit(put("b"))
        with pytest.raises(Overloaded):
            db.writer.submit(put("c"))
        go.set()
        db.close()
        assert keys(open_database(engine_url)) == ["a", "b"]

    def test_close_finishes_what_waits_and_refuses_what_comes(self, engine_url: str) -> None:
        db = open_database(engine_url)
        go, _ = block(db)
        futures = [db.writer.submit(put(f"k{n}")) for n in range(50)]
        threading.Timer(0.05, go.set).start()
        db.close()
        assert all(future.done() for future in futures)
        with pytest.raises(Unavailable):
            db.writer.submit(put("late"))
        assert len(keys(open_database(engine_url))) == 50

    def test_a_write_that_was_cancelled_in_time_never_happens(self, db: Database) -> None:
        go, _ = block(db)
        future = db.writer.submit(put("a"))
        assert future.cancel()
        go.set()
        db.writer.run(put("b"))
        assert keys(db) == ["b"]

    def test_run_on_the_writers_own_thread_is_refused(self, db: Database) -> None:
        def inner(_: Connection) -> None:
            db.writer.run(put("a"))

        with pytest.raises(RuntimeError, match="writer's thread"):
            db.writer.run(inner)

    @pytest.mark.usefixtures("db")
    def test_a_read_only_database_cannot_be_written(self, engine_url: str) -> None:
        reader = open_database(engine_url, read_only=True)
        with pytest.raises(Unavailable):
            reader.writer.run(put("a"))
        reader.close()


def overfill(connection: Connection) -> None:
    """Writes more than the database may hold: what a full disk does, which ends the whole transaction."""
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 8}")
    try:
        put("big", "x" * 4_000_000)(connection)
    finally:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000000")


class TestFullDisk:
    def test_nothing_of_a_lost_transaction_is_acknowledged(self, db: Database) -> None:
        mirror = Staged()
        db.writer.join(mirror)

        def stage(key: str):
            def write(connection: Connection) -> None:
                put(key)(connection)
                mirror.staged.append(key)

            return write

        go, _ = block(db)
        writes = {"early": stage("early"), "big": overfill, "late": stage("late")}
        waiting = {key: db.writer.submit(write) for key, write in writes.items()}
        go.set()
        acknowledged = [key for key, future in waiting.items() if future.exception(30) is None]
        assert keys(db) == acknowledged == mirror.shown

    def test_the_first_error_is_told(self, db: Database) -> None:
        with pytest.raises(Unavailable, match="full"):
            db.writer.run(overfill)
        assert db.writer.run(put("next")) == "next"
