"""How often an agent tries what it does not think best."""

from __future__ import annotations

from shopkeeper.recommend.qlearning.config import AgentConfig


def epsilon_after(config: AgentConfig, episodes: int) -> float:
    """The chance of a random action after so many episodes: it falls geometrically down to `epsilon_min`."""
    return max(config.epsilon_min, config.epsilon * config.epsilon_decay**episodes)
