"""One step of an episode, and the checks of what is told of it from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.qlearning.config import AgentConfig

State: TypeAlias = NDArray[np.float64]
"""(width,): a vector, or one whole number."""
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
MOST: Final = 1e6
"""A state's number or a reward beyond it is a mistake of who sends it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """`done`: the episode ends here, nothing follows that could be worth anything."""

    state: State
    action: int
    reward: float
    after: State
    done: bool


def state_of(config: AgentConfig, told: Sequence[float], field: str = "state") -> State:
    """A state as an agent reads it. Raises Invalid for another size, a number that is none, an index out of range."""
    if len(told) != config.width:
        kind = "an index, one number" if config.states == "index" else f"{config.state_size} numbers"
        raise Invalid(f"{field} has {len(told)} numbers, expected {kind}", code="wrong_state", field=field)
    state = np.asarray(told, dtype=np.float64)
    if not np.isfinite(state).all() or np.abs(state).max() > MOST:
        raise Invalid(f"{field} must be finite numbers between -1e6 and 1e6", code="wrong_state", field=field)
    if config.states == "index" and (state[0] != int(state[0]) or not 0 <= state[0] < config.state_size):
        raise Invalid(
            f"{field} is {state[0]:g}, expected a whole number from 0 to {config.state_size - 1}",
            code="wrong_state",
            field=field,
        )
    return state


def action_of(config: AgentConfig, action: int) -> int:
    """Raises Invalid for an action that the agent does not have."""
    if not 0 <= action < config.action_size:
        raise Invalid(
            f"action is {action}, expected 0 to {config.action_size - 1}", code="wrong_action", field="action"
        )
    return action


def reward_of(reward: float) -> float:
    """Raises Invalid for what is no finite number between -1e6 and 1e6."""
    if not isfinite(reward) or abs(reward) > MOST:
        raise Invalid("reward must be a finite number between -1e6 and 1e6", code="wrong_reward", field="reward")
    return reward
