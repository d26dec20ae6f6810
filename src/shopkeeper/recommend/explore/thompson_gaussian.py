"""Thompson sampling with Gaussian posteriors: for rewards of any size, an amount of money for example.

    precision of an arm = 1 / spread^2 + n / noise^2
    mean of an arm      = (mean / spread^2 + sum of rewards / noise^2) / precision

`noise` is the standard deviation of one reward around its arm's average; 0.5 is right for whatever lies between 0 and
1. The chance to be the best is integrated (quadrature.py), not drawn.

Agrawal and Goyal, "Further Optimal Regret Bounds for Thompson Sampling", AISTATS 2013; Russo et al., "A Tutorial on
Thompson Sampling", Foundations and Trends in Machine Learning 11, 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.counts import begin_counts, count
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers
from shopkeeper.recommend.explore.quadrature import largest_normal


class ThompsonGaussianParams(PolicyParams):
    mean: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9, description="Expected of an arm before any reward")] = 0.5
    spread: Annotated[
        float, msgspec.Meta(gt=0, le=1e9, description="How far arms differ from that: a standard deviation")
    ] = 0.5
    noise: Annotated[
        float, msgspec.Meta(gt=0, le=1e9, description="How far rewards of one arm differ: a standard deviation")
    ] = 0.5


class ThompsonGaussianPolicy(ArmPolicy):
    name: ClassVar[str] = "thompson_gaussian"

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        params = kept.params
        prior, each = params["spread"] ** -2.0, params["noise"] ** -2.0
        precision = prior + kept.columns["rounds"] * each
        self._mean: Numbers = (prior * params["mean"] + kept.columns["reward"] * each) / precision
        self._deviation = 1.0 / np.sqrt(precision)

    def chances(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return largest_normal(self._mean[arms], self._deviation[arms])

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return self._mean[arms]


class ThompsonGaussianLearner(ArmLearner):
    policy: ClassVar[type[ArmPolicy]] = ThompsonGaussianPolicy
    params_type: ClassVar[type[PolicyParams]] = ThompsonGaussianParams
    bounded: ClassVar[bool] = False

    def begin(self) -> Mapping[str, Numbers]:
        return begin_counts()

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        count(self.book.columns, arm, reward)


class ThompsonGaussian(ArmTrainer):
    name: ClassVar[str] = "thompson_gaussian"
    description: ClassVar[str] = "Each arm with the chance that it is the best; rewards of any size (Thompson, normal)"
    learner: ClassVar[type[ArmLearner]] = ThompsonGaussianLearner
    model: ClassVar[type[ArmPolicy]] = ThompsonGaussianPolicy
    Params: ClassVar[type[PolicyParams]] = ThompsonGaussianParams
