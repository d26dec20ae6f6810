"""Segments in odd hours: a full queue, a kill in the middle, a clock that jumps, fields that change meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from profile_world import NOW, World
from sqlalchemy import text

from shopkeeper.core.clock import DAY, HOUR, SECOND, moment
from shopkeeper.core.errors import Overloaded, ShopkeeperError
from shopkeeper.core.records import Event
from shopkeeper.profiles.conditions import compiled
from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.members import Members
from shopkeeper.profiles.stays import Stays
from shopkeeper.profiles.watch import watched
from shopkeeper.stores.spans import Change
from shopkeeper.stores.webhooks import WebhookStore

MANY = 1_500
"""Users: two turns of the loop."""


def segment(world: World, name: str, condition: str) -> None:
    world.profiles.segmentbook.create(name, condition).result()


def crowd(world: World) -> None:
    """`MANY` users with one order each."""
    events = [
        Event(user_id=f"u{n}", event_type="order", item_id="mug", time=moment(NOW - DAY), quantity=1, value=1.0)
        for n in range(MANY)
    ]
    assert world.log.append(events).result().accepted == MANY


def settled(world: World) -> None:
    """Behind all that waits to be written."""
    world.db.writer.submit(lambda _: None).result()


def rows_of(world: World, name: str) -> list[int]:
    found = world.tracker.members(name)
    assert found is not None
    return found[0].tolist()


def open_spans(world: World) -> list[tuple[str, int]]:
    with world.db.read() as connection:
        rows = connection.execute(text("SELECT segment, user_row FROM segment_spans WHERE left_at IS NULL ORDER BY 2"))
        return [(row.segment, row.user_row) for row in rows]


def told(world: World) -> list[str]:
    with world.db.read() as connection:
        return list(connection.execute(text("SELECT event FROM deliveries ORDER BY created_at")).scalars())


def listen(world: World) -> None:
    hooks = WebhookStore(world.db, world.clock)
    hooks.create("https://example.com/in", ["segment.entered", "segment.left"]).result()
    world.tracker.tell(hooks.announce, lambda: None)


@contextmanager
def blocked(world: World, *, full: bool = False) -> Iterator[None]:
    """Nothing is written inside; `full`: and nothing more can wait."""
    go, begun = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        begun.set()
        go.wait()

    last = world.db.writer.submit(wait)
    begun.wait()
    try:
        while full:
            try:
                last = world.db.writer.submit(lambda _: None)
            except Overloaded:
                break
        yield
    finally:
        go.set()
        last.result()


# -- writes that fail ------------------------------------------------------------------------------------------


def test_a_full_queue_neither_stops_the_tracker_nor_makes_news_of_a_filling(world: World) -> None:
    listen(world)
    world.order("ada", 1)
    world.tracker.catch_up()
    segment(world, "all", "orders >= 1")
    batch = world.log.read(0)
    with blocked(world, full=True):
        world.tracker.apply(batch)  # raised Overloaded once, and the followers had one less
        world.tracker.catch_up()
        assert rows_of(world, "all") == [0]
        world.tracker.save()
    settled(world)
    world.tracker._stays._resolved_at = 0.0
    world.tracker.catch_up()
    settled(world)
    assert open_spans(world) == [("all", 0)]
    assert told(world) == []
    world.clock.advance(HOUR)
    world.order("bob", 1)
    settled(world)
    assert told(world) == ["segment.entered"]


@pytest.fixture
def members(world: World) -> Members:
    world.user("ada")
    world.user("bob")
    return Members.none(watched(compiled("orders >= 0", schema_of([])), frozenset()), 2)


def hold(members: Members, now: int, *inside: bool) -> list[tuple[Change, bool]]:
    return members.change("s", np.arange(2), np.array(inside), now)


def test_what_still_waits_to_be_written_is_not_written_twice(world: World, members: Members) -> None:
    stays = Stays(world.db, world.vocabularies.users, None)
    with blocked(world):
        stays.write(hold(members, 10, True, True))
        stays.write(hold(members, 20, False, True))
        stays.resolve({"s": members}, 30)
    settled(world)
    assert open_spans(world) == [("s", 1)]
    assert [(one.entered_at, one.left_at) for one in stays.spans.of_user(0)] == [(10, 20)]


def test_what_was_lost_is_written_with_its_own_times(world: World, members: Members) -> None:
    stays = Stays(world.db, world.vocabularies.users, None)
    stays.write(hold(members, 10, True, False))
    with blocked(world, full=True):
        stays.write(hold(members, 20, False, True))
        assert stays.incomplete
    settled(world)
    stays.resolve({"s": members}, 90)
    settled(world)
    assert [(one.entered_at, one.left_at) for one in stays.spans.of_user(0)] == [(10, 20)]
    assert [(one.entered_at, one.left_at) for one in stays.spans.of_user(1)] == [(20, None)]


def test_a_segment_whose_end_was_lost_is_closed(world: World, members: Members) -> None:
    stays = Stays(world.db, world.vocabularies.users, None)
    stays.write(hold(members, 10, True, False))
    stays.resolve({}, 90)
    settled(world)
    assert [(one.entered_at, one.left_at) for one in stays.spans.of_user(0)] == [(10, 90)]


def test_a_record_that_cannot_be_read_is_read_later(world: World) -> None:
    world.user("ada", city="Bonn")
    segment(world, "ulm", "city == 'Ulm'")
    world.tracker.catch_up()
    world.user("ada", city="Ulm")
    world.db.writer.submit(lambda c: c.execute(text("ALTER TABLE users RENAME TO away"))).result()
    with pytest.raises(ShopkeeperError):
        world.tracker.catch_up()
    world.db.writer.submit(lambda c: c.execute(text("ALTER TABLE away RENAME TO users"))).result()
    world.tracker.catch_up()
    assert rows_of(world, "ulm") == [0]


# -- time ------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_no_stay_that_ends_before_it_began(world: World) -> None:
    segment(world, "new", "days_since_order < 2")
    segment(world, "old", "days_since_order > 20")
    world.tracker.catch_up()
    world.order("ada", 1)
    world.clock.advance(30 * DAY)
    world.tracker.catch_up()
    assert (rows_of(world, "new"), rows_of(world, "old")) == ([], [0])
    world.clock.advance(-30 * DAY)
    world.tracker.catch_up()
    assert (rows_of(world, "new"), rows_of(world, "old")) == ([0], [])
    settled(world)
    stays = sorted(world.tracker.spans.of_user(0), key=lambda one: (one.segment, one.entered_at))
    assert all(one.left_at is None or one.left_at >= one.entered_at for one in stays)
    assert [one.left_at for one in stays if one.segment == "new"][-1] is None
    first, second = (one for one in stays if one.segment == "new")
    assert first.left_at is not None
    assert second.entered_at >= first.left_at


def test_a_long_night_costs_few_looks_at_what_cannot_be_foreseen(world: World) -> None:
    segment(world, "odd", "days_since_order % 2 < 1")
    segment(world, "week", "orders in 7 days >= 1")
    world.order("ada", 1)
    world.tracker.catch_up()
    looks, look = [], world.tracker._look
    world.tracker._look = lambda *told: looks.append(told[1]) or look(*told)
    world.clock.advance(60 * DAY)
    world.tracker.catch_up()
    assert len(looks) < 200, "by the minute there were 86,400 of them"
    world.db.writer.submit(lambda _: None).result()
    (stay,) = (one for one in world.tracker.spans.of_user(0) if one.segment == "week")
    assert stay.left_at == NOW + 6 * DAY, "and what can be is exact"


class Racing:
    """A clock that is an hour later whenever it is asked."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        self.at += HOUR
        return self.at

    def wall(self) -> int:
        return self.at


def test_an_answer_comes_although_the_clock_is_faster_than_the_looks(world: World) -> None:
    segment(world, "odd", "days_since_order % 2 < 1")
    world.order("ada", 1)
    world.tracker.catch_up()
    world.tracker._clock = Racing()
    asyncio.run(asyncio.wait_for(world.tracker.settle(), 30))
    assert rows_of(world, "odd") in ([], [0])


def test_nobody_keeps_looking_at_visitors(world: World) -> None:
    segment(world, "odd", "days_since_event % 2 < 1")
    world.event(None, "view", 1, anonymous_id="cookie")
    world.order("ada", 1)
    world.tracker.catch_up()
    looked, look = [], world.tracker._look
    world.tracker._look = lambda rows, *more: looked.extend(rows.tolist()) or look(rows, *more)
    world.clock.advance(HOUR)
    world.event(None, "view", 0, anonymous_id="cookie")
    world.tracker.catch_up()
    ada = world.vocabularies.users.row("ada")
    assert set(looked) == {ada}


# -- while a segment is filled ---------------------------------------------------------------------------------


def test_the_profile_of_one_waits_for_nobody_else(world: World) -> None:
    crowd(world)
    world.tracker.catch_up()
    segment(world, "all", "orders >= 1")
    assert world.profiles.profile("u7")["segments"] == ["all"]
    assert rows_of(world, "all") == [world.vocabularies.users.row("u7")]


def test_a_preview_of_many_leaves_room_for_others(world: World) -> None:
    crowd(world)
    asked = world.profiles.preview("orders >= 1", weight=2.0)
    steps = 0
    for _ in asked.steps():
        steps += 1
        world.order("meanwhile", 1)
    found = asked.answer()
    assert steps > 1
    assert (found.matches, found.total, len(found.sample)) == (MANY, MANY, 20)
    assert (found.score_shift.mean, found.score_shift.p90) == (2.0, 2.0)


def test_a_filling_that_a_kill_cut_off_is_no_news_after_the_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    crowd(world)
    world.tracker.catch_up()
    segment(world, "all", "orders >= 1")
    world.tracker._prepare()
    assert not world.tracker._advance(NOW, stop_at=0.0)
    assert 0 < len(rows_of(world, "all")) < MANY
    world.close()

    world = World(tmp_path)
    world.features.apply(world.log.read(0))
    listen(world)
    world.tracker.catch_up()
    settled(world)
    assert len(rows_of(world, "all")) == len(open_spans(world)) == MANY
    assert told(world) == []
    world.close()

    world = World(tmp_path)
    world.features.apply(world.log.read(0))
    event = Event(user_id="late", event_type="order", item_id="mug", time=moment(NOW), quantity=1, value=1.0)
    world.log.append([event]).result()  # before the tracker looks
    hooks = WebhookStore(world.db, world.clock)
    world.tracker.tell(hooks.announce, lambda: None)
    world.tracker.catch_up()
    settled(world)
    assert told(world) == ["segment.entered"], "the filling had ended: this is news"
    world.close()


def test_a_change_just_before_a_stop_is_no_news_after_the_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.order("ada", 1)
    segment(world, "some", "orders >= 2")
    world.tracker.catch_up()
    world.profiles.segmentbook.update("some", condition="orders >= 1").result()
    world.tracker.save()  # before the next turn
    world.close()

    world = World(tmp_path)
    world.features.apply(world.log.read(0))
    listen(world)
    world.tracker.catch_up()
    settled(world)
    assert rows_of(world, "some") == [0]
    assert told(world) == []
    world.close()


def test_deleted_in_the_middle_of_its_filling(world: World) -> None:
    crowd(world)
    world.tracker.catch_up()
    segment(world, "all", "orders >= 1")
    world.tracker._prepare()
    world.tracker._advance(NOW, stop_at=0.0)
    world.profiles.segmentbook.delete("all").result()
    world.tracker.catch_up()
    settled(world)
    assert open_spans(world) == []
    segment(world, "all", "orders >= 1")
    world.tracker.catch_up()
    settled(world)
    assert len(open_spans(world)) == len(rows_of(world, "all")) == MANY


def test_a_field_changes_its_type_in_the_middle_of_a_filling(world: World) -> None:
    crowd(world)
    world.user("ada", age=5)
    world.tracker.catch_up()
    segment(world, "grown", "age > 3 or orders >= 2")
    world.tracker._prepare()
    assert not world.tracker._advance(NOW, stop_at=0.0)
    world.user("ada", age="old")
    world.profiles.schema.refresh()  # as another request does between two turns
    assert world.tracker._advance(NOW)
    world.tracker.catch_up()
    assert rows_of(world, "grown") == []
    assert world.profiles.segmentbook.compiled()["grown"][1].problem is not None


def test_a_merged_user_has_no_open_stay_whatever_was_on_its_way(world: World) -> None:
    segment(world, "all", "orders >= 1")
    world.order("ada", 1)
    world.order("bob", 1)
    world.tracker.catch_up()
    world.clock.advance(SECOND)
    world.tracker.moved(0, 1)
    settled(world)
    assert open_spans(world) == [("all", 1)]
