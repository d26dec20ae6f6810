"""Erasing in SQL, piece by piece, and what it is made of."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import Connection, insert, select

from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Event, User
from shopkeeper.stores import schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import drop_stragglers, erase_events, erase_person, name_visitors
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.holdings import HOLDINGS, Person, person_at
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.sweep import sweep
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies
from shopkeeper.stores.words import BLOT, Words


@pytest.fixture
def give(vocabularies: Vocabularies, clock: StoppedClock) -> RowGiver:
    return RowGiver(vocabularies, clock)


def view(user_id: str | None, anonymous_id: str | None = None, event_id: str | None = None) -> Event:
    return Event(
        event_type="view", user_id=user_id, anonymous_id=anonymous_id, item_id="lamp", event_id=event_id, quantity=2.0
    )


def person(db: Database, vocabularies: Vocabularies, user_id: str) -> Person:
    row = vocabularies.users.row(user_id)
    assert row is not None
    with db.read() as connection:
        found = person_at(connection, row)
    assert found is not None
    return found


def test_every_table_that_points_to_a_user_is_known_to_export_and_erasure() -> None:
    tables = schema.metadata.sorted_tables
    pointing = {one.name for one in tables if any(key.column.table is schema.users for key in one.foreign_keys)}
    assert pointing == {holding.table.name for holding in HOLDINGS} | {"events"}


def test_a_device_of_two_people_belongs_to_neither(db: Database, vocabularies: Vocabularies, log: EventLog) -> None:
    log.append([view("anna", "own"), view("anna", "shared"), view("bert", "shared"), view(None, "own")]).result()
    found = person(db, vocabularies, "anna")
    assert found.user_ids == ("anna",)
    assert found.anonymous_ids == ("own",)
    assert set(found.rows) == {vocabularies.users.row("anna"), vocabularies.users.anonymous_row("own")}


def test_merged_users_are_one_person_whatever_the_chain(
    db: Database, vocabularies: Vocabularies, log: EventLog
) -> None:
    log.append([view("a"), view("b"), view("c"), view("d")]).result()
    rows = [vocabularies.users.row(name) for name in "abc"]

    def merge(connection: Connection) -> None:
        for source, target in ((rows[2], rows[1]), (rows[1], rows[0])):
            connection.execute(
                insert(schema.merges).values(from_row=source, into_row=target, merged_at=1, merged_by="")
            )

    db.writer.run(merge)
    found = person(db, vocabularies, "a")
    assert found.rows[0] == rows[0]
    assert set(found.user_ids) == {"a", "b", "c"}


@pytest.mark.parametrize("mode", ["erase", "anonymise"])
def test_events_go_piece_by_piece_and_a_second_try_finds_the_rest(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, mode: str
) -> None:
    log.append([view("anna", "own", f"e{n}") for n in range(7)] + [view("bert", event_id="other")]).result()
    anna = person(db, vocabularies, "anna")
    run = db.writer.run
    run(lambda connection: name_visitors(connection, anna, 1))
    run(lambda connection: name_visitors(connection, anna, 1))
    assert run(lambda connection: erase_events(connection, give, anna, mode, limit=5)) == 5
    again = person(db, vocabularies, "anna")
    assert (again.user_ids, again.anonymous_ids) == (anna.user_ids, anna.anonymous_ids)
    assert run(lambda connection: erase_events(connection, give, again, mode, limit=5)) == 2
    assert run(lambda connection: erase_events(connection, give, again, mode, limit=5)) == 0
    batch = log.read()
    assert batch.seq.tolist() == list(range(1, 9))
    assert (batch.user[:7] == -1).all()
    assert batch.user[7] == vocabularies.users.row("bert")
    assert (batch.quantity[:7] == 2).all() == (mode == "anonymise")
    emptied = ((batch.item[:7] == -1).all(), (batch.time[:7] % DAY == 0).all(), (batch.item[7] >= 0))
    assert emptied[0] == (mode == "erase")
    assert emptied[1] or mode == "anonymise"
    assert emptied[2]
    stored = log.recent(limit=10)
    assert len(stored) == (1 if mode == "erase" else 8)
    assert [one.event_id for one in stored if one.user_id] == ["other"]


def test_an_id_that_comes_again_is_somebody_new_even_in_the_same_commit(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    log.append([view("anna")]).result()
    anna = person(db, vocabularies, "anna")
    held = threading.Event()
    db.writer.submit(lambda _: held.wait(10))  # so that the next two are one commit
    gone = db.writer.submit(
        lambda connection: erase_person(connection, vocabularies, give, anna, "erase", Actor(), clock.wall())
    )
    back = log.append([view("anna")])
    held.set()
    gone.result()
    back.result()
    row = vocabularies.users.row("anna")
    assert row is not None
    assert row != anna.rows[0]
    assert vocabularies.users.id(row) == "anna"
    assert vocabularies.users.id(anna.rows[0]).startswith("erased-")
    assert vocabularies.users.row(vocabularies.users.id(anna.rows[0])) is None
    fresh = Vocabularies.load(db).users
    assert [fresh.id(at) for at in range(len(fresh))] == [vocabularies.users.id(at) for at in range(len(fresh))]
    assert fresh.row("anna") == row
    assert fresh.row(fresh.id(anna.rows[0])) is None
    with db.read() as connection:
        assert person_at(connection, anna.rows[0]) is None


def test_an_erasure_that_fails_leaves_the_person_findable(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    log.append([view("anna")]).result()
    anna = person(db, vocabularies, "anna")

    def fail(connection: Connection) -> None:
        erase_person(connection, vocabularies, give, anna, "erase", Actor(), clock.wall())
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        db.writer.run(fail)
    assert vocabularies.users.row("anna") == anna.rows[0]
    assert person(db, vocabularies, "anna") == anna
    log.append([view("anna")]).result()
    assert (log.read().user == anna.rows[0]).all()


def test_what_was_on_its_way_is_dropped(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    log.append([view("anna"), view("bert")]).result()
    anna, bert = person(db, vocabularies, "anna"), person(db, vocabularies, "bert")
    db.writer.run(lambda connection: erase_person(connection, vocabularies, give, anna, "erase", Actor(), clock.wall()))
    spans = [{"segment": "s", "user_row": one.rows[0], "entered_at": 1} for one in (anna, bert)]
    db.writer.run(lambda connection: connection.execute(insert(schema.segment_spans), spans).rowcount)
    db.writer.run(drop_stragglers)
    with db.read() as connection:
        assert list(connection.scalars(select(schema.segment_spans.c.user_row))) == [bert.rows[0]]


def test_an_erased_user_is_in_no_list(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    users = UserStore(db, vocabularies, clock)
    users.put(User(user_id="anna", attributes={"city": "Ulm"})).result()
    anna = person(db, vocabularies, "anna")
    db.writer.run(lambda connection: erase_person(connection, vocabularies, give, anna, "erase", Actor(), clock.wall()))
    assert users.list()[2] == 0
    assert users.attributes() == {}


def test_a_sweep_takes_deleted_bytes_out_of_the_file_between_two_writes(db: Database, log: EventLog) -> None:
    log.append(
        [Event(event_type="view", user_id="anna", item_id="x", context={"note": "n" * 3000 + "marker"})]
    ).result()
    path = db.engine.url.database
    assert path is not None
    db.writer.run(lambda connection: connection.execute(schema.events.delete()).rowcount)
    waiting = [db.writer.submit(lambda _: None) for _ in range(20)]
    sweep(db)
    for one in waiting:
        one.result()
    for name in (path, f"{path}-wal"):
        with open(name, "rb") as file:
            assert b"marker" not in file.read()


def test_a_sweep_that_waits_for_a_reader_keeps_no_write_waiting(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopkeeper.stores.sweep._TRIES", 3)
    monkeypatch.setattr("shopkeeper.stores.sweep._AGAIN_S", 0.1)
    path = db.engine.url.database
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as reader, ThreadPoolExecutor() as pool:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        db.writer.run(lambda connection: connection.execute(schema.events.delete()))
        swept = pool.submit(sweep, db)
        while not swept.done():
            db.writer.submit(lambda _: None).result(10)  # SQLite itself would wait for 15 s
        with pytest.raises(Unavailable, match="somebody reads an old state"):
            swept.result()
    sweep(db)


def test_an_error_of_what_runs_alone_comes_by_its_future_and_writing_goes_on(db: Database) -> None:
    def fail() -> None:
        raise Unavailable("not now")

    alone = db.writer.alone(fail)
    with pytest.raises(Unavailable, match="not now"):
        alone.result()
    assert db.writer.submit(lambda _: 5).result() == 5
    assert db.writer.alone(lambda: 6).result() == 6


@pytest.mark.parametrize(
    ("id", "text", "found"),
    [
        ("17", "user 17, item 171", "user [erased], item 171"),
        ("17", '{"rows": 1700, "id": "17"}', '{"rows": 1700, "id": "[erased]"}'),
        ("anna-long-id", "order_anna-long-id_3", "order_[erased]_3"),
        ("anna-long-id", '{"a":"one\\nanna-long-id"}', '{"a":"one\\n[erased]"}'),
        ("anna-long-id", "a=hi%20anna-long-id&b", "a=hi%20[erased]&b"),
        ("customer-1", "customer-17, customer-1, my.customer-1!", "customer-17, [erased], my.[erased]!"),
        ("12345678", "order 912345678 of 12345678", "order 912345678 of [erased]"),
        ('with"quote', '{"a":"with\\"quote"}', '{"a":"[erased]"}'),
        ("mail@example.org", "GET /api/v1/user/mail%40example.org", "GET /api/v1/user/[erased]"),
        ("jürgen-müller", '{"a":"j\\u00fcrgen-m\\u00fcller"}', '{"a":"[erased]"}'),
    ],
)
def test_ids_are_found_as_they_are_written(id: str, text: str, found: str) -> None:
    words = Words([id])
    assert words.in_text(text)
    assert words.blotted(text) == found
    data = text.encode()
    assert words.in_bytes(data)
    assert len(words.starred(data)) == len(data)
    assert not words.in_bytes(words.starred(data))


def test_no_ids_are_found_nowhere() -> None:
    words = Words([])
    assert not words.in_text("anything")
    assert not words.in_bytes(b"anything")
    assert words.blotted("anything") == "anything"
    assert Words(["17", "birthday", "collaborative", "next-purchase"]).unmistakable().ids == frozenset()
    assert Words(["person-1", "anna@example.org"]).unmistakable().ids == {"person-1", "anna@example.org"}


def test_a_short_id_is_taken_out_of_json_where_a_person_is_meant() -> None:
    words = Words(["17", "visitor-4711"])
    said = {
        "user_id": "17", "days": 17, "limit": "17", "users": ["17", 17, 18], "note": "of user 17, not of 170",
        "model": "m17", "deep": [{"anonymous_id": "visitor-4711", "visitor-4711": None}], "ok": True, "share": 0.17,
    }  # fmt: skip
    assert words.out_of(said) == {
        "user_id": BLOT, "days": 17, "limit": "17", "users": [BLOT, BLOT, 18],
        "note": f"of user {BLOT}, not of 170", "model": "m17", "deep": [{"anonymous_id": BLOT, BLOT: None}],
        "ok": True, "share": 0.17,
    }  # fmt: skip


def test_a_person_with_thousands_of_devices_can_be_erased(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    devices = [f"device-{n}" for n in range(3000)]
    log.append([view("anna", one) for one in devices]).result()
    users = UserStore(db, vocabularies, clock)
    users.put(User(user_id="bert", attributes={"seen_on": devices[2999], "not_on": "device-29991"})).result()
    anna = person(db, vocabularies, "anna")
    assert len(anna.anonymous_ids) == 3000
    run = db.writer.run
    run(lambda connection: name_visitors(connection, anna, 1))
    run(lambda connection: erase_person(connection, vocabularies, give, anna, "erase", Actor(), clock.wall()))
    assert users.attributes() == {vocabularies.users.row("bert"): {"seen_on": BLOT, "not_on": "device-29991"}}
    assert vocabularies.users.row("anna") is None


def test_an_id_that_is_a_word_of_the_shop_leaves_that_word_to_the_others(
    db: Database, vocabularies: Vocabularies, log: EventLog, give: RowGiver, clock: StoppedClock
) -> None:
    users = UserStore(db, vocabularies, clock)
    users.put(User(user_id="bert", attributes={"birthday": "1 May", "null": 0, "name": "birthday"})).result()
    ids = ["train", "0", "null", "birthday"]
    log.append([view(one) for one in ids]).result()
    job = {
        "job_id": "J", "kind": "train", "work_key": "train:birthday:0", "status": "queued", "progress": {},
        "params": {"model": "birthday", "epochs": 0, "user_id": "0"}, "created_at": 1, "requested_by": "local",
        "cancel_requested": False, "attempt": 0,
    }  # fmt: skip
    db.writer.run(lambda connection: connection.execute(insert(schema.jobs).values(**job)).rowcount)
    for one in ids:
        who = person(db, vocabularies, one)
        db.writer.run(
            partial(
                erase_person,
                vocabularies=vocabularies,
                give=give,
                person=who,
                mode="erase",
                actor=Actor(),
                now=clock.wall(),
            )
        )
    assert list(users.attributes().values()) == [{"birthday": "1 May", "null": 0, "name": "birthday"}]
    with db.read() as connection:
        work_key, params = connection.execute(select(schema.jobs.c.work_key, schema.jobs.c.params)).one()
    assert work_key == "train:birthday:0"
    assert params == {"model": "birthday", "epochs": 0, "user_id": BLOT}
