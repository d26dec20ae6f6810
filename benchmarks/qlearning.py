"""Q-learning: episodes to 95 % of the optimum in Gymnasium's Taxi and FrozenLake, and what agents earn in visits.

`--quick`: fewer episodes, one seed; nothing is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.forecast_sets import peer_python
from shopkeeper import plugins
from shopkeeper.recommend.explore.learning import ArmLearner
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.environment import episode, seed_of, train
from shopkeeper.recommend.qlearning.files import new
from shopkeeper.recommend.qlearning.sessions import AIMS, PLACES, Knowledge, Sessions, SessionWorld
from shopkeeper.recommend.qlearning.tables import Tables, TableWorld
from shopkeeper.sources.simulator.responses import ResponseModel

Floats = NDArray[np.float64]
Chooser = Callable[[Floats], NDArray[np.int64]]
"""Of states (m, 16) the actions (m,)."""
PACKAGES = ["gymnasium==1.2.3"]  # the last that has Taxi-v3
TAXI, LAKE = "Taxi-v3", "FrozenLake-v1"
SEEDS = (11, 12, 13)
EPISODES, EVERY, IN_A_ROW = 1000, 20, 5
VISITS, TRAINED = 2000, 3000
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PEER = Path(__file__).parent / "peers" / "gym_agent.py"


@dataclass(frozen=True)
class Entry:
    """`settings` None: gymnasium's agent, at rate, gamma and epsilon of `theirs`."""

    world: str
    name: str
    settings: Mapping[str, Any] | None
    theirs: tuple[float, float, float] = (0.8, 0.95, 0.1)
    seeds: int = 3

    @property
    def told(self) -> str:
        if self.settings is None:
            return "rate {:g}, gamma {:g}, epsilon {:g}".format(*self.theirs)
        return ", ".join(f"{name} {value}" for name, value in self.settings.items()) or "defaults"


_NET = {"gamma": 0.99, "epsilon": 1.0, "epsilon_decay": 0.99, "epsilon_min": 0.05}
ENTRIES = (
    Entry(TAXI, "table, defaults", {}),
    Entry(TAXI, "table, more replays", {"replays": 128}),
    Entry(TAXI, "table of the textbook", {"replays": 0}),
    Entry(TAXI, "Gymnasium's tutorial", None),
    Entry(LAKE, "table, defaults", {}),
    Entry(LAKE, "table, hopeful and slow", {"gamma": 0.99, "learning_rate": 0.02, "initial_value": 1.0}),
    Entry(LAKE, "table of the textbook", {"replays": 0}),
    Entry(LAKE, "dqn", {"agent_type": "dqn", **_NET}),
    Entry(LAKE, "double", {"agent_type": "double", **_NET}),
    Entry(LAKE, "dueling", {"agent_type": "dueling", **_NET}),
    Entry(LAKE, "double, prioritised", {"agent_type": "double", "prioritized": True, **_NET}),
    Entry(LAKE, "Gymnasium's tutorial", None),
)


@dataclass
class Course:
    """`first`: episodes after which IN_A_ROW looks were at 95 % of the optimum; None: never."""

    first: list[int | None] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    if any(os.environ.get(name) != "1" for name in _ALONE):  # numpy has its threads already
        program = [sys.executable, "-m", "benchmarks.qlearning", *sys.argv[1:]]
        os.execve(sys.executable, program, {**os.environ, **_ALONE})
    quick = "--quick" in sys.argv
    seeds, episodes, trained = (SEEDS[:1], 200, 100) if quick else (SEEDS, EPISODES, TRAINED)
    begun = time.perf_counter()
    tables = [_worlds(seeds, episodes), _visits(seeds, trained)]
    protocol = (
        f"Worlds: after every {EVERY} of {EPISODES} episodes the best actions so far are judged exactly, by the tables "
        "of transitions of Gymnasium 1.2.3: the expected reward, without discount, of an episode of at most 200 (Taxi) "
        "or 100 (lake) steps; the optimum is that of value iteration. Counted are the episodes until "
        f"{IN_A_ROW} looks in a row reach 95 % of it. Visits: each agent learns from {TRAINED} visits to the "
        f"simulator, one after another, and then acts, learning nothing, in {VISITS} others; all see the same ones. "
        f"Seeds {', '.join(map(str, SEEDS))}; settings were chosen on other seeds. One thread, float64."
    )
    if quick:
        for table in tables:
            print(table["title"], *table["rows"], sep="\n")
    else:
        notes = [f"All of it took {(time.perf_counter() - begun) / 60:.1f} minutes."]
        record.write("qlearning", "Q-learning", protocol, tables, notes)


def _worlds(seeds: tuple[int, ...], episodes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        tables = {name: _tables(name, Path(folder)) for name in (TAXI, LAKE)}
        rows = [_row(entry, tables[entry.world], seeds, episodes, Path(folder)) for entry in ENTRIES]
    return {
        "title": f"Gymnasium's worlds: episodes to 95 % of the optimum, of at most {episodes}",
        "columns": ["world", "agent", "settings", "episodes, each seed", "reward at the end", "optimum", "seconds"],
        "rows": rows,
    }


def _row(entry: Entry, tables: Tables, seeds: tuple[int, ...], episodes: int, folder: Path) -> list[Any]:
    top = tables.earned(tables.optimum(0.999)[1])
    course = Course()
    for seed in seeds:
        begun = time.perf_counter()
        looks = _peer(entry, seed, episodes, folder) if entry.settings is None else _ours(entry, tables, seed, episodes)
        course.seconds.append(time.perf_counter() - begun)
        earned = [tables.earned(policy) for policy in looks]
        course.first.append(_first(earned, top))
        course.last.append(earned[-1])
    told = ", ".join("never" if one is None else str(one) for one in course.first)
    print(entry.world, entry.name, told, course.last, course.seconds, flush=True)
    end, seconds = float(np.median(course.last)), float(np.median(course.seconds))
    return [entry.world, entry.name, entry.told, told, end, top, seconds]


def _first(earned: list[float], top: float) -> int | None:
    """The episodes before the first of IN_A_ROW looks that all reach 95 % of the optimum."""
    good = [one >= top - 0.05 * abs(top) for one in earned]
    for at in range(len(good) - IN_A_ROW + 1):
        if all(good[at : at + IN_A_ROW]):
            return (at + 1) * EVERY
    return None


def _ours(entry: Entry, tables: Tables, seed: int, episodes: int) -> list[NDArray[np.int64]]:
    """The best actions of all states after each EVERY episodes."""
    world = TableWorld(tables)
    config = AgentConfig(
        states="index", state_size=world.state_size, action_size=world.actions, seed=seed, **(entry.settings or {})
    )
    agent, states, looks = new(config), np.arange(float(world.state_size))[:, None], []
    for number in range(episodes):
        episode(agent, world, seed_of(seed, number))
        if (number + 1) % EVERY == 0:
            looks.append(agent.values(states).argmax(axis=1))
    return looks


def _peer(entry: Entry, seed: int, episodes: int, folder: Path) -> list[NDArray[np.int64]]:
    settings = [str(one) for one in (episodes, EVERY, *entry.theirs, seed)]
    with _gymnasium("agent", entry.world, folder, *settings) as made:
        return list(made["looks"])


def _tables(name: str, folder: Path) -> Tables:
    with _gymnasium("tables", name, folder) as made:
        return Tables(
            made["chances"], made["afters"], made["rewards"], made["ends"], made["starts"], int(made["steps"])
        )


def _gymnasium(what: str, name: str, folder: Path, *settings: str) -> Any:
    out = folder / f"{what}.npz"
    command = [str(peer_python("gymnasium", PACKAGES)), "-W", "ignore", str(_PEER), what, str(out), name, *settings]
    subprocess.run(command, check=True, env={**os.environ, **_ALONE}, stderr=subprocess.DEVNULL)
    return np.load(out)


# -- visits

_VISIT = {"epsilon": 1.0, "epsilon_decay": 0.999, "epsilon_min": 0.1}
_VISIT_NET = {**_VISIT, "learning_rate": 3e-4, "batch_size": 128, "target_every": 500, "hidden": [32, 32]}
LEARNERS: Mapping[str, Mapping[str, Any]] = {
    "double, gamma 0: the clicks of this slate alone": {"agent_type": "double", "gamma": 0.0, **_VISIT_NET},
    "double": {"agent_type": "double", **_VISIT_NET},
    "dueling": {"agent_type": "dueling", **_VISIT_NET},
    "table, 2 bins": {"agent_type": "tabular", "bins": 2, **_VISIT},
}


def _visits(seeds: tuple[int, ...], trained: int) -> dict[str, Any]:
    model = ResponseModel.version("v1")
    found: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in seeds:
        knowledge = Knowledge.of(model, seed)
        for name, make in _choosers(model, knowledge, seed, trained).items():
            begun = time.perf_counter()
            chooser = make()
            seconds.setdefault(name, []).append(time.perf_counter() - begun)
            found.setdefault(name, []).append(_earned(chooser, model, knowledge, seed))
            print(name, found[name], flush=True)
    rows = [[name, *values, float(np.mean(values)), float(np.mean(seconds[name]))] for name, values in found.items()]
    return {
        "title": "Visits to the simulated shop: clicks a visit",
        "columns": ["policy", *(f"seed {seed}" for seed in seeds), "mean", "seconds to learn"],
        "rows": rows,
    }


def _choosers(model: ResponseModel, knowledge: Knowledge, seed: int, trained: int) -> dict[str, Callable[[], Chooser]]:
    fixed = {f"always {aim}": _always(place) for place, aim in enumerate(AIMS)}

    def learned(config: Mapping[str, Any]) -> Callable[[], Chooser]:
        def make() -> Chooser:
            agent = new(AgentConfig(seed=seed, **config))
            train(agent, SessionWorld(Sessions(model, knowledge)), episodes=trained, patience=trained)
            return _best(agent)

        return make

    return {
        "any aim at random": lambda: _random(seed),
        **fixed,
        "by hand: new for the known, varied for strangers": lambda: _by_hand,
        "LinUCB on the same state: a myopic bandit": lambda: _bandit(Sessions(model, knowledge), seed, trained),
        **{name: learned(config) for name, config in LEARNERS.items()},
    }


def _earned(chooser: Chooser, model: ResponseModel, knowledge: Knowledge, seed: int) -> float:
    """Mean clicks of a visit, over VISITS that nobody learned from."""
    sessions, total, rounds = Sessions(model, knowledge), 0.0, VISITS // 1000
    for number in range(rounds):
        state = sessions.begin(seed_of(seed + 10_000, number), 1000)
        while sessions.here.any():
            clicks, _ = sessions.act(chooser(state))
            total += float(clicks.sum())
            sessions.here &= ~sessions.over
            state = sessions.state
    return total / (1000 * rounds)


def _always(place: int) -> Callable[[], Chooser]:
    return lambda: lambda states: np.full(len(states), place)


def _random(seed: int) -> Chooser:
    random = np.random.default_rng(seed)
    return lambda states: random.integers(0, len(AIMS), len(states))


def _by_hand(states: Floats) -> NDArray[np.int64]:
    return np.where(states[:, 4] > 0, AIMS.index("new"), AIMS.index("varied"))


def _best(agent: Agent) -> Chooser:
    return lambda states: agent.values(states).argmax(axis=1)


def _bandit(sessions: Sessions, seed: int, visits: int) -> Chooser:
    """Learns the clicks of each slate, and nothing of what comes after it."""
    trainer = plugins.algorithm("linucb")
    names = ("bias", *(f"s{at}" for at in range(16)))
    learner: ArmLearner = trainer(trainer.Params(), seed).begin(len(names), names)
    arms = np.array([learner.place(aim) for aim in AIMS], dtype=np.int32)
    world = SessionWorld(sessions)
    for number in range(visits):
        state, over = world.reset(seed_of(seed, number)), False
        while not over:
            context = np.concatenate([[1.0], state])
            action = int(learner.snapshot().chances(arms, context).argmax())
            came = world.step(action)
            learner.learn(int(arms[action]), came.reward / PLACES, context)
            state, over = came.state, came.done or came.cut
    policy = learner.snapshot()

    def choose(states: Floats) -> NDArray[np.int64]:
        context = np.column_stack([np.ones(len(states)), states])
        return np.array([policy.estimates(arms, one).argmax() for one in context])

    return choose


if __name__ == "__main__":
    main()
