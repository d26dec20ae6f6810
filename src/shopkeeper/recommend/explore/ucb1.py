"""UCB1: the arm with the highest upper confidence bound of its average reward.

    index = average + sqrt(c ln(t) / n),   t rounds in all, n of this arm

Regret after t rounds is at most  sum over arms of 8 ln(t) / gap + (1 + pi^2 / 3) gap  with c = 2, for rewards from 0 to
1. An arm that was never chosen comes first.

Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47, 2002.
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


class Ucb1Params(PolicyParams):
    c: Annotated[
        float,
        msgspec.Meta(ge=0, le=100, description="Width of the bound: 2 as published; less explores less, 0 not at all"),
    ] = 2.0


class Ucb1Policy(ArmPolicy):
    name: ClassVar[str] = "ucb1"

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self._average, rounds = averages(kept), kept.columns["rounds"]
        width = np.sqrt(kept.params["c"] * np.log(max(kept.rounds, 1)) / np.maximum(rounds, 1.0))
        self._index = np.where(rounds > 0, self._average + width, np.inf)

    def chances(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return even_among_best(self._index[arms])

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return self._average[arms]


class Ucb1Learner(ArmLearner):
    policy: ClassVar[type[ArmPolicy]] = Ucb1Policy
    params_type: ClassVar[type[PolicyParams]] = Ucb1Params

    def begin(self) -> Mapping[str, Numbers]:
        return begin_counts()

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        count(self.book.columns, arm, reward)


class Ucb1(ArmTrainer):
    name: ClassVar[str] = "ucb1"
    description: ClassVar[str] = "The arm with the highest upper confidence bound of its average reward (UCB1)"
    learner: ClassVar[type[ArmLearner]] = Ucb1Learner
    model: ClassVar[type[ArmPolicy]] = Ucb1Policy
    Params: ClassVar[type[PolicyParams]] = Ucb1Params
