"""Q-learning with a net: plain, with double targets, or in two streams."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.qlearning.adam import Adam, huber_slope
from shopkeeper.recommend.qlearning.agent import Agent, Values, replay_of
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.qnet import QNet
from shopkeeper.recommend.qlearning.steps import Floats, Transition
from shopkeeper.recommend.qlearning.tabular import part_of


class DeepAgent(Agent):
    """`dqn`: Mnih et al. (2015), with a target net that is made equal every `target_every` steps. `double`: van Hasselt
    et al. (2016): the net says which action is best after a step, the target net what it is worth. `dueling` too."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__(config)
        inputs = config.state_size
        self._net = QNet(inputs, tuple(config.hidden), config.action_size, config.agent_type == "dueling")
        self._theta = self._net.start(self.random)
        self._target = self._theta.copy()
        self._adam = Adam(self._net.parameters, config.rate)
        self._kept = replay_of(config, config.width)

    def values(self, states: Floats) -> Floats:
        return self._net.values(self._theta, self._inputs(states))

    def frozen(self) -> Values:
        other = copy.copy(self)
        other._theta = self._theta.copy()
        return other.values

    def _learn(self, step: Transition) -> float:
        both = self.values(np.stack([step.state, step.after]))
        after = self._worth(step.after[None, :], both[1:])
        target = step.reward + (0.0 if step.done else self.config.gamma * float(after[0]))
        surprise = target - float(both[0, step.action])
        self._kept.add(step.state, step.action, step.reward, step.after, step.done)
        if len(self._kept) >= self.config.batch_size:
            self._batch()
        if self.updates % self.config.target_every == 0:
            self._target[:] = self._theta
        return surprise

    def _batch(self) -> None:
        drawn = self._kept.draw(self.random, self.config.batch_size)
        afters = self._inputs(drawn.afters)
        own = self._net.values(self._theta, afters) if self.config.agent_type != "dqn" else None
        worth = self._worth(drawn.afters, own)
        targets = drawn.rewards + np.where(drawn.done, 0.0, self.config.gamma * worth)
        rows = np.arange(len(targets))
        surprises = np.empty(len(targets))

        def slope_of(values: Floats) -> Floats:
            surprises[:] = targets - values[rows, drawn.actions]
            slope = np.zeros_like(values)
            slope[rows, drawn.actions] = -drawn.weights * huber_slope(surprises) / len(targets)
            return slope

        self._adam.move(self._theta, self._net.gradient(self._theta, self._inputs(drawn.states), slope_of))
        self._kept.learned(drawn.places, surprises)

    def _worth(self, afters: Floats, own: Floats | None) -> Floats:
        """What the states after steps (m, width) are worth (m,), by the target net; `own` are the values of the net."""
        target = self._net.values(self._target, self._inputs(afters))
        says = target if own is None or self.config.agent_type == "dqn" else own
        best = says.argmax(axis=1)
        worth: Floats = target[np.arange(len(target)), best]
        return worth

    def _inputs(self, states: Floats) -> Floats:
        """An index becomes a row of zeros with a one in its place."""
        if self.config.states == "vector":
            return states
        inputs = np.zeros((len(states), self.config.state_size))
        inputs[np.arange(len(states)), states[:, 0].astype(np.int64)] = 1.0
        return inputs

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "theta": self._theta,
            "target": self._target,
            **{f"adam_{name}": one for name, one in self._adam.arrays().items()},
            **{f"kept_{name}": one for name, one in self._kept.arrays().items()},
        }

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        self._theta[:], self._target[:] = arrays["theta"], arrays["target"]
        self._adam.restore(part_of(arrays, "adam_"))
        self._kept.restore(part_of(arrays, "kept_"))

    @property
    def recent(self) -> Floats:
        """Kept states (n, width), the newest last, each once."""
        states = self._kept.arrays()["states"]
        return np.unique(np.asarray(states, dtype=np.float64), axis=0)
