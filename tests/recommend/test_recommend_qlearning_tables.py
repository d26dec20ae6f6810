"""Tables against worlds that are known whole, and the loop of acting and learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shopkeeper.core.errors import Conflict, Invalid, Unavailable
from shopkeeper.recommend.qlearning.config import MOST_KEYS, AgentConfig, check
from shopkeeper.recommend.qlearning.environment import rewards_of, train
from shopkeeper.recommend.qlearning.files import new, packed, unpacked
from shopkeeper.recommend.qlearning.policy import policy_of
from shopkeeper.recommend.qlearning.schedule import epsilon_after
from shopkeeper.recommend.qlearning.steps import Transition
from shopkeeper.recommend.qlearning.tables import Tables, TableWorld
from shopkeeper.recommend.qlearning.tabular import TabularAgent

PLACES = 6


def walk(slip: float = 0.2, steps: int = 60) -> Tables:
    """Places in a row: action 1 goes right, 0 left, and with chance `slip` the other way. The right end pays 1, the
    left end 0.1; both end the episode. It begins in place 2."""
    states = np.arange(PLACES)
    left, right = np.maximum(states - 1, 0), np.minimum(states + 1, PLACES - 1)
    afters = np.stack([np.stack([left, right], 1), np.stack([right, left], 1)], 1)
    chances = np.broadcast_to([1 - slip, slip], afters.shape).copy()
    ends = (afters == 0) | (afters == PLACES - 1)
    rewards = np.where(afters == PLACES - 1, 1.0, np.where(afters == 0, 0.1, 0.0))
    return Tables(chances, afters, rewards, ends, np.eye(PLACES)[2], steps)


def agent(**more: object) -> TabularAgent:
    told = {"states": "index", "state_size": PLACES, "action_size": 2, "seed": 1, **more}
    made = new(AgentConfig(**told))  # type: ignore[arg-type]
    assert isinstance(made, TabularAgent)
    return made


def test_the_optimum_of_a_walk_is_the_closed_form() -> None:
    sure = walk(slip=0.0)
    values, policy = sure.optimum(0.9)
    assert values[1:5] == pytest.approx([0.9**3, 0.9**2, 0.9, 1.0])
    assert (policy[1:5] == 1).all()
    assert sure.earned(policy) == pytest.approx(1.0)
    assert sure.earned(np.zeros(PLACES, dtype=np.int64)) == pytest.approx(0.1)
    assert walk(slip=0.0, steps=2).earned(policy) == 0  # cut before the end is reached
    # Gambler's ruin from place 2 of 5 with 0.8 to the right: (1 - r^2) / (1 - r^5), r = 0.25.
    right = (1 - 0.25**2) / (1 - 0.25**5)
    slippery = walk(steps=2000)
    assert slippery.earned(slippery.optimum(0.99)[1]) == pytest.approx(right + 0.1 * (1 - right))
    with pytest.raises(Invalid, match="sum to 1"):
        Tables(np.ones((1, 1, 2)), *[np.zeros((1, 1, 2), dtype=np.int64)] * 3, np.ones(1), 1)


def test_a_world_of_tables_is_stepped_as_its_chances_say() -> None:
    world = TableWorld(walk())
    came = [world.reset(seed)[0] * 0 + world.step(1).state[0] for seed in range(2000)]
    assert np.mean(np.array(came) == 3) == pytest.approx(0.8, abs=0.03)
    short = TableWorld(walk(slip=0.0, steps=2))
    short.reset(0)
    assert not short.step(1).cut
    last = short.step(1)
    assert (last.cut, last.done) == (True, False)
    with pytest.raises(Conflict, match="ended"):
        short.step(1)


@pytest.mark.parametrize("more", [{"replays": 0}, {}, {"prioritized": True}], ids=["plain", "replays", "prioritized"])
def test_a_table_comes_to_the_values_of_the_best_policy(more: dict[str, object]) -> None:
    tables = walk()
    learner = agent(epsilon=0.5, epsilon_min=0.5, gamma=0.9, learning_rate=0.03, **more)
    train(learner, TableWorld(tables), episodes=500, patience=1000)
    values, policy = tables.optimum(0.9)
    inner = slice(1, PLACES - 1)
    found = policy_of(learner)
    assert (found.actions[inner] == policy[inner]).all()
    assert found.values.max(axis=1)[inner] == pytest.approx(values[inner], abs=0.12)


def test_the_same_seed_makes_the_same_agent_and_a_copy_goes_on_alike() -> None:
    one, other = agent(), agent()
    for learner in (one, other):
        train(learner, TableWorld(walk()), episodes=20, patience=100)
    assert packed(one) == packed(other)
    copy = unpacked(packed(one))
    for learner in (one, copy):
        train(learner, TableWorld(walk()), episodes=20, patience=100)
    assert packed(one) == packed(copy) != packed(other)
    third = agent(seed=2)
    train(third, TableWorld(walk()), episodes=20, patience=100)
    assert packed(third) != packed(other)


def test_a_training_ends_when_nothing_gets_better() -> None:
    told: list[tuple[int, float, float]] = []
    found = train(agent(), TableWorld(walk(slip=0.0)), episodes=5000, patience=50,
                  told=lambda *what: told.append(what))  # fmt: skip
    assert found.patience_over
    assert 150 <= found.episodes < 5000
    assert [one[0] for one in told] == list(range(1, found.episodes + 1))
    assert (told[-1][1], told[-1][2]) == (found.reward, found.best)
    few = train(agent(), TableWorld(walk()), episodes=3, patience=1)
    assert (few.episodes, few.patience_over) == (3, False)
    assert few.best == few.reward


def test_measuring_changes_nothing() -> None:
    learner = agent()
    train(learner, TableWorld(walk()), episodes=50, patience=100)
    before = packed(learner)
    rewards = rewards_of(learner, TableWorld(walk()), 30)
    assert packed(learner) == before
    assert len(rewards) == 30
    assert rewards_of(learner, TableWorld(walk()), 10, first=20) == rewards[20:]
    with pytest.raises(Conflict, match="size 7"):
        train(agent(state_size=7), TableWorld(walk()), episodes=1, patience=1)


def test_vectors_are_cut_into_bins() -> None:
    table = new(AgentConfig(state_size=2, action_size=2, bins=4, low=-1, high=1, replays=0))
    assert isinstance(table, TabularAgent)
    states = np.array([[-9.0, -1], [-0.51, -0.5], [0.99, 1], [0, 9]])
    assert table.keys(states).tolist() == [[0, 0], [0, 1], [3, 3], [2, 3]]
    table.learn(Transition(states[0], 1, 2.0, states[1], True))
    assert table.values(np.array([[-0.9, -0.9], [0.9, 0.9]])) == pytest.approx(np.array([[0, 0.2], [0, 0]]))
    told = policy_of(table)
    assert (told.states.tolist(), told.actions.tolist(), told.total) == ([[0, 0], [0, 1]], [1, 0], 2)


def test_a_full_table_values_what_is_new_as_at_first() -> None:
    table = agent(initial_value=0.5, replays=0)
    table._most = 2
    told = [table.learn(Transition(np.array([float(k)]), 0, 1.0, np.array([float(k)]), True)) for k in (0, 1, 2, 2)]
    assert told == [0.5] * 4
    assert len(table.table[0]) == 2
    assert table.values(np.array([[2.0]])).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    "fits",
    [
        {"state_size": 80, "buffer_size": 32}, {"state_size": 4096, "states": "index"},
        {"state_size": 4096, "bins": 1, "buffer_size": 32}, {"state_size": 1024, "action_size": 256, "buffer_size": 32},
        {"agent_type": "dqn", "state_size": 4096, "buffer_size": 32, "hidden": [4]},
    ],
)  # fmt: skip
def test_a_table_has_room_for_what_tells_its_states_apart(fits: dict[str, Any]) -> None:
    config = check(AgentConfig(**fits))
    assert not config.tabular or config.rows * config.width <= MOST_KEYS


def test_a_table_of_earlier_bounds_is_read_and_grows_no_further_than_there_is_room() -> None:
    wide = TabularAgent(AgentConfig(state_size=4096, buffer_size=32, replays=0))
    for k in range(3):
        wide.learn(Transition(np.full(4096, k / 3), 0, 1.0, np.full(4096, k / 3), True))
    again = unpacked(packed(wide))
    assert isinstance(again, TabularAgent)
    assert again.table[0].shape == (3, 4096)
    assert 4096 * again._most <= MOST_KEYS


def test_chance_falls_by_episodes_and_ties_are_broken_only_in_trying() -> None:
    config = AgentConfig()
    assert [epsilon_after(config, n) for n in (0, 1, 10_000)] == [0.1, pytest.approx(0.0995), 0.01]
    learner, random = agent(epsilon=0.0, epsilon_min=0.0), np.random.default_rng(1)
    at = np.zeros(1)
    assert {learner.choose(at, random) for _ in range(30)} == {0, 1}
    assert {learner.choose(at) for _ in range(30)} == {0}
    always = agent(epsilon=1.0)
    always.learn(Transition(at, 1, 1.0, at, False))
    assert {always.choose(at, random) for _ in range(30)} == {0, 1}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", packed(agent())[:-30]])
def test_what_is_no_agent_is_refused(content: bytes) -> None:
    with pytest.raises(Unavailable, match="no agent"):
        unpacked(content)


def test_an_agent_is_no_pickle(tmp_path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Unavailable, match="no agent"):
        unpacked(path.read_bytes())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"low": 1.0}, "low"),
        ({"epsilon": 0.001}, "epsilon_min"),
        ({"prioritized": True, "replays": 0}, "prioritized"),
        ({"agent_type": "dqn", "replays": 3}, "replays"),
        ({"batch_size": 100, "buffer_size": 50}, "batch_size"),
        ({"state_size": 4096, "buffer_size": 100_000}, "buffer_size"),
        ({"agent_type": "double", "hidden": [512, 512, 512]}, "hidden"),
        ({"state_size": 4096, "buffer_size": 32}, "state_size"),
        ({"state_size": 81, "buffer_size": 32}, "state_size"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as error:
        new(AgentConfig(**wrong))  # type: ignore[arg-type]
    assert error.value.field == field
