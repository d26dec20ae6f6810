"""Visits to the simulated shop, slate after slate: what each aim shows, what is seen of a visit, when it ends."""

from __future__ import annotations

import numpy as np
import pytest

from shopkeeper.core.errors import Conflict
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.environment import fits, rewards_of, train
from shopkeeper.recommend.qlearning.files import new
from shopkeeper.recommend.qlearning.sessions import AIMS, MOST_SLATES, PLACES, STATE, Knowledge, Sessions, SessionWorld
from shopkeeper.recommend.qlearning.worlds import size_of
from shopkeeper.sources.simulator.responses import ResponseModel


@pytest.fixture(scope="module")
def model() -> ResponseModel:
    return ResponseModel.version("v1")


@pytest.fixture(scope="module")
def knowledge(model: ResponseModel) -> Knowledge:
    return Knowledge.of(model, 1)


@pytest.fixture
def sessions(model: ResponseModel, knowledge: Knowledge) -> Sessions:
    return Sessions(model, knowledge)


def always(aim: str, visits: int) -> np.ndarray:
    return np.full(visits, AIMS.index(aim))


def test_what_the_shop_knows_are_clicks_that_were_made(knowledge: Knowledge) -> None:
    assert 20 < knowledge.clicks.sum(axis=1).mean() < 45
    assert (knowledge.sells == knowledge.clicks.sum(axis=0)).all()
    assert (np.diag(knowledge.together) == 0).all()
    # Who clicked on an item scores higher, by their other clicks, for it than who did not.
    scores = knowledge.clicks @ knowledge.together
    best = int(knowledge.sells.argmax())
    clicked = knowledge.clicks[:, best] > 0
    assert scores[clicked, best].mean() > scores[~clicked, best].mean()


def test_each_aim_shows_what_it_says(sessions: Sessions, knowledge: Knowledge) -> None:
    rows = np.arange(50)
    sessions.begin(3, 50)
    sells = np.argsort(-knowledge.sells, kind="stable")
    assert (sessions._slate(AIMS.index("popular"), rows) == sells[:PLACES]).all()
    strangers = ~sessions._known
    assert 10 < strangers.sum() < 40
    assert (sessions._slate(AIMS.index("liked"), rows)[strangers] == sells[:PLACES]).all()
    assert len(np.unique(sessions._slate(AIMS.index("liked"), rows)[~strangers], axis=0)) > 5
    varied = knowledge.kind[sessions._slate(AIMS.index("varied"), rows)]
    assert all(len(set(kinds)) == PLACES for kinds in varied.tolist())
    for aim in ("new", "varied", "popular"):
        sessions.begin(3, 50)
        seen = [sessions._slate(AIMS.index(aim), rows)]
        sessions.act(always(aim, 50))
        seen.append(sessions._slate(AIMS.index(aim), rows))
        assert all(len(set(both)) == 2 * PLACES for both in np.concatenate(seen, axis=1).tolist())
    sessions.begin(3, 50)
    before = sessions._slate(AIMS.index("liked"), rows)
    sessions.act(always("liked", 50))
    quiet = (sessions._clicked.sum(axis=1) == 0) & ~strangers
    assert (sessions._slate(AIMS.index("liked"), rows)[quiet] == before[quiet]).all()


def test_what_is_seen_of_a_visit(sessions: Sessions) -> None:
    first = sessions.begin(5, 200)
    assert first.shape == (200, STATE)
    assert (first[:, [0, 1, 2, 3, *range(5, 13), 13, 15]] == 0).all()
    assert ((first[:, 14] > 0) <= (first[:, 4] == 1)).all()
    clicks, gone = sessions.act(always("varied", 200))
    state = sessions.state
    assert ((state >= 0) & (state <= 1)).all()
    assert state[:, 0] == pytest.approx(1 / 8)
    assert state[:, 1] == pytest.approx(np.minimum(clicks / 3, 1))
    assert state[:, 3] == pytest.approx(np.where(clicks > 0, 0, 1 / 3))
    assert (state[:, 5:9] == np.eye(4)[2]).all()
    assert state[:, 11] == pytest.approx(np.minimum(clicks / 4, 1))
    assert 0.2 < gone.mean() < 0.5
    assert gone[clicks > 0].mean() < gone[clicks == 0].mean()


def test_who_has_gone_is_shown_nothing_more(sessions: Sessions) -> None:
    sessions.begin(6, 100)
    _, gone = sessions.act(always("new", 100))
    clicks, again = sessions.act(always("new", 100))
    assert (clicks[gone] == 0).all()
    assert not (again & gone).any()
    assert (sessions._slates == np.where(gone, 1, 2)).all()


def test_one_visit_at_a_time_is_the_same_every_time(sessions: Sessions) -> None:
    world = SessionWorld(sessions)

    def visit(seed: int, action: int) -> list[tuple[float, bool]]:
        world.reset(seed)
        found = []
        for _ in range(MOST_SLATES + 1):
            came = world.step(action)
            found.append((came.reward, came.done))
            if came.done or came.cut:
                break
        with pytest.raises(Conflict, match="ended"):
            world.step(action)
        return found

    assert [visit(seed, 1) for seed in range(5)] == [visit(seed, 1) for seed in range(5)]
    assert len({tuple(visit(seed, 1)) for seed in range(5)}) > 1


def test_agents_learn_in_it(sessions: Sessions) -> None:
    world = SessionWorld(sessions)
    assert (world.states, world.state_size, world.actions) == ("vector", 16, 4)
    agent = new(AgentConfig(agent_type="double"))
    fits(agent.config, size_of("session"))
    found = train(agent, world, episodes=20, patience=100)
    assert found.episodes == agent.episodes == 20
    assert agent.updates == found.steps > 20
    assert len(rewards_of(agent, world, 3)) == 3
