"""A ridge regression for each arm, learned round by round: what LinUCB and linear Thompson sampling stand on.

    A = ridge I + sum of x x',   theta = A^-1 sum of reward x

Kept are A^-1, by the formula of Sherman and Morrison, and the sum: a round costs d^2. An arm that was never chosen has
A = ridge I and theta = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers, checked_context


class LinearParams(PolicyParams):
    ridge: Annotated[
        float, msgspec.Meta(gt=0, le=1e6, description="How strongly weights are drawn to 0 while rounds are few")
    ] = 1.0


class LinearPolicy(ArmPolicy):
    contextual: ClassVar[bool] = True

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self._inverse = kept.columns["inverse"]
        self._theta = np.einsum("kij,kj->ki", self._inverse, kept.columns["reward"])

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:
        return np.asarray(self._theta[arms] @ checked_context(context, self.kept.dimension))

    def means_and_deviations(self, arms: Arms, context: Context | None) -> tuple[Numbers, Numbers]:
        """theta'x and sqrt(x' A^-1 x), both (k,)."""
        x = checked_context(context, self.kept.dimension)
        spread = (self._inverse[arms] @ x) @ x
        return self._theta[arms] @ x, np.sqrt(np.maximum(spread, 0.0))


class LinearLearner(ArmLearner):
    bounded: ClassVar[bool] = False

    def begin(self) -> Mapping[str, Numbers]:
        return {"inverse": np.eye(self.dimension) / self.params.ridge, "reward": np.zeros(self.dimension)}

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        inverse = self.book.columns["inverse"][arm]
        seen = inverse @ context
        inverse -= np.outer(seen, seen / (1.0 + context @ seen))
        self.book.columns["reward"][arm] += reward * context
