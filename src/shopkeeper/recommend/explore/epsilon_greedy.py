"""epsilon-greedy: mostly the arm with the best average, sometimes any; how often falls round by round.

    epsilon(t) = max(least, epsilon decay^t),   t rounds that were learned

Sutton and Barto, "Reinforcement Learning", 2nd edition, 2018, section 2.2; falling epsilon: Auer, Cesa-Bianchi and
Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47, 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.best import even_among_best
from shopkeeper.recommend.explore.counts import averages, begin_counts, count
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers


class EpsilonGreedyParams(PolicyParams):
    epsilon: Annotated[float, msgspec.Meta(ge=0, le=1, description="Share of rounds that take any arm, at first")] = 0.1
    decay: Annotated[float, msgspec.Meta(gt=0, le=1, description="What it is multiplied by after each round")] = 0.995
    least: Annotated[float, msgspec.Meta(ge=0, le=1, description="It falls no lower than this")] = 0.01
    optimism: Annotated[
        float,
        msgspec.Meta(ge=0, le=1, description="Average of an arm that was never chosen; 1: it comes first, 0: last"),
    ] = 1.0


class EpsilonGreedyPolicy(ArmPolicy):
    name: ClassVar[str] = "epsilon_greedy"

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        params = kept.params
        self._average = averages(kept)
        self._value = np.where(kept.columns["rounds"] > 0, self._average, params["optimism"])
        self.epsilon = max(params["least"], params["epsilon"] * params["decay"] ** kept.rounds)

    def chances(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        best = even_among_best(self._value[arms])
        return np.asarray((1.0 - self.epsilon) * best + self.epsilon / max(len(best), 1))

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return self._average[arms]


class EpsilonGreedyLearner(ArmLearner):
    policy: ClassVar[type[ArmPolicy]] = EpsilonGreedyPolicy
    params_type: ClassVar[type[PolicyParams]] = EpsilonGreedyParams

    def begin(self) -> Mapping[str, Numbers]:
        return begin_counts()

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        count(self.book.columns, arm, reward)


class EpsilonGreedy(ArmTrainer):
    name: ClassVar[str] = "epsilon_greedy"
    description: ClassVar[str] = "The arm with the best average; any other in a share of rounds that falls with time"
    learner: ClassVar[type[ArmLearner]] = EpsilonGreedyLearner
    model: ClassVar[type[ArmPolicy]] = EpsilonGreedyPolicy
    Params: ClassVar[type[PolicyParams]] = EpsilonGreedyParams
