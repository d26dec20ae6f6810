"""A shop's data is replaced whole by another database's; what its owner has made stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from shopkeeper.core.clock import StoppedClock, moment
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Event, Rule, User
from shopkeeper.core.schedules import Schedule, ScheduleState
from shopkeeper.stores import jobs, schedules, schema
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.reseeding import KEPT, reseed
from shopkeeper.stores.rules import RuleStore
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 1_700_000_000_000_000
CLOCK = StoppedClock(NOW)


def database(home: Path, who: str, events: int) -> Database:
    home.mkdir()
    db = open_database(sqlite_url(home))
    names = Vocabularies.load(db)
    UserStore(db, names, CLOCK).put(User(user_id=who, attributes={"of": who})).result()
    sent = [Event(event_id=f"{who}-{n}", event_type=who, user_id=who, item_id=f"{who}-item") for n in range(events)]
    assert EventLog(db, names, CLOCK).append(sent).result().accepted == events
    RuleStore(db, CLOCK).create(Rule(name=f"{who}s-rule", condition="orders > 1"), by=who).result()
    for key, value in {"shop.id": who, "live.day": who}.items():
        Meta(db).set(key, value).result()
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with closing(database(tmp_path / "old", "old", 3)) as old:
        yield old


@pytest.fixture
def source(tmp_path: Path) -> Path:
    database(tmp_path / "new", "new", 5).close()
    return tmp_path / "new" / "shop.db"


def everything(db: Database) -> dict[str, list[tuple]]:
    tables = schema.metadata.sorted_tables
    with db.read() as connection:
        return {table.name: [tuple(row) for row in connection.execute(select(table))] for table in tables}


def test_nothing_of_the_old_data_is_left_and_what_the_owner_made_stays(db: Database, source: Path) -> None:
    Meta(db).set("erase.unswept", "1").result()  # pages that are not written over yet hold somebody who was erased
    made = {"version": 1, "created_at": 1, "created_by": "me", "description": "mine", "body": {}}
    written = {"name": "home", "version": 2, "body": {"recall": []}, "changed_at": 1, "changed_by": "me"}
    active = {"version": 1, "activated_at": 1, "activated_by": "me"}
    for table, row in (
        (schema.feature_versions, made),
        (schema.feature_activations, active),
        (schema.scenarios, written),
    ):
        db.writer.run(lambda c, table=table, row=row: c.execute(insert(table), [row]))
    before = everything(db)
    with closing(open_database(f"sqlite:///{source}")) as other:
        new = everything(other)
    reseed(db, source, {"added": "yes"}, by="", now=NOW)
    after = everything(db)
    for name in after:
        if name not in KEPT | {"meta"}:
            assert after[name] == new[name], name
    for name in ("rules", "scenarios", "feature_versions", "feature_activations"):
        assert after[name] == before[name]
        assert after[name]
    assert dict(after["meta"]) == {**dict(new["meta"]), "shop.id": "old", "erase.unswept": "1", "added": "yes"}
    names = Vocabularies.load(db)
    assert (len(names.users), names.users.row("new"), names.users.row("old")) == (1, 0, None)
    assert EventLog(db, names, CLOCK).last_seq == 5


def test_a_new_log_goes_on_with_its_own_numbers_and_relations_are_checked_again(db: Database, source: Path) -> None:
    reseed(db, source, {}, by="", now=NOW)
    log = EventLog(db, Vocabularies.load(db), CLOCK)
    added = log.append([Event(event_type="view", user_id="other", item_id="new-item")]).result()
    assert (added.first_seq, log.last_seq) == (6, 6)
    with db.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert [row[1] for row in connection.exec_driver_sql("PRAGMA database_list")] == ["main"]


def test_what_a_schedule_compared_with_is_forgotten(db: Database, source: Path) -> None:
    db.writer.run(
        lambda c: schedules.add(c, Schedule(name="n", cron="0 2 * * *", kind="train", params={}), now=1, by="")
    )
    stale = schema.schedules.update().values(state={"seq": 99, "skipped": 4})
    db.writer.run(lambda c: c.execute(stale))
    reseed(db, source, {}, by="", now=NOW)
    with db.read() as connection:
        assert schedules.get(connection, "n").state == ScheduleState()


def test_a_source_that_cannot_be_taken_changes_nothing(db: Database, tmp_path: Path) -> None:
    before = everything(db)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 400)
    with pytest.raises(Unavailable):
        reseed(db, broken, {}, by="", now=NOW)
    with closing(open_database(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        other.writer.run(lambda c: c.exec_driver_sql("DROP TABLE consents"))
    with pytest.raises(Unavailable):
        reseed(db, tmp_path / "other.db", {}, by="", now=NOW)
    assert everything(db) == before


def test_rows_that_point_at_nobody_are_not_brought_along(db: Database, source: Path) -> None:
    """Consents, identities and the like are about people who are gone."""
    agreed = dict.fromkeys(("personalization", "profiling", "marketing"), False)
    consent = {"user_row": 0, "updated_at": 1, "updated_by": "", **agreed}
    db.writer.run(lambda c: c.execute(insert(schema.consents), [consent]))
    reseed(db, source, {}, by="", now=NOW)
    with db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.consents)) == 0


def test_jobs_that_were_about_the_old_rows_end_with_them_but_not_the_one_that_made_the_new(
    db: Database, source: Path
) -> None:
    def add(connection: Connection) -> None:
        for job_id in ("ended", "taken", "waits", "maker"):
            jobs.add(connection, job_id, "erase", {"row": 0}, requested_by="", work_key=job_id, now=1, queue_limit=9)
        jobs.finish(connection, "ended", "done", now=2)
        for job_id in ("taken", "maker"):
            jobs.add_events(connection, job_id, [("status", {"status": "running"})], now=2)
            connection.execute(schema.jobs.update().where(schema.jobs.c.job_id == job_id).values(status="running"))

    db.writer.run(add)
    reseed(db, source, {}, by="maker", now=NOW)
    with db.read() as connection:
        found = {job_id: jobs.get(connection, job_id) for job_id in ("ended", "taken", "waits", "maker")}
        told = [(event.seq, event.type, event.data["status"]) for event in jobs.events(connection, "taken")]
    assert {job_id: job.status for job_id, job in found.items()} == {
        "ended": "done",
        "taken": "cancelled",
        "waits": "cancelled",
        "maker": "running",
    }
    assert found["waits"].finished_at == moment(NOW)
    assert told == [(1, "status", "running"), (2, "done", "cancelled")]
