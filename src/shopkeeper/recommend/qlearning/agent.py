"""What all agents are: they value actions, choose among them, and learn from one step at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.replay import PrioritisedReplay, Replay
from shopkeeper.recommend.qlearning.schedule import epsilon_after
from shopkeeper.recommend.qlearning.steps import Floats, State, Transition

Values: TypeAlias = Callable[[Floats], Floats]
"""What each action is worth (m, actions) in states (m, width)."""


class Agent(ABC):
    """One thread at a time. All chance in learning comes from `random`: the same steps make the same agent."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.random = np.random.Generator(np.random.PCG64(config.seed))
        self.episodes = 0
        self.updates = 0

    @property
    def epsilon(self) -> float:
        """The chance of a random action now."""
        return epsilon_after(self.config, self.episodes)

    @abstractmethod
    def values(self, states: Floats) -> Floats:
        """What each action is worth (m, actions) in states (m, width): rewards to come, discounted by gamma."""

    @abstractmethod
    def frozen(self) -> Values:
        """`values` as they are now, whatever is learned later; for any thread."""

    @abstractmethod
    def _learn(self, step: Transition) -> float: ...

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All that was learned, to be kept."""

    @abstractmethod
    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None: ...

    def learn(self, step: Transition) -> float:
        """The temporal difference of the step before it was learned: reward + gamma x best value after - value."""
        self.updates += 1
        surprise = self._learn(step)
        if step.done:
            self.end_episode()
        return surprise

    def end_episode(self) -> None:
        """Also for one that was cut off."""
        self.episodes += 1

    def choose(self, state: State, random: np.random.Generator | None = None) -> int:
        """The best action; with `random` any action with chance `epsilon`, and any of those that are equally good."""
        if random is not None and random.random() < self.epsilon:
            return int(random.integers(self.config.action_size))
        values = self.values(state[None, :])[0]
        if random is None:
            return int(values.argmax())
        best = np.flatnonzero(values == values.max())
        return int(best[0] if len(best) == 1 else best[random.integers(len(best))])

    def facts(self) -> dict[str, Any]:
        """Counters and the place in the stream of chance, as JSON."""
        place = self.random.bit_generator.state
        inner = place["state"]
        return {
            "episodes": self.episodes,
            "updates": self.updates,
            "random": [hex(one) for one in (inner["state"], inner["inc"], place["has_uint32"], place["uinteger"])],
        }

    def recall(self, facts: dict[str, Any]) -> None:
        self.episodes, self.updates = int(facts["episodes"]), int(facts["updates"])
        at, by, half, rest = (int(one, 16) for one in facts["random"])
        self.random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": at, "inc": by},
            "has_uint32": half,
            "uinteger": rest,
        }


def replay_of(config: AgentConfig, width: int) -> Replay:
    if config.prioritized:
        return PrioritisedReplay(config.buffer_size, width, config.priority_alpha, config.priority_beta)
    return Replay(config.buffer_size, width)
