"""What a shop sees of a visit, as the simulator sees it; which action answers; what an agent would have brought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acting_world import ACTIONS, Acting, asked_of
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import NotFound, Unavailable
from shopkeeper.quality.perdecision import Episodes, per_decision
from shopkeeper.recommend.acting.evaluating import whole
from shopkeeper.recommend.acting.frozen import FrozenAgents
from shopkeeper.recommend.acting.steering import Steering
from shopkeeper.recommend.acting.visits import GAP, MOST_SLATES, OpenVisits, Visit
from shopkeeper.recommend.explore.drawing import number
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.files import new
from shopkeeper.recommend.qlearning.sessions import AIMS, Knowledge, Sessions
from shopkeeper.recommend.qlearning.steps import Floats, Ints, Transition
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.sources.simulator.responses import ResponseModel
from shopkeeper.stores import visits as visit_rows
from shopkeeper.stores.visits import Verdict


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Acting]:
    made = Acting(tmp_path)
    yield made
    made.db.close()


# -- what is seen

Move = tuple[str, int, list[int]]
_show = st.tuples(st.just("show"), st.integers(0, 3), st.lists(st.integers(0, 30), min_size=0, max_size=12))
_click = st.tuples(st.just("click"), st.integers(0, 35), st.just([]))


@given(st.lists(_show | _click, max_size=60), st.integers(0, 500), st.integers(0, 40))
def test_numbers_of_a_visit_are_from_0_to_1_whatever_happens(moves: list[Move], before: int, items: int) -> None:
    visit = Visit("v", "k", None, before)
    for kind, what, rows in moves:
        if kind == "show":
            visit.show(what, np.array(rows, dtype=np.int32), 1)
        else:
            visit.click(what)
        state = visit.state(items)
        assert state.shape == (16,)
        assert ((state >= 0) & (state <= 1)).all()
        assert state[5:9].sum() == (1 if visit.actions else 0)


def test_a_shop_sees_of_a_visit_what_the_simulator_sees() -> None:
    model = ResponseModel.version("v1")
    sessions = Sessions(model, Knowledge.of(model, 1))
    sessions.begin(5, 40)
    visits = [Visit("v", "k", 0 if known else None, 0) for known in sessions._known]
    random, rows = np.random.default_rng(2), np.arange(40)
    for _ in range(4):
        actions = random.integers(1, len(AIMS), 40)  # of `liked` an item may be clicked on twice
        slates = np.stack([sessions._slate(int(action), rows[[at]])[0] for at, action in enumerate(actions)])
        before, here = sessions._clicked.copy(), sessions.here.copy()
        sessions.act(actions)
        state = sessions.state
        for at in np.flatnonzero(here):
            visits[at].show(int(actions[at]), slates[at].astype(np.int32), 1)
            for item in np.flatnonzero(sessions._clicked[at] - before[at]):
                visits[at].click(int(item))
            seen = visits[at].state(len(model.item_ids))
            alike = [0, 1, 2, 3, 4, *range(5, 13), 15]  # the others are of what comes next, and of before
            assert seen[alike] == pytest.approx(state[at, alike])


def test_what_was_seen_before_and_late_clicks(world: Acting) -> None:
    first = world.slate("u0", ["i0", "i1"], 1)
    world.slate("u0", ["i1", "i2"], 0)
    visit = world.open._open["u0"]["home"]
    assert visit.state(10)[13] == 0.5
    assert visit.state(10)[14] == 3 / 12
    clicks = EventBatch.from_rows(
        [
            (9, world.vocab.users.row("u0"), world.vocab.items.row("i0"), -1, world.vocab.event_types.row("view"), -1,
             world.clock.now(), None, None, None, None),
        ]
    )  # fmt: skip
    world.open.apply(clicks)
    assert not visit.clicked, "who only looks took nothing"
    world.click("u0", "i0", first)
    kind = world.vocab.event_types.row("click")
    taken = replace(clicks, type=np.array([kind], dtype=np.int32))
    for _ in range(2):
        world.open.apply(taken)
    state = visit.state(10)
    assert (state[1], state[2], state[3]) == (0.0, 1 / 8, 2 / 3), "it was of the slate before"
    assert state[9:13].tolist() == [0.0, 0.25, 0.0, 0.0]


def test_a_pause_other_actions_and_many_slates_end_a_visit(world: Acting) -> None:
    def going(now: int, key: str = world.asked.key) -> float:
        return float(world.open.state("home", key, "u0", 0, now)[0])

    world.slate("u0", ["i0"])
    now = world.clock.now()
    assert going(now + GAP) == going(now - GAP) == 1 / 8
    assert going(now + GAP + 1) == going(now - GAP - 1) == 0.0
    assert going(now, "other") == 0.0
    assert float(world.open.state("mail", world.asked.key, "u0", 0, now)[0]) == 0.0
    for _ in range(MOST_SLATES):
        world.slate("u0", ["i0"])
    assert len(world.open._open["u0"]["home"].actions) == 1


def test_only_the_newest_people_are_remembered(world: Acting) -> None:
    few = OpenVisits(world.vocab.users, world.vocab.event_types, before=lambda _: 0, items=lambda: 6, most=2)
    world.visits._visits = few
    for user in ("u0", "u1", "u0", "u2"):
        world.slate(user, ["i0"])
    assert list(few._open) == ["u0", "u2"]


# -- who answers


class Mind:
    """An agent that wants one action, judged so on `home`; `error` is raised instead."""

    def __init__(self, action: int, error: Exception | None = None, verdict: str = "PROMOTE") -> None:
        self.action, self.error, self.updates = action, error, 1
        self.verdict = verdict

    def read(self, _id: str, look: Any) -> Any:
        if self.error is not None:
            raise self.error
        return look(self)

    def verdicts(self, agent_id: str) -> list[Verdict]:
        return [judged(agent_id, self.verdict)] if self.verdict else []

    def frozen(self) -> Any:
        return lambda states: np.eye(2)[[self.action] * len(states)]


def judged(agent_id: str, verdict: str, scenario: str = "home") -> Verdict:
    key = asked_of(agent_id).key
    return Verdict(agent_id=agent_id, scenario=scenario, key=key, verdict=verdict, judged={}, judged_at=1)


def steering(world: Acting, mind: Mind) -> tuple[Steering, FrozenAgents]:
    frozen = FrozenAgents(mind)
    frozen.want(world.agent_id)
    frozen.refresh()
    return Steering(frozen, world.open, world.vocab.users, allows=lambda row: row not in world.refusing), frozen


def place(world: Acting, **more: Any) -> Scenario:
    return replace(BUILT_IN["home"], agent={"agent_id": world.agent_id, "actions": ACTIONS, "share": 0.4, **more})


@pytest.mark.parametrize(("mode", "wanted", "often"), [("shadow", 1, 0.2), ("steer", 1, 0.8), ("steer", 0, 0.2)])
def test_draws_are_keyed_and_as_frequent_as_their_chance(world: Acting, mode: str, wanted: int, often: float) -> None:
    asked, (one, _) = place(world, mode=mode), steering(world, Mind(wanted))
    drawn = []
    for k in range(2000):
        made, acted, alone = one.act(asked, "u0", f"slate-{k}", 5)
        again, same, _ = one.act(asked, "u0", f"slate-{k}", 5)
        assert acted is not None
        assert same is not None
        assert alone is None
        assert (again, same.action, same.propensity) == (made, acted.action, acted.propensity)
        assert (acted.choice, acted.propensity) == (wanted, pytest.approx(often if acted.action else 1 - often))
        assert (made.diversity, made.ttl_s, made.name) == (1.0 if acted.action else 0.0, 0.0, "home")
        drawn.append(acted.action)
    assert np.mean(drawn) == pytest.approx(often, abs=0.03)
    assert number("slate-1", -1) != number("slate-1", 0), "a slate's own draw is none of its slots'"


@pytest.mark.parametrize("verdict", ["", "HOLD", "REJECT"])
def test_what_is_not_proven_is_in_the_shadow_and_says_so(world: Acting, verdict: str) -> None:
    steer, mind = place(world, mode="steer"), Mind(1)
    one, frozen = steering(world, mind)
    asked = one.act(steer, "u0", "s", 5)[1]
    assert asked is not None
    assert asked.facts()["mode"] == "steer"
    mind.verdict = verdict  # it was trained, or judged again
    frozen.refresh()
    told, drawn = {}, []
    for k in range(500):
        _, acted, alone = one.act(steer, "u0", f"slate-{k}", 5)
        assert acted is not None
        assert alone is None
        assert acted.propensity == pytest.approx(0.2 if acted.action else 0.8)
        drawn.append(acted.action)
        told = acted.facts()
    assert np.mean(drawn) == pytest.approx(0.2, abs=0.06)
    assert (told["mode"], told["choice"]) == ("shadow", "varied")
    assert "is not PROMOTE" in told["explanation"]
    asked = one.act(place(world), "u0", "s", 5)[1]
    assert asked is not None
    assert "explanation" not in asked.facts(), "what asks for the shadow has it"


def test_proven_is_what_was_judged_and_nothing_else(world: Acting) -> None:
    _, frozen = steering(world, Mind(1))
    key = asked_of(world.agent_id).key
    assert frozen.proven(world.agent_id, "home", key)
    for agent_id, scenario, other in (
        ("another", "home", key),
        (world.agent_id, "else", key),
        (world.agent_id, "home", "k"),
    ):
        assert not frozen.proven(agent_id, scenario, other)
    frozen.drop(world.agent_id)
    assert not frozen.proven(world.agent_id, "home", key)


def test_one_that_cannot_be_read_keeps_no_other_from_it(world: Acting, caplog: pytest.LogCaptureFixture) -> None:
    class Two(Mind):
        def read(self, agent_id: str, look: Any) -> Any:
            if agent_id == "broken":
                raise ValueError("what nobody foresaw")
            return super().read(agent_id, look)

    frozen = FrozenAgents(Two(1))
    names = [world.agent_id, "broken", "third"]
    for name in names:
        frozen.want(name)
    frozen.refresh()
    assert [frozen.choose(name, np.zeros(16)) for name in names] == [1, None, 1]
    assert frozen.why("broken") == "ValueError: what nobody foresaw"


@pytest.mark.parametrize("error", [NotFound("no agent"), Unavailable("damaged", code="agent_broken")])
def test_without_an_agent_the_scenario_as_it_is_answers_and_says_so(world: Acting, error: Exception) -> None:
    shadow, steer = place(world), place(world, mode="steer")
    one, frozen = steering(world, Mind(1, error))
    assert one.act(shadow, "u0", "s", 5) == (shadow, None, None)
    assert one.act(steer, "u0", "s", 5) == (steer, None, f"agent: {error}")
    mind = Mind(1)
    one, frozen = steering(world, mind)
    assert one.act(steer, "u0", "s", 5)[1] is not None
    mind.error = Unavailable("SQL rests")
    frozen.refresh()
    assert one.act(steer, "u0", "s", 5)[1] is not None, "it goes on as it was read"
    frozen.drop(world.agent_id)
    assert one.act(steer, "u0", "s", 5)[2] == "agent: it was deleted"


def test_an_agent_that_fails_and_one_with_other_actions_cost_nobody_an_answer(
    world: Acting, caplog: pytest.LogCaptureFixture
) -> None:
    steer = place(world, mode="steer")
    one, frozen = steering(world, Mind(1))
    frozen._read[world.agent_id] = replace(frozen._read[world.agent_id], values=lambda _: 1 / 0)
    made, acted, alone = one.act(steer, "u0", "s", 5)
    assert (made, acted) == (steer, None)
    assert alone == "agent: ZeroDivisionError: division by zero"
    frozen._read[world.agent_id] = replace(frozen._read[world.agent_id], values=lambda _: np.eye(5)[[4]])
    assert "IndexError" in (one.act(steer, "u0", "s", 5)[2] or "")


def test_an_agent_is_asked_for_once_and_people_who_refuse_never(world: Acting) -> None:
    missed: list[int] = []
    proof = judged(world.agent_id, "PROMOTE")
    world.db.writer.run(lambda connection: visit_rows.keep(connection, proof))
    frozen = FrozenAgents(world.agents, lambda: missed.append(1))
    one = Steering(frozen, world.open, world.vocab.users, allows=lambda _: False, strangers=False)
    steer = place(world, mode="steer")
    assert one.act(steer, "u0", "s", 5) == one.act(steer, "new", "s", 5) == (steer, None, None)
    assert one.act(BUILT_IN["home"], "u0", "s", 5) == (BUILT_IN["home"], None, None)
    one = Steering(frozen, world.open, world.vocab.users, allows=lambda _: True)
    for _ in range(3):
        assert one.act(steer, "new", "s", 5)[2] == "agent: it is not read yet"
    assert missed == [1]
    frozen.refresh()
    acted = one.act(steer, "new", "s", 5)[1]
    assert acted is not None
    assert acted.asked.steers


@pytest.mark.parametrize("kind", ["tabular", "dqn", "dueling"])
def test_a_frozen_agent_stays_as_it_was_read(kind: str) -> None:
    config = AgentConfig(agent_type=kind, state_size=2, action_size=2, hidden=[4], batch_size=1, learning_rate=0.5)
    agent = new(config)
    state = np.array([[0.1, 0.9]])
    agent.learn(Transition(state[0], 1, 1.0, state[0], done=True))
    frozen, before = agent.frozen(), agent.values(state)
    for _ in range(3):
        agent.learn(Transition(state[0], 0, 5.0, state[0], done=True))
    assert (agent.values(state) != before).any()
    assert (frozen(state) == before).all()


# -- what it is worth


def test_only_visits_all_of_whose_slates_are_there_are_judged() -> None:
    rows = [("b", 1, 0, 1, 0.5, 2.0), ("a", 0, 1, 1, 0.25, 1.0), ("b", 0, 1, 1, 0.5, 0.0), ("c", 1, 0, 0, 0.5, 9.0)]
    found = whole(rows)
    assert found.episode.tolist() == [0, 1, 1]
    assert found.reward.tolist() == [1.0, 0.0, 2.0]
    assert found.propensity.tolist() == [0.25, 0.5, 0.5]
    assert found.chance.tolist() == [1.0, 1.0, 0.0]
    assert len(whole([]).reward) == 0


def tired(states: Floats) -> Ints:
    """Something new for who did not click lately, else what is liked."""
    return np.where(states[:, 3] > 0.3, 1, 0)


def played(sessions: Sessions, seeds: range, share: float | None, random: np.random.Generator) -> Episodes:
    """Visits of up to three slates to the simulated shop: by the policy (share None), or `liked` but for a share."""
    found: list[tuple[np.ndarray, ...]] = []
    for at, seed in enumerate(seeds):
        state = sessions.begin(seed, 1000)
        for _ in range(3):
            here, best = np.flatnonzero(sessions.here), tired(state)
            any_ = np.where(random.random(1000) < (share or 0.0), random.integers(0, len(AIMS), 1000), 0)
            actions = best if share is None else any_
            propensity = np.ones(1000) if share is None else share / len(AIMS) + (1 - share) * (actions == 0)
            clicks, _ = sessions.act(actions)
            told = (at * 1000 + here, clicks[here], propensity[here], (actions == best)[here].astype(np.float64))
            found.append(told)
            state = sessions.state
    return Episodes(*(np.concatenate(each) for each in zip(*found, strict=True)))


def test_what_a_policy_would_bring_in_the_simulated_shop_is_told_from_visits_that_another_one_led() -> None:
    model = ResponseModel.version("v1")
    sessions, random = Sessions(model, Knowledge.of(model, 1)), np.random.default_rng(4)
    truth = per_decision(played(sessions, range(50, 53), None, random), draws=100)
    told = per_decision(played(sessions, range(3), 0.6, random), draws=300)
    assert told.effective > 200
    assert told.low < truth.value < told.high
    assert told.high - told.low < 0.2 * truth.value


def test_an_agent_that_remembers_luck_is_not_promoted() -> None:
    """Its choices before it has learned of a visit are judged: what it knows afterwards gains nothing."""
    random = np.random.default_rng(6)
    n = 3000
    luck, action = random.poisson(1.0, n).astype(np.float64), random.integers(0, 2, n)
    best_after = np.where(luck > luck.mean(), action, 1 - action)  # what a table would hold of each visit by now
    before = random.integers(0, 2, n)

    def judged(choice: Ints) -> tuple[float, float]:
        rows = [(f"{k:05}", 0, int(action[k]), int(choice[k]), 0.5, float(luck[k])) for k in range(n)]
        found = per_decision(whole(rows), draws=300)
        return found.gain_low, found.gain_high

    assert judged(before)[0] < 0 < judged(before)[1]
    assert judged(best_after)[0] > 0.5, "which is why choices are noted as they are made"


def test_asking_has_a_key_of_agent_and_actions() -> None:
    one = asked_of("a")
    assert one.key == asked_of("a", mode="steer", share=1.0).key
    assert one.key != asked_of("b").key
    other = asked_of("a", actions=[ACTIONS[0], {"name": "varied", "config": {"diversity": 0.5}}])
    assert one.key != other.key
    for mode, choice, expected in (("shadow", 1, [0.75, 0.25]), ("steer", 1, [0.25, 0.75]), ("steer", 0, [0.75, 0.25])):
        assert asked_of("a", mode=mode).chances(choice).tolist() == expected
    assert MINUTE * 30 == GAP
