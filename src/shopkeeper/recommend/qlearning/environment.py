"""What an agent acts in, and the loop of acting and learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shopkeeper.core.errors import Conflict
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.steps import State, Transition

WINDOW = 100
"""Episodes over which the mean reward is told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`: the episode ended by itself; `cut`: its time was over, what would have followed has its worth."""

    state: State
    reward: float
    done: bool
    cut: bool = False


class Sized(Protocol):
    """`states`: `vector` or `index`, as an agent's."""

    @property
    def states(self) -> str: ...

    @property
    def state_size(self) -> int: ...

    @property
    def actions(self) -> int: ...


class Environment(Sized, Protocol):
    """All chance comes from `seed` of the reset: an episode can be had again."""

    def reset(self, seed: int) -> State: ...

    def step(self, action: int) -> Outcome:
        """Raises Conflict after the end of an episode."""
        ...


@dataclass(frozen=True)
class Trained:
    """`reward`: the mean of the last WINDOW episodes; `best`: the highest such mean."""

    episodes: int
    steps: int
    reward: float
    best: float
    patience_over: bool


def fits(config: AgentConfig, environment: Sized) -> None:
    """Raises Conflict for an agent that cannot act there."""
    has = (config.states, config.state_size, config.action_size)
    wants = (environment.states, environment.state_size, environment.actions)
    if has != wants:
        raise Conflict(
            f"this agent reads states of kind {has[0]}, size {has[1]}, and has {has[2]} actions; the environment has "
            f"{wants[0]}, {wants[1]} and {wants[2]}: make an agent like that, or teach this one by updates",
            code="other_environment",
        )


def episode(agent: Agent, environment: Environment, seed: int) -> tuple[float, int]:
    """One in which the agent learns: its reward and its steps."""
    state = environment.reset(seed)
    total, steps = 0.0, 0
    while True:
        action = agent.choose(state, agent.random)
        came = environment.step(action)
        agent.learn(Transition(state, action, came.reward, came.state, came.done))
        total, steps, state = total + came.reward, steps + 1, came.state
        if came.done or came.cut:
            if not came.done:
                agent.end_episode()
            return total, steps


def train(
    agent: Agent,
    environment: Environment,
    *,
    episodes: int,
    patience: int,
    told: Callable[[int, float, float], None] = lambda _episode, _mean, _best: None,
) -> Trained:
    """At most so many episodes; ends when the mean reward of the last WINDOW has not risen for `patience` of them.

    `told` is called after each: how many there were, the mean of the last WINDOW, the highest such mean. Seeds of the
    episodes follow from the agent's and go on where an earlier training ended. Raises Conflict.
    """
    fits(agent.config, environment)
    rewards: list[float] = []
    best, risen, steps, mean = -np.inf, 0, 0, 0.0
    for number in range(1, episodes + 1):
        reward, took = episode(agent, environment, seed_of(agent.config.seed, agent.episodes))
        rewards.append(reward)
        steps += took
        mean = float(np.mean(rewards[-WINDOW:]))
        # A mean of few episodes says little: what it reached by luck is not what has to be beaten.
        if number >= min(WINDOW, episodes) and mean > best:
            best, risen = mean, number
        told(number, mean, best if np.isfinite(best) else mean)
        if number >= WINDOW and number - risen >= patience:
            return Trained(number, steps, mean, best, patience_over=True)
    return Trained(episodes, steps, mean, best, patience_over=False)


def seed_of(seed: int, number: int) -> int:
    """The seed of an episode, the same on every machine."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def rewards_of(agent: Agent, environment: Environment, episodes: int, *, seed: int = 0, first: int = 0) -> list[float]:
    """What it earns in episodes number `first` and on, in which it does its best and learns nothing."""
    fits(agent.config, environment)
    found = []
    for number in range(first, first + episodes):
        state, total = environment.reset(seed_of(seed, number)), 0.0
        while True:
            came = environment.step(agent.choose(state))
            total, state = total + came.reward, came.state
            if came.done or came.cut:
                break
        found.append(total)
    return found
