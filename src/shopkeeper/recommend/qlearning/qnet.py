"""The net of a deep agent: from states to the value of each action, plain or in two streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from shopkeeper.recommend.qlearning.perceptron import Perceptron
from shopkeeper.recommend.qlearning.steps import Floats

_SlopeOf: TypeAlias = Callable[[Floats], Floats]


@dataclass(frozen=True)
class QNet:
    """`dueling`: Wang et al., "Dueling Network Architectures" (2016): behind the shared layers one stream says how good
    the state is and one by how much each action is better than their mean: q = v + a - mean(a)."""

    inputs: int
    hidden: tuple[int, ...]
    actions: int
    dueling: bool

    @cached_property
    def _parts(self) -> tuple[Perceptron, ...]:
        if not self.dueling:
            return (Perceptron((self.inputs, *self.hidden, self.actions)),)
        *shared, last = self.hidden
        trunk = (Perceptron((self.inputs, *shared), rectified=True),) if shared else ()
        before = shared[-1] if shared else self.inputs
        return (*trunk, Perceptron((before, last, 1)), Perceptron((before, last, self.actions)))

    @cached_property
    def _cuts(self) -> list[int]:
        return [sum(one.parameters for one in self._parts[:n]) for n in range(1, len(self._parts))]

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self._parts)

    def start(self, random: np.random.Generator) -> Floats:
        return np.concatenate([part.start(random) for part in self._parts])

    def values(self, theta: Floats, x: Floats) -> Floats:
        """(m, actions) of inputs (m, inputs)."""
        return self._forward(theta, x)[1]

    def gradient(self, theta: Floats, x: Floats, slope_of: _SlopeOf) -> Floats:
        """Of a loss by the parameters, flat; `slope_of` is told the values and gives its slope by them (m, actions)."""
        seen, values = self._forward(theta, x)
        slope = slope_of(values)
        thetas = np.split(theta, self._cuts)
        if not self.dueling:
            return self._parts[0].backward(thetas[0], seen[0], slope)[0]
        value, advantage = self._parts[-2:]
        by_value, down_value = value.backward(thetas[-2], seen[-2], slope.sum(axis=1, keepdims=True))
        inner = slope - slope.mean(axis=1, keepdims=True)
        by_advantage, down_advantage = advantage.backward(thetas[-1], seen[-1], inner)
        if len(self._parts) == 2:
            return np.concatenate([by_value, by_advantage])
        by_trunk, _ = self._parts[0].backward(thetas[0], seen[0], down_value + down_advantage)
        return np.concatenate([by_trunk, by_value, by_advantage])

    def _forward(self, theta: Floats, x: Floats) -> tuple[Sequence[list[Floats]], Floats]:
        thetas = np.split(theta, self._cuts)
        if not self.dueling:
            seen = self._parts[0].forward(thetas[0], x)
            return [seen], seen[-1]
        trunk = [self._parts[0].forward(thetas[0], x)] if len(self._parts) == 3 else []
        before = trunk[0][-1] if trunk else x
        value = self._parts[-2].forward(thetas[-2], before)
        advantage = self._parts[-1].forward(thetas[-1], before)
        better = advantage[-1] - advantage[-1].mean(axis=1, keepdims=True)
        return [*trunk, value, advantage], value[-1] + better
