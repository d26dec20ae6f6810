"""What an agent would do, state by state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.deep import DeepAgent
from shopkeeper.recommend.qlearning.steps import Floats, Ints
from shopkeeper.recommend.qlearning.tabular import TabularAgent

MOST_TOLD: Final = 10_000


@dataclass(frozen=True)
class PolicyTable:
    """The best action (n,) of n states (n, width) and the values (n, actions); `total`: how many states there are."""

    states: Floats
    actions: Ints
    values: Floats
    total: int


def policy_of(agent: Agent, limit: int = MOST_TOLD) -> PolicyTable:
    """Of every state where a state is an index; else of those that a table has met (by the bins of their numbers), or
    that a net still keeps; the first `limit`."""
    if agent.config.states == "index":
        states = np.arange(float(min(agent.config.state_size, limit)))[:, None]
        values, total = agent.values(states), agent.config.state_size
    elif isinstance(agent, TabularAgent):
        keys, table = agent.table
        states, values, total = keys[:limit].astype(np.float64), table[:limit], len(keys)
    else:
        assert isinstance(agent, DeepAgent)
        kept = agent.recent
        states, total = kept[:limit], len(kept)
        values = agent.values(states)
    return PolicyTable(states, values.argmax(axis=1), values, total)
