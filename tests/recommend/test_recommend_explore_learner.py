"""Learning from drawn slots: each round once, whole, when its time is over, by one process, whichever lives."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explore_world import ASKED, NOW, World
from sqlalchemy import func, select, update

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND
from shopkeeper.recommend.explore import learner as learner_module
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.stores import exploring, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import erase_person
from shopkeeper.stores.exploring import Learned
from shopkeeper.stores.holdings import person_at
from shopkeeper.stores.rows import RowGiver

PRIOR = 0.5
"""What Beta(1, 1) expects."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.db.close()


def stored(world: World, asked: Exploring = ASKED) -> Learned | None:
    with world.db.read() as connection:
        return exploring.learned(connection, "home", asked.key)


def earned(world: World) -> dict[str, list[float] | None]:
    """By slate what its rows are known to have earned."""
    with world.db.read() as connection:
        rows = exploring.after(connection, "home", ASKED.key, 0, 1000)
    return {row.slate_id: None if row.earned is None else row.earned.tolist() for row in rows}


def later(world: World, seconds: float = 60) -> None:
    world.clock.advance(round(seconds * SECOND))


def test_a_round_is_learned_once_when_its_time_is_over(world: World) -> None:
    slate = world.show("u0", ["i0", "i1"])
    later(world)
    world.tell("u0", "i1", request=f"{slate}-02")
    world.write()
    learning = world.learning()
    assert learning.turn() == 0
    assert stored(world) is None
    world.pass_window()
    assert learning.turn() == 1
    assert learning.turn() == 0
    found = stored(world)
    assert found is not None
    assert (found.number, found.rounds, found.position) == (1, 2, 1)
    assert earned(world) == {slate: [0.0, 0.1]}
    assert world.estimate(learning, "i0") == round(1 / 3, 6)
    assert world.estimate(learning, "i1") == round(1.1 / 3, 6)
    assert world.estimate(learning, "i5") == PRIOR


def test_signals_add_up_each_kind_once_and_are_clipped(world: World) -> None:
    slates = [world.show(f"u{k}", ["i0"]) for k in range(4)]
    later(world)
    for _ in range(3):
        world.tell("u0", "i0", request=slates[0])  # replayed
        later(world, 5)
    world.tell("u0", "i0", "like", slates[0])
    world.tell("u1", "i0", "order", slates[1], value=99.0)
    later(world, 5)
    world.tell("u1", "i0", "share", slates[1])
    world.tell("u2", "i0", "dislike", slates[2])
    world.tell("u3", "i0", "click", slates[3], said={"reward": 1e9})
    world.write()
    world.pass_window()
    world.learning().turn()
    assert earned(world) == {slates[0]: [0.4], slates[1]: [1.0], slates[2]: [0.0], slates[3]: [1.0]}


def test_a_number_beyond_all_floats_counts_for_nothing_and_stops_nobody(world: World) -> None:
    slate = world.show("u0", ["i0", "i1"])
    later(world)
    world.tell("u0", "i0", request=slate, said={"reward": 10**400})
    world.tell("u0", "i1", "dwell", slate, value=0.5, said={"feedback_value": 10**400})
    world.write()
    world.pass_window()
    assert world.learning().turn() == 1
    assert earned(world)[slate] == pytest.approx([0.0, 0.5 / 300])


class Stumbling(learner_module.Learning):
    """Meets what nobody foresaw in one scenario."""

    def _learn(self, scenario: str, key: str, first: int) -> int | None:
        if scenario == "a_broken":
            raise ValueError("what nobody foresaw")
        return super()._learn(scenario, key, first)


def test_a_scenario_that_cannot_be_learned_keeps_no_other_from_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.show("u0", ["i0"], scenario="a_broken")
    world.show("u1", ["i1"])
    world.write()
    world.pass_window()
    learning = world.learning(kind=Stumbling)
    assert learning.turn() == 1
    assert world.estimate(learning, "i1") == round(1 / 3, 6)
    assert "a_broken" in caplog.text
    world.clock.advance(31 * DAY)
    assert learning.turn() == 0
    with world.db.read() as connection:
        assert not connection.scalar(select(func.count()).select_from(schema.explored)), "what is old goes"


def test_a_snapshot_that_cannot_be_read_keeps_no_other_from_being_taken_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.show("u0", ["i0"])
    world.show("u1", ["i1"], scenario="other")
    world.write()
    world.pass_window()
    assert world.learning().turn() == 2
    kept = schema.explorers
    ruin = update(kept).where(kept.c.scenario == "home").values(state=b"nonsense")
    world.db.writer.run(lambda connection: connection.execute(ruin))
    follower = world.learning("two")
    follower._snapshots.of("other", ASKED)
    assert [scenario for scenario, _ in follower._snapshots.held()] == ["home", "other"]
    follower.refresh()
    assert list(follower._snapshots.held().values()) == [0, 1]
    assert "scenario home" in caplog.text


@pytest.mark.parametrize("what", ["unknown answer", "no answer", "another item", "another user", "no number"])
def test_what_belongs_to_no_draw_counts_for_nothing(world: World, what: str) -> None:
    slate = world.show("u0", ["i0"])
    later(world)
    if what == "unknown answer":
        world.tell("u0", "i0", request="01HZZZZZZZZZZZZZZZZZZZZZZZ")
    elif what == "no answer":
        world.tell("u0", "i0")
    elif what == "another item":
        world.tell("u0", "i3", request=slate)
    elif what == "another user":
        world.tell("u1", "i0", request=slate)
    else:
        world.tell("u0", "i0", "rating", slate, said={"reward": "much"}, value=99.0)
    world.write()
    world.pass_window()
    world.learning().turn()
    assert earned(world) == {slate: [0.0]}


def test_feedback_after_the_window_comes_too_late(world: World) -> None:
    slate = world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    world.tell("u0", "i0", request=slate)
    learning = world.learning()
    assert learning.turn() == 1
    assert earned(world) == {slate: [0.0]}
    world.tell("u0", "i0", "like", slate)
    assert learning.turn() == 0
    assert earned(world) == {slate: [0.0]}


def test_an_arm_that_was_removed_while_it_was_shown_is_not_learned_and_one_that_goes_is_forgotten(world: World) -> None:
    world.show("u0", ["i0", "i1"])
    world.write()
    world.pass_window()
    learning = world.learning()
    learning.turn()
    assert world.estimate(learning, "i0") < PRIOR
    slate = world.show("u1", ["i0", "i2"])
    later(world)
    world.tell("u1", "i0", "order", slate)
    world.write()
    world.active[0] = False
    world.pass_window()
    assert learning.turn() == 1
    assert earned(world)[slate] == [1.0, 0.0], "what it earned is known all the same"
    found = stored(world)
    assert found is not None
    assert found.rounds == 3
    world.active[0] = True
    assert world.estimate(learning, "i0") == PRIOR
    assert world.estimate(learning, "i1") < PRIOR
    again = world.learning("two")
    again.refresh()
    assert world.estimate(again, "i0") == PRIOR


# -- one learner


def test_one_process_learns_and_the_others_follow(world: World) -> None:
    first, second = world.learning("one"), world.learning("two")
    assert first.turn() == 0
    world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    assert first.turn() == 1
    assert second.turn() == 0
    assert world.estimate(second, "i0") == world.estimate(first, "i0") != PRIOR
    world.show("u1", ["i0"])
    world.write()
    world.pass_window()  # and the lease has lapsed
    assert second.turn() == 1
    assert first.turn() == 0
    assert world.estimate(first, "i0") == world.estimate(second, "i0") == 0.25
    found = stored(world)
    assert found is not None
    assert (found.number, found.rounds) == (2, 2)


def test_who_gives_the_lease_back_is_followed_at_once(world: World) -> None:
    first, second = world.learning("one"), world.learning("two")
    first.turn()
    world.show("u0", ["i0"])
    world.write()
    world.clock.advance(exploring.LEASE // 2)
    assert second.turn() == 0
    first.release()
    world.pass_window()
    assert second.turn() == 1
    first.release()  # of another: nothing happens
    assert first.turn() == 0


def test_what_was_learned_under_a_lost_lease_is_thrown_away(world: World) -> None:
    """A process that slept in the middle of it."""
    other = world.learning("two")

    class Slow(learner_module.Learning):
        slept = False

        def step(self, name: str) -> None:
            if name == "learned" and not Slow.slept:
                Slow.slept = True
                world.clock.advance(2 * exploring.LEASE)
                assert other.turn() == 1

    world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    slow = world.learning("slow", Slow)
    assert slow.turn() == 0
    found = stored(world)
    assert found is not None
    assert (found.number, found.rounds) == (1, 1)
    assert world.estimate(slow, "i0") == world.estimate(other, "i0") == round(1 / 3, 6)


def test_a_lease_or_a_draw_that_lies_ahead_is_from_before_the_clock_was_set_back(world: World) -> None:
    world.learning("one").turn()
    slate = world.show("u0", ["i0"])
    world.write()
    world.clock.at -= 3 * HOUR
    second = world.learning("two")
    assert second.turn() == 1
    assert earned(world) == {slate: [0.0]}
    later_slate = world.show("u1", ["i1"])
    world.write()
    assert second.turn() == 0, "this one's time is not over"
    world.pass_window()
    assert second.turn() == 1
    assert earned(world) == {slate: [0.0], later_slate: [0.0]}


STEPS = ("leased", "read", "learned", "written", "durable", "shown")


@pytest.mark.parametrize(("step", "times"), [("leased", 1), *((step, times) for step in STEPS[1:] for times in (1, 2))])
def test_killed_at_any_step_nothing_is_lost_or_learned_twice(tmp_path: Path, step: str, times: int) -> None:
    world = World(tmp_path)
    slates = [world.show(f"u{k}", [f"i{k}", f"i{k + 1}"]) for k in range(5)]
    later(world)
    for k, slate in enumerate(slates):
        world.tell(f"u{k}", f"i{k}", request=slate)
    world.write()
    world.pass_window()
    world.db.close()
    script = Path(__file__).with_name("dying_learner.py")
    given = [str(tmp_path), step, str(times), str(world.clock.at)]
    done = subprocess.run([sys.executable, str(script), *given], cwd=script.parent, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    world = World(tmp_path, clock=world.clock)
    learning = world.learning("next")
    assert learning.turn() == 0, "the lease has not lapsed"
    world.clock.advance(exploring.LEASE + SECOND)
    learning.turn()
    found = stored(world)
    assert found is not None
    assert (found.rounds, found.position) == (10, 5)
    assert [round(x, 6) for x in (earned(world)[slates[2]] or [])] == [0.1, 0.0]
    expected = [1.1 / 3, *[1.1 / 4] * 4, 1 / 3]
    assert [world.estimate(learning, f"i{k}") for k in range(6)] == [round(x, 6) for x in expected]
    world.db.close()


# -- people


def test_a_stranger_is_learned_of_and_who_becomes_known_is_found_by_what_they_did(world: World) -> None:
    slates = {name: world.show(name, ["i0"]) for name in ("new", "silent")}
    later(world)
    world.tell("new", "i0", request=slates["new"])
    world.write()
    world.pass_window()
    learning = world.learning()
    assert learning.turn() == 2
    assert earned(world) == {slates["new"]: [0.1], slates["silent"]: [0.0]}


def test_of_who_does_not_agree_nothing_is_logged_or_learned(world: World) -> None:
    refused = world.made("u0", ["i0"], allowed=False)
    world.log.note(refused)
    assert world.log.waiting == 0
    slate = world.show("u1", ["i0"])
    world.write()
    row = world.vocab.users.row("u1")
    assert row is not None
    world.refusing.add(row)  # after it was shown
    world.pass_window()
    learning = world.learning()
    assert learning.turn() == 1
    assert earned(world) == {slate: None}
    assert world.estimate(learning, "i0") == PRIOR
    world.log._strangers = False  # a shop that asks first
    world.log.note(world.made("nobody", ["i0"]))
    assert world.log.waiting == 0


def test_an_erased_person_is_in_no_row_and_in_nothing_that_waits(world: World) -> None:
    kept = world.show("u1", ["i1"])
    world.show("u0", ["i0"])
    world.show("somebody-new", ["i0"])
    world.write()
    world.show("u0", ["i2"])
    world.show("somebody-new", ["i2"])
    world.tell("somebody-new", "i0")
    for name in ("u0", "somebody-new"):
        row = world.vocab.users.row(name)
        assert row is not None
        world.log.hear(Change("user", rows=(row,)))
        with world.db.read() as connection:
            person = person_at(connection, row)
        assert person is not None
        give = RowGiver(world.vocab, world.clock)
        world.db.writer.run(
            lambda one, person=person, give=give: erase_person(one, world.vocab, give, person, "erase", Actor(), NOW)
        )
        world.log.forget(row)
    world.write()
    with world.db.read() as connection:
        left = [tuple(row) for row in connection.execute(select(schema.explored.c.slate_id, schema.explored.c.user_id))]
    assert left == [(kept, None)]
    world.pass_window()
    assert world.learning().turn() == 1


def test_a_number_is_never_given_twice_though_the_newest_row_was_erased(world: World) -> None:
    world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    learning = world.learning()
    learning.turn()
    world.db.writer.run(lambda one: one.execute(schema.explored.delete()).rowcount)
    slate = world.show("u1", ["i1"])
    world.write()
    world.pass_window()
    assert learning.turn() == 1
    assert earned(world) == {slate: [0.0]}


def test_a_slow_disk_costs_draws_and_nobody_waits(world: World) -> None:
    world.log._bound = 2
    for k in range(4):
        world.show(f"u{k}", ["i0"])
    assert world.log.waiting == 2
    world.write()
    assert world.log.waiting == 0
    made = world.made("u0", ["i0"])
    for _ in range(2):
        world.log.note(made)  # noted twice, written once
    world.write()
    with world.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.explored)) == 3


# -- policies


def test_another_policy_begins_with_what_was_drawn_before_it(world: World) -> None:
    slate = world.show("u0", ["i0", "i1"])
    later(world)
    world.tell("u0", "i1", "order", slate)
    world.write()
    world.pass_window()
    learning = world.learning()
    learning.turn()
    other = Exploring("epsilon_greedy", share=1.0)
    learning._snapshots.of("home", other)
    world.show("u1", ["i2"], asked=other)
    world.show("u1", ["i3"])
    world.write()
    world.pass_window()
    assert learning.turn() == 2
    assert world.estimate(learning, "i1", other) == 1.0
    assert world.estimate(learning, "i0", other) == 0.0
    assert world.estimate(learning, "i2", other) == 0.0
    assert world.estimate(learning, "i3") < PRIOR, "each learns what it drew itself"
    found = stored(world, other)
    assert found is not None
    assert found.rounds == 1


def test_a_context_is_learned_from_as_it_was_read(world: World) -> None:
    asked = Exploring("linucb", share=1.0, context=("context.warm",))
    for k in range(30):
        slate = world.show(f"u{k % 5}", ["i0"], asked=asked, context=[1.0, k % 2])
        later(world)
        if k % 2:
            world.tell(f"u{k % 5}", "i0", "order", slate)
        world.write()
    world.pass_window()
    learning = world.learning()
    learning._snapshots.of("home", asked)
    assert learning.turn() == 30
    bound = learning._snapshots.of("home", asked)
    arm = bound.of(world.vocab.items.rows(["i0"]))
    cold, warm = (float(bound.policy.estimates(arm, np.array([1.0, x]))[0]) for x in (0.0, 1.0))
    assert warm - cold > 0.7


def test_rounds_of_a_policy_that_is_gone_wait_and_others_are_learned(world: World) -> None:
    world.show("u0", ["i0"], asked=replace(ASKED, policy="luck"))
    slate = world.show("u1", ["i1"])
    world.write()
    world.pass_window()
    assert world.learning().turn() == 1
    assert earned(world) == {slate: [0.0]}


def test_draws_go_by_their_age_and_what_learns_no_more_too(world: World) -> None:
    old = world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    learning = world.learning(keep_days=10.0)
    learning.turn()
    world.clock.advance(11 * DAY)
    new = world.show("u1", ["i1"])
    world.write()
    learning.turn()
    assert old not in earned(world)
    assert new in earned(world)
    assert stored(world) is None


def test_a_shop_of_ten_thousand_items_is_learned_in_bounded_memory(tmp_path: Path) -> None:
    world = World(tmp_path, items=10_000)
    names = [f"i{k}" for k in range(10_000)]
    for turn in range(2):
        for start in range(0, 10_000, 100):
            world.show(f"u{start % 5}", names[start : start + 100])
        world.write()
        world.pass_window()
        learning = world.learning(f"turn {turn}")
        assert learning.turn() == 100
    found = stored(world)
    assert found is not None
    assert found.rounds == 20_000
    assert len(found.state) < 1_000_000
    world.active[100:] = False
    world.show("u0", ["i0"])
    world.write()
    world.pass_window()
    learning.turn()
    bound = learning._snapshots.of("home", ASKED)
    assert sum(bool(id) for id in bound.policy.arm_ids) == 100
    assert len(learning._learners) == 1
    world.db.close()


def test_a_row_says_what_it_holds(world: World) -> None:
    context = [1.0, 0.25]
    asked = Exploring("linucb", context=("context.warm",))
    slate = world.show("u0", ["i0", "i1"], asked=asked, context=context)
    world.write()
    with world.db.read() as connection:
        (row,) = exploring.after(connection, "home", asked.key, 0, 9)
        assert exploring.count(connection, "home") == (1, 0)
        assert list(exploring.learned_rows(connection, "home")) == []
    assert (row.slate_id, row.seq, row.policy, row.asked) == (slate, 1, "linucb", asked.begun_with)
    assert row.places.tolist() == [0, 1]
    assert row.items.tolist() == [0, 1]
    assert row.offered.tolist() == [[0, -1], [1, -1]]
    assert row.propensities.tolist() == [0.5, 0.5]
    assert row.vector is not None
    assert row.vector.tolist() == context
    assert row.earned is None
    assert row.last_seq == world.events.last_seq
    world.pass_window()
    world.learning().turn()
    with world.db.read() as connection:
        assert exploring.count(connection, "home") == (1, 1)
        assert [one.slate_id for one in exploring.learned_rows(connection, since=NOW, until=NOW + MINUTE)] == [slate]
        assert list(exploring.learned_rows(connection, since=NOW + HOUR)) == []
