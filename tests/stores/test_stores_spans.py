from __future__ import annotations

import pytest
from sqlalchemy import insert

from shopkeeper.stores import schema
from shopkeeper.stores.spans import Change, Span, SpanStore
from shopkeeper.stores.sql import Database


@pytest.fixture
def store(db: Database) -> SpanStore:
    users = [
        {
            "row": n,
            "kind": "user",
            "user_id": f"u{n}",
            "attributes": {},
            "listed": True,
            "created_at": 1,
            "updated_at": 1,
        }
        for n in range(4)
    ]
    db.writer.submit(lambda connection: connection.execute(insert(schema.users), users)).result()
    return SpanStore(db)


def write(db: Database, store: SpanStore, *changes: tuple[str, int, bool, int]) -> None:
    found = [Change(segment, row, entered, time) for segment, row, entered, time in changes]
    db.writer.submit(lambda connection: store.write(connection, found)).result()


def test_in_out_and_in_again_within_one_write(db: Database, store: SpanStore) -> None:
    write(db, store, ("s", 0, True, 10), ("s", 0, False, 20), ("s", 0, True, 30), ("t", 0, True, 15))
    assert store.of_user(0) == [Span("s", 0, 30, None), Span("t", 0, 15, None), Span("s", 0, 10, 20)]
    write(db, store, ("s", 0, False, 40), ("s", 0, True, 50))
    assert store.of_user(0)[:2] == [Span("s", 0, 50, None), Span("s", 0, 30, 40)]
    assert store.of_user(3) == []
    assert {name: rows.tolist() for name, (rows, _) in store.open().items()} == {"s": [0], "t": [0]}
    assert store.open()["s"][1].tolist() == [50]
    assert store.latest() == 50


def test_an_empty_shop_has_no_spans(db: Database, store: SpanStore) -> None:
    write(db, store)
    assert (store.latest(), store.open()) == (None, {})
    assert store.members_at("s", 5, 10) == ([], 0)


def test_members_at_a_time_come_in_pages(db: Database, store: SpanStore) -> None:
    write(db, store, *[("s", row, True, 10 + row) for row in range(4)], ("other", 2, True, 1))
    write(db, store, ("s", 1, False, 20))
    found, total = store.members_at("s", 19, 2)
    assert ([span.user_row for span in found], total) == ([0, 1], 4)
    rest, _ = store.members_at("s", 19, 2, after_row=1)
    assert [span.user_row for span in rest] == [2, 3]
    assert [span.user_row for span in store.members_at("s", 20, 9)[0]] == [0, 2, 3], "who leaves at that moment is out"
    assert [span.user_row for span in store.members_at("s", 11, 9)[0]] == [0, 1], "who enters at that moment is in"


def test_what_happened_between_two_times(db: Database, store: SpanStore) -> None:
    write(db, store, ("s", 0, True, 10), ("s", 1, True, 30), ("s", 2, True, 60))
    write(db, store, ("s", 0, False, 40), ("s", 1, False, 90))
    entries, exits = store.between("s", 20, 60)
    assert (entries.tolist(), exits.tolist()) == ([20, 30, 60], [40])
    assert store.moves("s", 20, 60) == (2, 1)
    assert store.moves("s", 30, 40) == (0, 1), "what happened at the start itself is not after it"
