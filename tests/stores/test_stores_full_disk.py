"""A full disk ends the whole transaction of a group: nothing of it may be acknowledged, and all goes on after."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, insert, select

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Event
from shopkeeper.stores import schema
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import Database


class Mirror:
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

    def put(self, key: str):
        def write(connection: Connection) -> None:
            connection.execute(insert(schema.meta).values(key=key, value="x"))
            self.staged.append(key)

        return write


def overfill(connection: Connection) -> None:
    """Writes more than the database may hold."""
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 8}")
    try:
        connection.execute(insert(schema.meta).values(key="big", value="x" * 4_000_000))
    finally:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000000")


def block(db: Database) -> threading.Event:
    """Holds the writer's thread, so that what is submitted until the event is set forms one group."""
    entered, go = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        entered.set()
        assert go.wait(30)

    db.writer.submit(wait)
    assert entered.wait(30)
    return go


def test_nothing_of_a_lost_transaction_is_acknowledged(db: Database) -> None:
    mirror = Mirror()
    db.writer.join(mirror)
    go = block(db)
    writes = {"early": mirror.put("early"), "big": overfill, "late": mirror.put("late")}
    waiting = {key: db.writer.submit(write) for key, write in writes.items()}
    go.set()
    acknowledged = [key for key, future in waiting.items() if future.exception(30) is None]
    with db.read() as connection:
        stored = sorted(connection.execute(select(schema.meta.c.key)).scalars())
    assert stored == acknowledged == mirror.shown


def test_the_first_error_is_told_and_the_writer_goes_on(db: Database) -> None:
    mirror = Mirror()
    db.writer.join(mirror)
    with pytest.raises(Unavailable, match="full"):
        db.writer.run(overfill)
    db.writer.run(mirror.put("next"))
    assert mirror.shown == ["next"]


def test_events_that_never_reached_the_disk_are_refused_and_later_ones_are_taken(log: EventLog, db: Database) -> None:
    go = block(db)
    full = db.writer.submit(overfill)
    lost = log.append([Event(event_type="click", user_id="u", item_id="i")])
    go.set()
    assert isinstance(full.exception(30), Unavailable)
    assert isinstance(lost.exception(30), Unavailable)
    taken = log.append([Event(event_type="click", user_id="u", item_id="i")]).result(30)
    assert (taken.accepted, taken.first_seq, log.read().seq.tolist()) == (1, 1, [1])
