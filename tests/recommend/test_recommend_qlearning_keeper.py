"""What agents learned is there again: after closing, after a kill, when others took their place in memory."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, NotFound, Unavailable
from shopkeeper.recommend.qlearning import keeper as keeper_module
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.files import new, packed
from shopkeeper.recommend.qlearning.keeper import AgentKeeper
from shopkeeper.recommend.qlearning.steps import Transition
from shopkeeper.stores import agents as table
from shopkeeper.stores import visits
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.visits import Verdict

NET = AgentConfig(agent_type="double", state_size=2, action_size=2, hidden=[4], batch_size=2, seed=7)
TABLE = AgentConfig(state_size=2, action_size=2, prioritized=True, replays=4, buffer_size=20, batch_size=4)


@pytest.fixture
def db(tmp_path: Path):
    opened = open_database(sqlite_url(tmp_path))
    yield opened
    opened.close()


def keeper(db: Database, tmp_path: Path, **limits: int) -> AgentKeeper:
    return AgentKeeper(db, tmp_path / "agents", SystemClock(), **limits)


def steps(n: int) -> list[Transition]:
    random = np.random.default_rng(5)
    return [
        Transition(
            random.random(2), int(random.integers(2)), float(random.random()), random.random(2), bool(k % 5 == 4)
        )
        for k in range(n)
    ]


def told(keeper: AgentKeeper, agent_id: str, some: list[Transition]) -> None:
    for step in some:
        with keeper.locked(agent_id) as agent:
            keeper.learn(agent_id, agent, step)


def copy(keeper: AgentKeeper, agent_id: str) -> bytes:
    return keeper.packed(agent_id)


def directly(config: AgentConfig, some: list[Transition]) -> Agent:
    agent = new(config)
    for step in some:
        agent.learn(step)
    return agent


@pytest.mark.parametrize("config", [NET, TABLE], ids=["net", "table"])
def test_after_a_kill_an_agent_is_what_it_was_bit_by_bit(db: Database, tmp_path: Path, config: AgentConfig) -> None:
    first, all_steps = keeper(db, tmp_path), steps(60)
    agent_id = first.add(new(config), by="anna").agent_id
    told(first, agent_id, all_steps[:20])
    first.save(agent_id)
    told(first, agent_id, all_steps[20:40])
    second = keeper(db, tmp_path)  # the first was never closed: its file knows twenty steps, SQL the others
    told(second, agent_id, all_steps[40:])
    assert copy(second, agent_id) == packed(directly(config, all_steps))
    second.close()
    with db.read() as connection:
        assert table.told(connection, agent_id) == []
    third = keeper(db, tmp_path)
    assert copy(third, agent_id) == packed(directly(config, all_steps))
    assert len(list((tmp_path / "agents").iterdir())) == 1


def test_many_steps_go_into_the_file_by_themselves(db: Database, tmp_path: Path) -> None:
    config = AgentConfig(state_size=2, action_size=2, replays=0)
    one = keeper(db, tmp_path, every=10)
    agent_id = one.add(new(config), by="").agent_id
    told(one, agent_id, steps(23))
    with db.read() as connection:
        assert len(table.told(connection, agent_id)) == 3
        assert table.get(connection, agent_id).facts["updates"] == 20


def test_on_a_full_disk_an_agent_learns_on_and_its_steps_stand_in_sql(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = AgentConfig(state_size=2, action_size=2, replays=0)
    one = keeper(db, tmp_path, every=5)
    agent_id = one.add(new(config), by="").agent_id
    tries = []

    def full(_path: Path, _content: bytes) -> None:
        tries.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    all_steps = steps(17)
    with monkeypatch.context() as patch:
        patch.setattr(keeper_module, "write_durably", full)
        told(one, agent_id, all_steps[:12])
    assert len(tries) == 2, "not with each step"
    assert agent_id in caplog.text
    with db.read() as connection:
        assert len(table.told(connection, agent_id)) == 12
    assert copy(keeper(db, tmp_path), agent_id) == packed(directly(config, all_steps[:12]))
    told(one, agent_id, all_steps[12:])
    with db.read() as connection:
        assert len(table.told(connection, agent_id)) == 2, "there is room again"
    assert copy(keeper(db, tmp_path), agent_id) == packed(directly(config, all_steps))


def test_agents_take_each_others_place_and_nothing_is_forgotten(db: Database, tmp_path: Path) -> None:
    small = keeper(db, tmp_path, held=1, most=3)
    ids = [small.add(new(NET), by="").agent_id for _ in range(3)]
    with pytest.raises(Conflict, match="3 agents already"):
        small.add(new(NET), by="")
    assert len(list((tmp_path / "agents").iterdir())) == 3
    for step in steps(4):
        for agent_id in ids:
            told(small, agent_id, [step])
    for agent_id in ids:
        assert copy(small, agent_id) == packed(directly(NET, steps(4)))


def test_a_file_that_is_lost_or_changed_is_told(db: Database, tmp_path: Path) -> None:
    one = keeper(db, tmp_path)
    agent_id = one.add(new(NET), by="").agent_id
    (tmp_path / "agents" / "stray.npz").write_bytes(b"half")
    assert one.sweep() == 1
    file = next((tmp_path / "agents").iterdir())
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(Unavailable, match="not what was written"):
        copy(one, agent_id)
    file.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        copy(one, agent_id)
    file.write_bytes(content)
    assert copy(one, agent_id) == packed(new(NET))
    one.remove(agent_id)
    assert not list((tmp_path / "agents").iterdir())
    with pytest.raises(NotFound):
        copy(one, agent_id)


def test_another_agent_in_its_place_once(db: Database, tmp_path: Path) -> None:
    one = keeper(db, tmp_path)
    agent_id = one.add(new(NET), by="").agent_id
    told(one, agent_id, steps(5))
    trained = directly(NET, steps(50))
    held = Verdict(agent_id=agent_id, scenario="home", key="k", verdict="PROMOTE", judged={}, judged_at=1)
    db.writer.run(lambda connection: visits.keep(connection, held))
    for _ in range(2):  # a shop that is killed does it again when it comes back
        one.replace(
            agent_id, packed(trained), {"episodes": 10}, name="job-1",
            also=lambda connection: visits.forget(connection, agent_id),
        )  # fmt: skip
        assert copy(one, agent_id) == packed(trained)
    with db.read() as connection:
        assert table.get(connection, agent_id).facts["training"] == {"episodes": 10}
        assert visits.verdicts(connection, agent_id) == [], "it was said of another agent"
    assert len(list((tmp_path / "agents").iterdir())) == 1
