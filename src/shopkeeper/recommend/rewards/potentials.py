"""Reward for the way to the goal: by potentials, as only then the best policy stays the best.

    shaped = reward + gamma * potential(next state) - potential(state), potential of an end = 0

References: Ng, Harada, Russell, "Policy invariance under reward transformations", ICML 1999.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STAGES: Final[Mapping[str, float]] = {
    "shown": 0.0,
    "viewed": 0.02,
    "clicked": 0.05,
    "saved": 0.15,
    "in_cart": 0.3,
}
"""Potentials of a visit to a shop: about the chance that it still ends with an order."""


def shaped(reward: float, before: float, after: float, gamma: float, *, ended: bool = False) -> float:
    """`before` and `after`: potentials of the state and the next; `ended`: the next is an end, and has none."""
    return reward + gamma * (0.0 if ended else after) - before
