"""Thompson sampling with Beta posteriors: an arm is chosen with the chance that it is the best one.

    posterior of an arm = Beta(a + sum of rewards, b + sum of (1 - rewards))

Rewards from 0 to 1 count as parts of a success. The chance is integrated (quadrature.py), not drawn, so the propensity
that is logged is the true one. Regret on Bernoulli arms meets the lower bound of Lai and Robbins as rounds go on.

Thompson, "On the Likelihood that One Unknown Probability Exceeds Another", Biometrika 25, 1933; Chapelle and Li, "An
Empirical Evaluation of Thompson Sampling", NIPS 2011; Agrawal and Goyal, "Further Optimal Regret Bounds for Thompson
Sampling", AISTATS 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.beta_curves import largest_beta
from shopkeeper.recommend.explore.counts import begin_counts, count
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers

_Prior = Annotated[
    float, msgspec.Meta(ge=1, le=1e6, description="Prior of an arm: rewards (a) and misses (b) it begins with")
]


class ThompsonBetaParams(PolicyParams):
    a: _Prior = 1.0
    b: _Prior = 1.0


class ThompsonBetaPolicy(ArmPolicy):
    name: ClassVar[str] = "thompson_beta"

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        rounds, reward = kept.columns["rounds"], kept.columns["reward"]
        self._a = kept.params["a"] + reward
        self._b = kept.params["b"] + (rounds - reward).clip(min=0.0)
        self._average: Numbers = self._a / (self._a + self._b)

    def chances(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return largest_beta(self._a[arms], self._b[arms])

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return self._average[arms]


class ThompsonBetaLearner(ArmLearner):
    policy: ClassVar[type[ArmPolicy]] = ThompsonBetaPolicy
    params_type: ClassVar[type[PolicyParams]] = ThompsonBetaParams

    def begin(self) -> Mapping[str, Numbers]:
        return begin_counts()

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        count(self.book.columns, arm, reward)


class ThompsonBeta(ArmTrainer):
    name: ClassVar[str] = "thompson_beta"
    description: ClassVar[str] = "Each arm with the chance that it is the best; rewards 0 to 1 (Thompson, Beta)"
    learner: ClassVar[type[ArmLearner]] = ThompsonBetaLearner
    model: ClassVar[type[ArmPolicy]] = ThompsonBetaPolicy
    Params: ClassVar[type[PolicyParams]] = ThompsonBetaParams
