"""Segments at work: exact per event, on time without one, the same after a restart, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from profile_world import NOW, World
from sqlalchemy import text

from shopkeeper.core.clock import DAY, HOUR, moment, rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Event
from shopkeeper.profiles.conditions import compiled
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.columns import compile_columns
from shopkeeper.stores.webhooks import WebhookStore

CONDITIONS = {
    "week": "orders in 7 days >= 1",
    "lately": "days_since_order <= 10 and orders >= 2",
    "watchers": "(event_counts in 24 hours).get('view', 0) >= 2 and not (orders in 30 days >= 1)",
    "fresh": "lifecycle == 'new' or days_since_event < 2.5",
    "away": "days_since_order > max(5, 2 * days_between_orders)",
    "ulm": "city == 'Ulm'",
    "spenders": "spend in 14 days - returned in 14 days > 15",
}
USERS = ["ada", "bob", "cid"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(USERS), st.sampled_from(["order", "view", "return"])),
        st.tuples(st.just("wait"), st.integers(1, 12 * 24), st.integers(0, 59)),
        st.tuples(st.just("move"), st.sampled_from(USERS), st.sampled_from(["Ulm", "Bonn"])),
    ),
    min_size=1,
    max_size=14,
)


def happen(world: World, user: str, kind: str, at: int | None = None, value: float = 10.0) -> None:
    time = moment(world.clock.now() if at is None else at)
    event = Event(user_id=user, event_type=kind, item_id="mug", time=time, quantity=1, value=value)
    assert world.log.append([event]).result().accepted == 1


def by_hand(world: World, name: str, now: int) -> set[str]:
    """Who is inside, worked out from the events alone."""
    rows = np.arange(len(world.vocabularies.users))
    schema = world.profiles.schema.refresh()
    people = [world.profiles.people.find(world.vocabularies.users.id(row)) for row in rows]
    source = Many.some(world.features, rows, now)
    table = ProfileTable(schema, source, people, world.tracker.scale.current)
    tree = compiled(CONDITIONS[name], schema).tree
    if tree is None or not len(rows):
        return set()
    counted = (table.number("total_events") > 0) | np.array([person.listed for person in people])
    found = compile_columns(tree)(table.columns()) & counted
    return {person.user_id for person, inside in zip(people, found, strict=True) if inside}


def inside(world: World, name: str) -> set[str]:
    return {member["user_id"] for member in world.segments.members(name, 1000)[0]}


@settings(max_examples=40, deadline=None, phases=[Phase.generate])  # a shop for each: shrinking would take minutes
@given(steps)
def test_members_are_those_that_the_events_say_at_every_moment(tmp_path_factory, plan) -> None:
    world = World(tmp_path_factory.mktemp("shop"))
    try:
        for name, condition in CONDITIONS.items():
            if name != "ulm":
                world.profiles.segmentbook.create(name, condition).result()
        world.user("cid", city="Ulm")
        world.profiles.segmentbook.create("ulm", CONDITIONS["ulm"]).result()
        world.tracker.catch_up()
        seen: list[tuple[int, dict[str, set[str]]]] = []
        for step in plan:
            match step:
                case ("event", user, kind):
                    happen(world, user, kind)
                case ("wait", hours, minutes):
                    world.clock.advance(hours * HOUR + minutes * 60_000_000 + 7)
                case ("move", user, city):
                    world.user(user, city=city)
            now = world.clock.now()
            found = {name: inside(world, name) for name in CONDITIONS}
            assert found == {name: by_hand(world, name, now) for name in CONDITIONS}
            seen.append((now, found))
        world.db.writer.submit(lambda _: None).result()  # behind the spans
        for at, found in seen[:-1]:
            if at == seen[-1][0] or any(later == at for later, _ in seen[seen.index((at, found)) + 1 :]):
                continue
            for name, members in found.items():
                assert {one["user_id"] for one in world.segments.members_at(name, at, 1000)[0]} == members
    finally:
        world.close()


def test_who_only_grows_old_leaves_at_that_very_moment(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.tracker.catch_up()
    happen(world, "ada", "order", NOW - 2 * DAY)
    world.clock.advance(20 * DAY)  # nobody looked in between
    assert inside(world, "week") == set()
    world.db.writer.submit(lambda _: None).result()
    row = world.vocabularies.users.row("ada")
    assert world.segments.spans_of(row) == [
        {"segment": "week", "entered_at": rfc3339(NOW), "left_at": rfc3339(NOW + 5 * DAY)}
    ]


def test_late_events_count_as_of_their_time(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.tracker.catch_up()
    happen(world, "ada", "order", NOW - 8 * DAY)
    assert inside(world, "week") == set()
    happen(world, "ada", "order", NOW - 6 * DAY)
    assert inside(world, "week") == {"ada"}
    world.clock.advance(DAY)
    assert inside(world, "week") == set()


def test_the_same_event_twice_changes_nothing(world: World) -> None:
    world.profiles.segmentbook.create("twice", "orders >= 2").result()
    world.tracker.catch_up()
    event = Event(event_id="e1", user_id="ada", event_type="order", item_id="mug", time=moment(NOW), quantity=1)
    for expected in (1, 0):
        assert world.log.append([event]).result().accepted == expected
    assert inside(world, "twice") == set()


def test_a_changed_condition_is_filled_anew_and_a_deleted_segment_closed(world: World) -> None:
    world.order("ada", 1)
    world.order("bob", 1)
    world.order("bob", 3)
    world.profiles.segmentbook.create("some", "orders >= 1").result()
    assert inside(world, "some") == {"ada", "bob"}
    world.clock.advance(HOUR)
    world.profiles.segmentbook.update("some", condition="orders >= 2").result()
    assert inside(world, "some") == {"bob"}
    world.clock.advance(HOUR)
    world.profiles.segmentbook.delete("some").result()
    with pytest.raises(NotFound):
        world.segments.members("some")
    world.db.writer.submit(lambda _: None).result()
    ada, bob = (world.segments.spans_of(world.vocabularies.users.row(user)) for user in ("ada", "bob"))
    assert [(one["entered_at"], one["left_at"]) for one in ada] == [(rfc3339(NOW), rfc3339(NOW + HOUR))]
    assert [(one["entered_at"], one["left_at"]) for one in bob] == [(rfc3339(NOW), rfc3339(NOW + 2 * HOUR))]


def test_scores_follow_their_bounds_within_a_minute(world: World) -> None:
    world.profiles.segmentbook.create("best", "monetary_score == 5").result()
    for number in range(100):
        world.order(f"user{number}", 3, price=float(number + 1))
    assert inside(world, "best") == {f"user{number}" for number in range(80, 100)}
    happen(world, "user0", "order", value=1000.0)
    assert "user0" in inside(world, "best"), "measured by the bounds of before"
    assert len(inside(world, "best")) == 21
    world.clock.advance(61_000_000)
    assert len(inside(world, "best")) == 20, "and the bounds have moved"


# -- restarts and faults ---------------------------------------------------------------------------------------


def reopened(home: Path, later: int) -> World:
    world = World(home)
    world.features.apply(world.log.read(0))
    world.clock.advance(later)
    return world


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Path]:
    """The home of a shop in which ada ordered two days ago and is in segment `week`."""
    world = World(tmp_path)
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.tracker.catch_up()
    happen(world, "ada", "order", NOW - 2 * DAY)
    world.close()  # as after a kill: nothing was saved on purpose
    return tmp_path


def test_after_a_restart_members_have_their_old_times(week: Path) -> None:
    world = reopened(week, HOUR)
    assert world.segments.members("week")[0] == [{"user_id": "ada", "entered_at": rfc3339(NOW)}]
    world.close()


def test_who_left_while_the_shop_was_closed_left_on_time(week: Path) -> None:
    world = reopened(week, 9 * DAY)
    assert inside(world, "week") == set()
    world.db.writer.submit(lambda _: None).result()
    (stay,) = world.segments.spans_of(world.vocabularies.users.row("ada"))
    assert (stay["entered_at"], stay["left_at"]) == (rfc3339(NOW), rfc3339(NOW + 5 * DAY))
    world.close()


def test_an_event_that_was_committed_but_not_looked_at_is_made_up_for(week: Path) -> None:
    world = World(week)  # this one appends, and dies before its tracker has seen anything
    happen(world, "bob", "order")
    world.close()
    world = reopened(week, HOUR)
    assert inside(world, "week") == {"ada", "bob"}
    world.close()


def test_spans_that_could_not_be_written_are_written_later(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.tracker.catch_up()
    world.db.writer.submit(lambda c: c.execute(text("ALTER TABLE segment_spans RENAME TO away"))).result()
    happen(world, "ada", "order")
    world.db.writer.submit(lambda _: None).result()
    world.db.writer.submit(lambda c: c.execute(text("ALTER TABLE away RENAME TO segment_spans"))).result()
    assert inside(world, "week") == {"ada"}
    world.db.writer.submit(lambda _: None).result()
    row = world.vocabularies.users.row("ada")
    assert [one["segment"] for one in world.segments.spans_of(row)] == ["week"]


def test_a_user_who_is_forgotten_is_nowhere_and_the_shop_goes_on(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    for user in ("ada", "bob"):
        world.order(user, 1)
    assert inside(world, "week") == {"ada", "bob"}
    row = world.vocabularies.users.row("ada")
    world.features.forget(row)
    world.tracker.forget(row)
    assert inside(world, "week") == {"bob"}
    world.clock.advance(30 * DAY)
    assert inside(world, "week") == set()


def test_keeping_time_in_the_background(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.order("ada", 2)

    async def wait() -> None:
        watch = asyncio.create_task(world.tracker.run())
        try:
            while not world.tracker._segments or not world.tracker._segments["week"].inside.any():
                await asyncio.sleep(0.01)
            world.clock.advance(6 * DAY)
            while world.tracker._segments["week"].inside.any():
                await asyncio.sleep(0.01)
        finally:
            watch.cancel()

    asyncio.run(asyncio.wait_for(wait(), 30))


# -- who is told -----------------------------------------------------------------------------------------------


def test_webhooks_hear_of_people_not_of_definitions(world: World) -> None:
    hooks = WebhookStore(world.db, world.clock)
    hooks.create("https://example.com/in", ["segment.entered", "segment.left"]).result()
    world.tracker.tell(hooks.announce, lambda: None)
    world.order("ada", 1)
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    assert inside(world, "week") == {"ada"}
    happen(world, "bob", "order")
    world.clock.advance(10 * DAY)
    assert inside(world, "week") == set()
    world.db.writer.submit(lambda _: None).result()
    with world.db.read() as connection:
        told = connection.execute(text("SELECT event, payload FROM deliveries ORDER BY created_at, delivery_id")).all()
    assert [(event, "bob" in payload, "ada" in payload) for event, payload in told] == [
        ("segment.entered", True, False),
        ("segment.left", False, True),
        ("segment.left", True, False),
    ]


# -- reading ---------------------------------------------------------------------------------------------------


def test_the_history_of_a_size(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    world.tracker.catch_up()
    for _ in range(3):
        happen(world, f"user{world.clock.now()}", "order")
        world.clock.advance(2 * DAY)
    world.clock.advance(3 * DAY)
    world.tracker.catch_up()
    world.db.writer.submit(lambda _: None).result()
    found = world.segments.history("week", NOW - DAY, NOW + 9 * DAY, "2d")
    assert [point["size"] for point in found["sizes"]] == [0, 1, 2, 3, 2, 1]
    assert (found["entered"], found["left"]) == (3, 2)
    for wrong in ("1w", "0d", "", "-1d", "1.5h"):
        with pytest.raises(Invalid, match="step"):
            world.segments.history("week", None, None, wrong)
    with pytest.raises(Invalid, match="larger step"):
        world.segments.history("week", NOW - 400 * DAY, NOW, "1h")
    with pytest.raises(Invalid, match="behind"):
        world.segments.history("week", NOW, NOW - 1, "1d")


def test_the_export_is_safe_to_open(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    for user in ("ada", "=cmd()", 'x","y'):
        world.order(user, 1)
    lines = "".join(world.segments.export("week")).splitlines()
    assert lines[0] == "user_id,entered_at"
    assert sorted(line.rsplit(",", 1)[0] for line in lines[1:]) == ['"x"",""y"', "'=cmd()", "ada"]


def test_a_segment_that_a_webhook_listens_to_stays(world: World) -> None:
    world.profiles.segmentbook.create("week", CONDITIONS["week"]).result()
    WebhookStore(world.db, world.clock).create("https://example.com", ["segment.left"], segment="week").result()
    with pytest.raises(Conflict, match="webhook"):
        world.profiles.segmentbook.delete("week").result()
    assert [segment.name for segment in world.segments.all()] == ["week"]
