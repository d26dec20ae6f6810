"""The log of slates: noted without waiting, found at once, written in batches, forgotten in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import DAY, HOUR, StoppedClock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Event, RecItem
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.slatelog import SlateLog
from shopkeeper.stores import schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import erase_person
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.holdings import HOLDINGS, count_of, lines_of, person_at
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.slates import drop_before, most_asked, oldest_kept
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * DAY
Test = Callable[..., Coroutine[Any, Any, None]]


def looped(test: Test) -> Callable[..., None]:
    """A test that runs on a loop of its own."""

    @wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))

    return run


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = open_database(sqlite_url(tmp_path))
    yield database
    database.close()


@pytest.fixture
def vocab(db: Database) -> Vocabularies:
    vocab = Vocabularies.load(db)
    events = [Event(event_type="view", user_id=user, item_id="lamp") for user in ("anna", "bert")]
    EventLog(db, vocab, StoppedClock(NOW)).append(events).result()
    return vocab


def made(user_id: str = "anna", user: int = 0, slate_id: str | None = None) -> Made:
    items = [
        RecItem(item_id=name, score=score, confidence=None, explanation="", metadata={"channels": ["ease"]})
        for name, score in (("lamp", 0.75), ("mug", 0.5))
    ]
    return Made(
        slate_id=slate_id or ulid(),
        user_id=user_id,
        user=user,
        scenario="home",
        scenario_version=3,
        items=tuple(items),
        rows=np.array([0, 1], dtype=np.int32),
        made_at=NOW,
        ttl_s=300.0,
        taken_ms=1.0,
        model_version="home_ranker:1",
        versions={"ease": 2, "home_ranker": 1},
        stages={},
    )


def log_of(db: Database, vocab: Vocabularies, **more: float) -> SlateLog:
    return SlateLog(db, vocab.users, StoppedClock(NOW), **more)  # type: ignore[arg-type]


def count(db: Database) -> int:
    with db.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.slates)) or 0


@looped
async def test_a_slate_is_found_by_every_id_of_its_answers_before_and_after_it_is_written(
    db: Database, vocab: Vocabularies
) -> None:
    log, slate = log_of(db, vocab), made()
    log.note(slate)
    log.served(slate.slate_id)
    early = await log.find(f"{slate.slate_id}-1F")
    assert log.waiting == 1
    assert count(db) == 0
    await log.stop()
    assert log.waiting == 0
    assert count(db) == 1
    log.served(slate.slate_id, 2)
    late = await log.find(slate.slate_id)
    await log.stop()
    assert (early.served, late.served, (await log.find(slate.slate_id)).served) == (2, 4, 4)
    assert early.request_id == f"{slate.slate_id}-1F"
    assert (late.user_id, late.scenario, late.scenario_version) == ("anna", "home", 3)
    assert [(item.item_id, item.score, item.channels) for item in late.items] == [
        ("lamp", 0.75, ["ease"]),
        ("mug", 0.5, ["ease"]),
    ]
    assert late.versions == {"ease": 2, "home_ranker": 1}
    assert late.position("mug") == 1
    with pytest.raises(NotFound, match="was not in the answer"):
        late.position("chair")


@pytest.mark.parametrize(
    "unknown",
    ["", "x", "01HZZZZZZZZZZZZZZZZZZZZZZZ", "01HZZZZZZZZZZZZZZZZZZZZZZZ-02", "0" * 200, "\0'; --",
     "{slate}-", "{slate}-é", "{slate}-02\n", "{slate}-" + "2" * 100],
)  # fmt: skip
@looped
async def test_what_was_never_answered_is_not_found(db: Database, vocab: Vocabularies, unknown: str) -> None:
    log, slate = log_of(db, vocab), made()
    log.note(slate)
    with pytest.raises(NotFound):
        await log.find(unknown.format(slate=slate.slate_id))


@looped
async def test_while_it_runs_it_writes_by_itself_and_a_slow_disk_keeps_nobody_waiting(
    db: Database, vocab: Vocabularies
) -> None:
    log = log_of(db, vocab, waiting=3)
    gate = threading.Event()
    db.writer.submit(lambda _: gate.wait(60))
    log.start()
    kept = [made() for _ in range(5)]
    for slate in kept:
        log.note(slate)  # two more than may wait
    assert log.waiting == 3
    for slate in kept[:3]:
        assert (await log.find(slate.slate_id)).user_id == "anna"
    with pytest.raises(NotFound):
        await log.find(kept[3].slate_id)
    gate.set()
    async with asyncio.timeout(30):
        while log.waiting:
            await asyncio.sleep(0.01)
    assert count(db) == 3
    await log.stop()


@looped
async def test_slates_that_come_while_others_are_written_are_gathered(
    db: Database, vocab: Vocabularies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit for each few of them took as much time as making them did."""
    log, commits, submit = log_of(db, vocab), 0, db.writer.submit

    def counted(*given: Any, **more: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits < 50:
            log.note(made())  # the next one is there before this one is written
        return submit(*given, **more)

    monkeypatch.setattr(db.writer, "submit", counted)
    log.note(made())
    assert await log._try()
    assert count(db) == 1
    assert log.waiting == commits <= 2  # the second takes away what is old


@looped
async def test_what_sql_refuses_is_tried_again(db: Database, vocab: Vocabularies, tmp_path: Path) -> None:
    log, slate = log_of(db, vocab), made()
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE slates RENAME TO elsewhere")
    log.note(slate)
    log.served(slate.slate_id)
    await log.stop()
    assert log.waiting == 1
    assert (await log.find(slate.slate_id)).served == 2
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO slates")
    await log.stop()
    assert (log.waiting, count(db)) == (0, 1)
    assert (await log.find(slate.slate_id)).served == 2


@looped
async def test_while_it_runs_what_sql_refused_is_tried_again_though_nothing_new_comes(
    db: Database, vocab: Vocabularies
) -> None:
    log = log_of(db, vocab)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE slates RENAME TO elsewhere")
    log.note(made())
    await log._try()
    log.start()
    assert log.waiting == 1
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO slates")
    async with asyncio.timeout(30):
        while log.waiting:
            await asyncio.sleep(0.01)
    assert count(db) == 1
    await log.stop()


@looped
async def test_what_was_asked_most_is_of_the_newest_slates(db: Database, vocab: Vocabularies) -> None:
    log, now_ms = log_of(db, vocab), NOW // 1000
    old, *new = [
        made(user_id, row, ulid(now_ms - age)) for age, user_id, row in ((3, "x", -1), (2, "bert", 1), (1, "anna", 0))
    ]
    for slate in (old, *new):
        log.note(slate)
    log.served(old.slate_id, 9)
    log.served(new[1].slate_id, 5)
    await log.stop()
    with db.read() as connection:
        assert most_asked(connection, 5, of=2) == [(0, None, "home", 2), (1, None, "home", 2)]
        assert most_asked(connection, 1) == [(None, "x", "home", 2)]


@looped
async def test_one_slate_that_cannot_be_written_does_not_keep_the_next_from_it(
    db: Database, vocab: Vocabularies
) -> None:
    log, good = log_of(db, vocab), made()
    log.note(made(user=999))  # a row that nobody has
    await log.stop()
    log.note(good)
    await log.stop()
    assert (log.waiting, count(db)) == (0, 1)


@looped
async def test_old_slates_go_by_their_real_age_and_all_but_the_newest(db: Database, vocab: Vocabularies) -> None:
    ages_h = [1, 30, 26, 2, 3]
    log = log_of(db, vocab)
    log._next_look = float("inf")  # by hand, below
    now_ms = NOW // 1000
    for age in ages_h:
        log.note(made(slate_id=ulid(now_ms - age * HOUR // 1000)))
    await log.stop()
    with db.read() as connection:
        cut = oldest_kept(connection, now_ms - 24 * HOUR // 1000, 100)
        fewer = oldest_kept(connection, now_ms - 24 * HOUR // 1000, 2)
    assert db.writer.run(lambda connection: drop_before(connection, cut, 1)) == 1
    assert db.writer.run(lambda connection: drop_before(connection, cut, 10)) == 1
    assert db.writer.run(lambda connection: drop_before(connection, cut, 10)) == 0
    assert count(db) == 3
    db.writer.run(lambda connection: drop_before(connection, fewer, 10))
    assert count(db) == 2


@looped
async def test_a_step_of_the_clock_back_takes_nothing(db: Database, vocab: Vocabularies) -> None:
    log = SlateLog(db, vocab.users, StoppedClock(0))
    log.note(made())
    await log.stop()
    assert count(db) == 1


@looped
async def test_a_stranger_who_becomes_known_and_is_erased_before_sql_came_back_is_in_no_row(
    db: Database, vocab: Vocabularies
) -> None:
    log = log_of(db, vocab)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE slates RENAME TO elsewhere")
    hers, still = [made("new", -1), made("new", -1)], made("other", -1)
    log.note(hers[0])
    await log.stop()  # tried, and in the batch that is tried again
    log.note(hers[1])
    log.note(still)
    clock = StoppedClock(NOW)
    EventLog(db, vocab, clock).append([Event(event_type="view", user_id="new", item_id="mug")]).result()
    row = vocab.users.row("new")
    assert row is not None
    log.hear(Change("user", rows=(row,)))
    assert (await log.find(hers[0].slate_id)).user_id == "new"
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO slates")
    with db.read() as connection:
        person = person_at(connection, row)
    assert person is not None
    db.writer.run(lambda one: erase_person(one, vocab, RowGiver(vocab, clock), person, "erase", Actor(), NOW))
    log.forget(row)
    await log.stop()
    with db.read() as connection:
        left = connection.execute(select(schema.slates.c.slate_id, schema.slates.c.user_id)).all()
    assert [tuple(one) for one in left] == [(still.slate_id, "other")]


@looped
async def test_strangers_and_known_people_are_forgotten_with_all_that_was_shown_to_them(
    db: Database, vocab: Vocabularies
) -> None:
    log = log_of(db, vocab)
    stranger, anna, refusing = made("new", -1), made(), made("anna", -1)
    log.note(stranger)
    log.note(anna)
    log.note(refusing)
    await log.stop()
    assert (await log.find(stranger.slate_id)).user_id == "new"
    clock = StoppedClock(NOW)
    EventLog(db, vocab, clock).append([Event(event_type="view", user_id="new", item_id="mug")]).result()
    shown = {"new": [stranger.slate_id], "anna": sorted([anna.slate_id, refusing.slate_id])}
    for user_id, slates in shown.items():
        row = vocab.users.row(user_id)
        assert row is not None
        with db.read() as connection:
            person = person_at(connection, row)
            assert person is not None
            holding = next(one for one in HOLDINGS if one.name == "slates")
            assert sorted(line["slate_id"] for line in lines_of(connection, holding, person)) == slates
            assert count_of(connection, holding, person) == len(slates)
        late = made(user_id, row)
        log.note(late)
        forgotten = made(user_id, row)
        db.writer.run(
            lambda connection, person=person: erase_person(
                connection, vocab, RowGiver(vocab, clock), person, "erase", Actor(), NOW
            )
        )
        with pytest.raises(NotFound):
            await log.find(late.slate_id)
        await log.stop()
        log.note(forgotten)
        log.forget(row)
        assert log.waiting == 0
    assert count(db) == 0
