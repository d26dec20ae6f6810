"""Learning from visits: each once, whole, when it is over, by one process, whichever lives."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acting_world import CONFIG, Acting, asked_of
from sqlalchemy import func, select

from shopkeeper.bootstrap.acting import ActingAgents
from shopkeeper.core.changes import Change
from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND
from shopkeeper.core.errors import Busy, Conflict, Unavailable
from shopkeeper.recommend.acting import learner as learner_module
from shopkeeper.recommend.acting.evaluating import VisitJudging
from shopkeeper.recommend.acting.frozen import FrozenAgents
from shopkeeper.recommend.acting.learner import steps_of
from shopkeeper.recommend.acting.steering import Steering
from shopkeeper.recommend.qlearning.files import new, packed
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.stores import exploring, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import erase_person
from shopkeeper.stores.holdings import HOLDINGS, lines_of, person_at
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.visits import VisitRow


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Acting]:
    made = Acting(tmp_path)
    yield made
    made.db.close()


def rows(world: Acting) -> list[VisitRow]:
    with world.db.read() as connection:
        lines = connection.execute(select(schema.agent_visits).order_by(schema.agent_visits.c.seq))
        return [VisitRow(**dict(line._mapping)) for line in lines]


def updates(world: Acting) -> int:
    return world.agents.get(world.agent_id).updates


def directly(visits: list[list[VisitRow]]) -> bytes:
    """An agent that was told the same by hand."""
    agent = new(CONFIG)
    for visit in visits:
        for step in steps_of(visit, {row.seq: row.reward or 0.0 for row in visit}):
            agent.learn(step)
    return packed(agent)


def visits_of(world: Acting) -> list[list[VisitRow]]:
    found: dict[str, list[VisitRow]] = {}
    for row in rows(world):
        found.setdefault(row.visit_id, []).append(row)
    return list(found.values())


def acting_of(world: Acting) -> ActingAgents:
    """As a shop puts them together; it learns."""
    frozen = FrozenAgents(world.agents)
    parts = ActingAgents(
        agents=frozen,
        steering=Steering(frozen, world.open, world.vocab.users, allows=lambda _: True),
        log=world.visits,
        learning=world.visit_learning(),
        judging=VisitJudging(world.db, world.clock, world.agents),
        book=ScenarioBook(),
    )
    parts.learn()
    return parts


def test_a_visit_is_learned_once_when_it_and_its_clicks_are_over(world: Acting) -> None:
    first = world.slate("u0", ["i0", "i1"])
    world.click("u0", "i1", f"{first}-02")
    world.click("u0", "i0", first)
    world.slate("u0", ["i2", "i3"], 1)
    world.slate("u1", ["i0"])
    world.write_visits()
    learning = world.visit_learning()
    assert learning.turn() == 0
    world.visits_end()
    assert learning.turn() == 2
    assert learning.turn() == 0
    told = rows(world)
    assert [(row.number, row.action, row.choice, row.reward) for row in told] == [
        (0, 0, 1, 2.0), (1, 1, 1, 0.0), (0, 0, 1, 0.0)
    ]  # fmt: skip
    assert updates(world) == 3
    assert world.agents.keeper.packed(world.agent_id) == directly(visits_of(world))


def test_late_clicks_are_waited_for_and_what_comes_after_is_too_late(world: Acting) -> None:
    slate = world.slate("u0", ["i0"])
    world.write_visits()
    world.clock.advance(29 * MINUTE)
    learning = world.visit_learning()
    assert learning.turn() == 0
    world.click("u0", "i0", slate)
    world.clock.advance(2 * MINUTE)
    assert learning.turn() == 1
    assert [row.reward for row in rows(world)] == [1.0]
    other = world.slate("u1", ["i0"])
    world.write_visits()
    world.clock.advance(40 * MINUTE)
    world.click("u1", "i0", other)
    assert learning.turn() == 1
    assert [row.reward for row in rows(world)] == [1.0, 0.0]


def test_a_visit_that_goes_on_waits_whole(world: Acting) -> None:
    for _ in range(3):
        world.slate("u0", ["i0"])
        world.write_visits()
        world.clock.advance(20 * MINUTE)
        assert world.visit_learning().turn() == 0
    world.visits_end()
    assert world.visit_learning().turn() == 1
    assert updates(world) == 3


def test_a_number_beyond_all_floats_stops_nobody(world: Acting) -> None:
    slate = world.slate("u0", ["i0", "i1"])
    world.clock.advance(MINUTE)
    world.tell("u0", "i1", request=slate, said={"reward": 10**400})
    world.tell("u0", "i0", "dwell", slate, value=1.0, said={"feedback_value": 10**400})
    world.write_visits()
    world.visits_end()
    assert world.visit_learning().turn() == 1
    assert [row.reward for row in rows(world)] == [0.0]


def test_an_agent_whose_file_is_damaged_keeps_no_other_from_learning_and_answering(
    world: Acting, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = world.agent_id, world.agents.create(CONFIG).agent_id
    for user, agent_id in (("u0", first), ("u1", second)):
        world.asked = asked_of(agent_id)
        world.slate(user, ["i0"])
    world.write_visits()
    world.visits_end()
    next((tmp_path / "agents").glob(f"{first}*")).write_bytes(b"damaged")
    world.db.close()
    again = Acting(tmp_path, clock=world.clock)
    parts = acting_of(again)
    parts.agents.want(second)
    assert parts.turn() == 1
    assert again.agents.get(second).updates == 1
    assert parts.agents.choose(second, np.zeros(16)) is not None
    assert f"agent {first}" in caplog.text
    again.clock.advance(31 * DAY)
    assert parts.turn() == 0
    assert rows(again) == [], "what is old goes"
    again.db.close()


def test_agents_are_read_also_when_nothing_can_be_learned(world: Acting, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = acting_of(world)
    parts.agents.want(world.agent_id)

    def failing() -> int:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(parts.learning, "turn", failing)
    with pytest.raises(Unavailable):
        parts.turn()
    assert parts.agents.choose(world.agent_id, np.zeros(16)) is not None


def test_what_was_judged_of_an_agent_is_not_kept_of_the_one_that_a_training_put_in_its_place(world: Acting) -> None:
    for k in range(4):
        world.slate(f"u{k}", ["i0"], k % 2)
    world.write_visits()
    world.visits_end()
    assert world.visit_learning().turn() == 4

    class Slow(VisitJudging):
        def _judged(self, *given: Any) -> Any:
            trained = {"ended_at": world.clock.wall()}
            world.agents.keeper.replace(world.agent_id, packed(new(CONFIG)), trained, name="job-1")
            return super()._judged(*given)

    with pytest.raises(Conflict) as refused:
        Slow(world.db, world.clock, world.agents).judge(world.agent_id, "home")
    assert refused.value.code == "agent_changed"
    assert world.agents.verdicts(world.agent_id) == []


def test_what_followed_a_lost_slate_is_not_made_up(world: Acting) -> None:
    world.slate("u0", ["i0"])
    world.visits._bound = 1
    world.slate("u0", ["i1"])  # there is no room for it
    world.write_visits()
    world.slate("u0", ["i2"])
    world.write_visits()
    world.visits_end()
    assert world.visit_learning().turn() == 1
    assert [row.number for row in rows(world)] == [0, 2]
    assert updates(world) == 1, "the last, which ends the visit"


def test_while_the_agent_is_trained_its_visits_wait(world: Acting, monkeypatch: pytest.MonkeyPatch) -> None:
    world.slate("u0", ["i0"])
    world.write_visits()
    world.visits_end()

    def busy(_: str) -> None:
        raise Busy("it is being trained", job_id="j")

    with monkeypatch.context() as patched:
        patched.setattr(world.agents, "_check_free", busy)
        assert world.visit_learning().turn() == 0
    assert [row.reward for row in rows(world)] == [None]
    assert world.visit_learning().turn() == 1


# -- one learner


def test_one_process_learns_and_another_takes_over(world: Acting) -> None:
    first, second = world.visit_learning("one"), world.visit_learning("two")
    assert first.turn() == 0
    world.slate("u0", ["i0"])
    world.write_visits()
    world.clock.advance(exploring.LEASE // 2)
    assert second.turn() == 0
    world.visits_end()  # and the lease has lapsed
    assert second.turn() == 1
    assert first.turn() == 0
    second.release()
    world.slate("u1", ["i0"])
    world.write_visits()
    world.visits_end()
    assert first.turn() == 1


def test_what_somebody_else_learned_meanwhile_is_not_learned_again(world: Acting) -> None:
    other = world.visit_learning("two")

    class Slow(learner_module.VisitLearning):
        def step(self, name: str) -> None:
            if name == "read":
                world.clock.advance(2 * exploring.LEASE)
                assert other.turn() == 1

    world.slate("u0", ["i0"])
    world.write_visits()
    world.visits_end()
    assert world.visit_learning("slow", Slow).turn() == 0
    assert updates(world) == 1


def test_a_slate_that_lies_ahead_is_from_before_the_clock_was_set_back(world: Acting) -> None:
    world.slate("u0", ["i0"])
    world.write_visits()
    world.clock.at -= 3 * HOUR
    assert world.visit_learning().turn() == 1


@pytest.mark.parametrize(
    ("step", "times"), [("leased", 1), ("read", 2), ("written", 1), ("written", 2), ("learned", 1), ("learned", 2)]
)
def test_killed_at_any_step_nothing_is_lost_or_learned_twice(tmp_path: Path, step: str, times: int) -> None:
    world = Acting(tmp_path)
    for k in range(5):
        slate = world.slate(f"u{k}", [f"i{k}", f"i{k + 1}"], k % 2)
        world.click(f"u{k}", f"i{k}", slate)
        world.slate(f"u{k}", ["i0"], 1)
    world.write_visits()
    world.visits_end()
    world.db.close()
    script = Path(__file__).with_name("dying_visits.py")
    given = [str(tmp_path), step, str(times), str(world.clock.at)]
    done = subprocess.run([sys.executable, str(script), *given], cwd=script.parent, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    world = Acting(tmp_path, clock=world.clock)
    learning = world.visit_learning("next")
    assert learning.turn() == 0, "the lease has not lapsed"
    world.clock.advance(exploring.LEASE + SECOND)
    learning.turn()
    told = visits_of(world)
    assert [[row.reward for row in visit] for visit in told] == [[1.0, 0.0]] * 5
    assert updates(world) == 10
    assert world.agents.keeper.packed(world.agent_id) == directly(told)
    world.db.close()


# -- people


def test_of_who_does_not_agree_any_more_nothing_is_learned_and_nothing_stays(world: Acting) -> None:
    world.slate("u0", ["i0"])
    world.slate("u1", ["i0"])
    world.write_visits()
    row = world.vocab.users.row("u0")
    assert row is not None
    world.refusing.add(row)
    world.visits_end()
    world.visit_learning().turn()
    assert [one.user_row for one in rows(world)] == [world.vocab.users.row("u1")]
    assert updates(world) == 1


def test_an_erased_person_is_in_no_row_in_nothing_that_waits_and_in_no_open_visit(world: Acting) -> None:
    kept = world.slate("u1", ["i1"])
    world.slate("u0", ["i0"])
    world.slate("somebody-new", ["i0"])
    world.write_visits()
    world.slate("u0", ["i2"])
    world.slate("somebody-new", ["i2"])
    world.tell("somebody-new", "i0")
    for name in ("u0", "somebody-new"):
        row = world.vocab.users.row(name)
        assert row is not None
        world.visits.hear(Change("user", rows=(row,)))
        with world.db.read() as connection:
            person = person_at(connection, row)
            assert person is not None
            holding = next(one for one in HOLDINGS if one.name == "agent_visits")
            told = list(lines_of(connection, holding, person))
        assert len(told) == 1
        assert len(told[0]["state"]) == 16, "what was seen of them can be read"
        give = RowGiver(world.vocab, world.clock)
        world.db.writer.run(
            lambda one, person=person, give=give: erase_person(one, world.vocab, give, person, "erase", Actor(), 1)
        )
        world.visits.forget(row)
    world.write_visits()
    assert [row.slate_id for row in rows(world)] == [kept]
    assert list(world.open._open) == ["u1"]
    world.visits_end()
    assert world.visit_learning().turn() == 1


def test_visits_go_by_their_age_and_an_agent_that_is_gone_holds_up_nobody(world: Acting) -> None:
    world.slate("u0", ["i0"])
    world.write_visits()
    world.agents.delete(world.agent_id)
    world.clock.advance(31 * DAY)
    world.slate("u1", ["i0"])
    world.write_visits()
    assert world.visit_learning().turn() == 0
    with world.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.agent_visits)) == 1
