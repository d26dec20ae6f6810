"""What rankers saw is logged, is what a replay of the log computes, and is learned from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import func, select

from shopkeeper.core.clock import DAY, HOUR, SECOND, StoppedClock, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import TrainingContext
from shopkeeper.core.records import Event
from shopkeeper.features.base import Ask
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet
from shopkeeper.recommend.made import Made, Seen
from shopkeeper.recommend.ranking.served_rows import labelled, served_rows
from shopkeeper.recommend.ranking.skew import Skew, skew
from shopkeeper.recommend.servedlog import ServedLog
from shopkeeper.stores import schema, served_vectors
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import erase_person
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.following import Following
from shopkeeper.stores.holdings import HOLDINGS, count_of, person_at
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * DAY
UTC = ZoneInfo("UTC")
ITEMS = ("lamp", "mug", "vase", "clock")


class World:
    """A log that is followed live, as a shop does it, on a clock that is set by hand."""

    def __init__(self, home: Path) -> None:
        self.url = sqlite_url(home)
        self.db = open_database(self.url)
        self.vocab = Vocabularies.load(self.db)
        self.clock = StoppedClock(NOW + 400 * DAY)
        self.log = EventLog(self.db, self.vocab, self.clock)
        self.state = FeatureState(UTC, self.vocab.event_types)
        self.following = Following(self.log, [self.state])

    def happens(self, type_: str, user: str, item: str, time: int, **more: Any) -> None:
        price = {"quantity": 1.0, "unit_price": 2.5} if type_ == "order" else {}
        event = Event(event_type=type_, user_id=user, item_id=item, time=moment(time), **price, **more)
        self.log.append([event]).result()
        self.following.catch_up()

    def made(self, user: str, now: int, names: Sequence[str] | None = None) -> Made:
        """What a ranker sees of all items at `now`."""
        rows = np.arange(len(self.vocab.items), dtype=np.int32)
        row = self.vocab.users.row(user)
        row = -1 if row is None else row
        features = FeatureSet(names)
        vectors = features.matrix(Ask.live(row, now, rows, self.state))
        return Made(
            slate_id=ulid(now // 1000),
            user_id=user,
            user=row,
            scenario="home",
            scenario_version=1,
            items=(),
            rows=rows,
            made_at=now,
            ttl_s=0.0,
            taken_ms=1.0,
            model_version="home_ranker:3",
            versions={},
            stages={},
            seen=Seen("home_ranker", 3, features.names, vectors),
        )

    def skew(self) -> Skew:
        with self.db.read() as connection:
            served = list(served_vectors.read(connection))
        return skew(self.log.read().by_time(), served, UTC, self.vocab.event_types)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.db.close()


def count(db: Database) -> int:
    with db.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.served_vectors)) or 0


def note(log: ServedLog, *made: Made) -> None:
    async def run() -> None:
        log.start()
        for one in made:
            log.note(one)
        await log.stop()

    asyncio.run(run())


def live_weeks(world: World, log: ServedLog) -> None:
    """Three weeks of three users, one slate after every third event."""
    rng = np.random.default_rng(5)
    slates = []
    for step in range(90):
        now = NOW + step * 5 * HOUR + int(rng.integers(HOUR))
        type_, user, item = rng.choice(["view", "order", "click"]), rng.choice(["anna", "bert", "cleo"]), step % 4
        world.happens(str(type_), str(user), ITEMS[item], now)
        if step % 3 == 2:
            slates.append(world.made(str(user), now + int(rng.integers(3)) * SECOND))
    note(log, *slates)


def test_a_replay_computes_what_was_served(world: World) -> None:
    live_weeks(world, ServedLog(world.db, share=1.0))
    found = world.skew()
    assert found.slates == 30
    assert found.values > 30 * 3 * 40
    assert (found.differing, found.columns) == (0, [])


def test_events_that_came_late_are_told_as_skew(world: World) -> None:
    live_weeks(world, ServedLog(world.db, share=1.0))
    world.happens("order", "anna", "lamp", NOW + HOUR)
    told = {one.name: one for one in world.skew().columns}
    assert {"user_orders_all", "user_spend_all", "item_lines_all"} <= set(told)
    assert told["user_spend_all"].largest == 2.5
    assert "context_hour" not in told


def test_a_share_is_logged_and_the_same_one_each_time(world: World) -> None:
    world.happens("view", "anna", "lamp", NOW)
    slates = [world.made("anna", NOW + number * SECOND, ["context_hour"]) for number in range(400)]
    note(ServedLog(world.db, share=0.25), *slates)
    once = count(world.db)
    assert 60 <= once <= 140
    note(ServedLog(world.db, share=0.25), *slates)
    assert count(world.db) == once
    note(ServedLog(world.db, share=0.0), *slates)
    assert count(world.db) == once


def test_a_slow_disk_costs_slates_and_no_waiting(world: World) -> None:
    world.happens("view", "anna", "lamp", NOW)
    held = threading.Event()
    world.db.writer.submit(lambda _: held.wait(20))
    log = ServedLog(world.db, share=1.0, waiting=10)

    async def run() -> None:
        log.start()
        for number in range(25):
            log.note(world.made("anna", NOW + number * SECOND, ["context_hour"]))
        assert log.waiting == 10
        held.set()
        await log.stop()

    asyncio.run(run())
    assert (count(world.db), log.waiting) == (10, 0)


def test_what_a_closed_database_cannot_take_waits(world: World) -> None:
    world.happens("view", "anna", "lamp", NOW)
    made = world.made("anna", NOW, ["context_hour"])
    log = ServedLog(world.db, share=1.0)
    world.db.close()
    note(log, made)
    assert log.waiting == 1


def test_a_person_takes_theirs_along(world: World) -> None:
    for user in ("anna", "bert"):
        world.happens("view", user, "lamp", NOW)
    log = ServedLog(world.db, share=1.0)
    note(log, world.made("anna", NOW), world.made("bert", NOW), world.made("stranger", NOW))
    holding = next(one for one in HOLDINGS if one.name == "served_vectors")
    row = world.vocab.users.row("anna")
    assert row is not None
    waiting = world.made("anna", NOW + HOUR)
    log.note(waiting)
    log.forget(row)
    assert log.waiting == 0

    with world.db.read() as connection:
        person = person_at(connection, row)
        assert person is not None
        assert count_of(connection, holding, person) == 1

    def erase(connection: Any) -> None:
        erase_person(
            connection, world.vocab, RowGiver(world.vocab, world.clock), person, "erase", Actor("me", None), NOW
        )

    world.db.writer.submit(erase).result()
    assert count(world.db) == 2
    note(log, waiting)  # it was on its way
    assert count(world.db) == 2


def test_items_are_taken_when_the_answer_is_named_or_the_user_comes_back_to_them(world: World) -> None:
    for number, item in enumerate(ITEMS):
        world.happens("view", "anna", item, NOW - DAY + number)
    first, second, third = (world.made("anna", NOW + 3 * number * DAY, ["context_hour"]) for number in range(3))
    stranger = world.made("nobody", NOW, ["context_hour"])
    note(ServedLog(world.db, share=1.0), first, second, third, stranger)
    world.happens("order", "anna", "mug", NOW + HOUR)
    world.happens("order", "anna", "mug", NOW + 5 * DAY)  # too late for any slate
    world.happens("view", "anna", "vase", NOW + HOUR)  # no sign of taking
    world.happens("click", "zoe", "clock", NOW + 5 * DAY, context={"request_id": f"{second.slate_id}-1G"})
    world.happens("cart", "zoe", "lamp", NOW + HOUR, context={"request_id": stranger.slate_id})
    found = {one.served.slate_id: one.taken.tolist() for one in labelled(world.db, world.vocab, now=NOW + 8 * DAY)}
    assert found[first.slate_id] == [False, True, False, False]
    assert found[second.slate_id] == [False, False, False, True]  # by somebody else and later: it names the answer
    assert found[stranger.slate_id] == [True, False, False, False]
    assert len(found) == 4
    assert len(labelled(world.db, world.vocab, now=NOW + 7 * DAY)) == 4
    assert len(labelled(world.db, world.vocab, now=NOW + 6 * DAY)) == 3  # the third may still be reacted to


def context_of(world: World, now: int) -> TrainingContext:
    source = {"kind": "served"}
    return TrainingContext(Path(), world.url, source, now, "UTC", 1, "home_ranker")


def test_a_ranker_learns_from_what_was_served(world: World) -> None:
    from shopkeeper.core.protocols import silent
    from shopkeeper.recommend.ranking.family import RankingFamily
    from shopkeeper.recommend.ranking.xgb import Xgb

    live_weeks(world, ServedLog(world.db, share=1.0))
    context = context_of(world, NOW + 300 * DAY)
    data = RankingFamily().data(context, Xgb.Params(trees=5), silent)
    assert (data.facts["rows"] + data.facts["holdout_rows"]) > 100
    assert data.train.names == FeatureSet().names
    assert data.train.label.sum() > 0
    ranker = Xgb(Xgb.Params(trees=5), 1).fit(data.train, silent)
    assert np.isfinite(RankingFamily().evaluate(ranker, data.holdout)["auc"])


def test_too_little_to_learn_from_is_said(world: World) -> None:
    with pytest.raises(Invalid) as error:
        served_rows(context_of(world, NOW))
    assert error.value.code == "no_data"
    world.happens("view", "anna", "lamp", NOW)
    note(ServedLog(world.db, share=1.0), world.made("anna", NOW))
    with pytest.raises(Invalid):
        served_rows(context_of(world, NOW + 2 * DAY))
