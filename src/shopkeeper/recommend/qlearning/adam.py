"""What moves the parameters of a net: Huber's loss of each error, Adam on the gradient."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.qlearning.steps import Floats

MOST_NORM: Final = 10.0
"""A longer gradient is cut to it (Wang et al. 2016)."""
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


def huber(errors: Floats) -> Floats:
    """Half the square of an error up to 1, then linear (Huber 1964): one odd reward does not throw a net about."""
    size = np.abs(errors)
    return np.where(size <= 1.0, 0.5 * errors**2, size - 0.5)


def huber_slope(errors: Floats) -> Floats:
    return np.clip(errors, -1.0, 1.0)


class Adam:
    """Kingma and Ba (2015), on one flat vector."""

    def __init__(self, parameters: int, rate: float) -> None:
        self.rate = rate
        self._mean = np.zeros(parameters)
        self._square = np.zeros(parameters)
        self._steps = 0

    def move(self, theta: Floats, gradient: Floats) -> None:
        """Changes `theta` in place."""
        norm = float(np.sqrt(gradient @ gradient))
        if norm > MOST_NORM:
            gradient = gradient * (MOST_NORM / norm)
        self._steps += 1
        self._mean += (1 - _FIRST) * (gradient - self._mean)
        self._square += (1 - _SECOND) * (gradient**2 - self._square)
        rate = self.rate * np.sqrt(1 - _SECOND**self._steps) / (1 - _FIRST**self._steps)
        theta -= rate * self._mean / (np.sqrt(self._square) + _EPSILON * np.sqrt(1 - _SECOND**self._steps))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"mean": self._mean, "square": self._square, "steps": np.array([self._steps], dtype=np.int64)}

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        self._mean[:], self._square[:] = arrays["mean"], arrays["square"]
        self._steps = int(arrays["steps"][0])
