"""A small perceptron in numpy: rectified layers, with its gradient. Parameters are one flat vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shopkeeper.recommend.qlearning.steps import Floats


@dataclass(frozen=True)
class Perceptron:
    """`sizes`: inputs, hidden layers, outputs. The last layer is linear, or with `rectified` as the others."""

    sizes: tuple[int, ...]
    rectified: bool = False

    @cached_property
    def parameters(self) -> int:
        return sum((rows + 1) * columns for rows, columns in self._layers)

    def start(self, random: np.random.Generator) -> Floats:
        """He et al. (2015): normal weights of variance 2 / inputs, biases 0."""
        theta = np.zeros(self.parameters)
        for weights, _ in self._views(theta):
            weights[:] = random.normal(0.0, np.sqrt(2.0 / len(weights)), weights.shape)
        return theta

    def forward(self, theta: Floats, x: Floats) -> list[Floats]:
        """The inputs (m, inputs) and what each layer makes of them; the last are the outputs (m, outputs)."""
        seen = [x]
        last = len(self._layers) - 1
        for place, (weights, bias) in enumerate(self._views(theta)):
            out = seen[-1] @ weights + bias
            if place < last or self.rectified:
                np.maximum(out, 0.0, out=out)
            seen.append(out)
        return seen

    def backward(self, theta: Floats, seen: list[Floats], slope: Floats) -> tuple[Floats, Floats]:
        """Of the slope (m, outputs) of a loss by the outputs: its gradient by the parameters, flat, and its slope by
        the inputs (m, inputs)."""
        gradient = np.zeros(self.parameters)
        layers, slopes = self._views(theta), self._views(gradient)
        last = len(layers) - 1
        for place in range(last, -1, -1):
            if place < last or self.rectified:
                slope = slope * (seen[place + 1] > 0)
            slopes[place][0][:] = seen[place].T @ slope
            slopes[place][1][:] = slope.sum(axis=0)
            slope = slope @ layers[place][0].T
        return gradient, slope

    @property
    def _layers(self) -> list[tuple[int, int]]:
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def _views(self, theta: Floats) -> list[tuple[Floats, Floats]]:
        """Weights (inputs, outputs) and bias (outputs,) of each layer, as parts of the flat vector."""
        views, at = [], 0
        for rows, columns in self._layers:
            end = at + rows * columns
            views.append((theta[at:end].reshape(rows, columns), theta[end : end + columns]))
            at = end + columns
        return views
