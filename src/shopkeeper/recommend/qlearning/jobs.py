"""Training and measuring an agent in a child process. The parent keeps what comes of it (book.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import JobContext
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.environment import rewards_of, train
from shopkeeper.recommend.qlearning.files import packed, unpacked
from shopkeeper.recommend.qlearning.worlds import world
from shopkeeper.stores.artifacts import write_durably

TRAIN: Final = "train_agent"
EVALUATE: Final = "evaluate_agent"
MADE: Final = "agent.npz"
_TOLD: Final = 100
"""How often at most a training tells its mean reward for good."""


class AgentTraining(Struct, kw_only=True):
    """`path`: the agent as it is now; it is known when the job starts."""

    agent_id: str
    max_episodes: int
    patience: int
    environment: str
    path: str = ""


class AgentEvaluation(Struct, kw_only=True):
    agent_id: str
    num_episodes: int
    environment: str
    path: str = ""


def train_agent(context: JobContext) -> dict[str, Any]:
    """Leaves the trained agent in the work folder; the one that was given is not touched."""
    order = msgspec.convert(dict(context.params), AgentTraining)
    context.report(0, order.max_episodes, message="opening the environment")
    agent, environment = _read(order.path), world(order.environment)
    every = max(1, order.max_episodes // _TOLD)

    def told(number: int, mean: float, best: float) -> None:
        metrics = {"mean_reward": mean, "best_reward": best, "epsilon": agent.epsilon, "episodes": agent.episodes}
        context.report(number, order.max_episodes, metrics, epoch=number % every == 0)

    found = train(agent, environment, episodes=order.max_episodes, patience=order.patience, told=told)
    write_durably(context.workdir / MADE, packed(agent))
    return {
        "agent_id": order.agent_id,
        "episodes": found.episodes,
        "steps": found.steps,
        "mean_reward": found.reward,
        "best_reward": found.best,
        "stopped": "patience" if found.patience_over else "episodes",
    }


def evaluate_agent(context: JobContext) -> dict[str, Any]:
    """The rewards of whole episodes, best action each time, nothing learned; the same episodes for every agent."""
    order = msgspec.convert(dict(context.params), AgentEvaluation)
    context.report(0, order.num_episodes, message="opening the environment")
    agent, environment = _read(order.path), world(order.environment)
    rewards: list[float] = []
    for number in range(order.num_episodes):
        rewards += rewards_of(agent, environment, 1, first=number)
        context.report(number + 1, order.num_episodes, {"mean_reward": float(np.mean(rewards))})
    return {
        "agent_id": order.agent_id,
        "mean_reward": float(np.mean(rewards)),
        "std_reward": float(np.std(rewards)),
        "episodes": order.num_episodes,
    }


def _read(path: str) -> Agent:
    try:
        return unpacked(Path(path).read_bytes())
    except OSError as error:
        raise Unavailable(f"the agent's file cannot be read: {error}", code="agent_broken") from error
