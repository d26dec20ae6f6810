"""EXP3: weights that grow with what an arm brought, divided by the chance with which it was chosen.

    chance = (1 - gamma) w / sum(w) + gamma / k,     w <- w exp(gamma reward / (propensity K))

It expects nothing of how rewards come about; they may change at any time. Against the best single arm its regret after
t rounds is at most  2.63 sqrt(t K ln K)  with gamma = min(1, sqrt(K ln(K) / ((e - 1) t))), for rewards from 0 to 1.
An arm that was never chosen weighs as much as the known ones do on average.

Auer, Cesa-Bianchi, Freund and Schapire, "The Nonstochastic Multiarmed Bandit Problem", SIAM J. Computing 32, 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.counts import averages, begin_counts, count
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import FORGOTTEN, Arms, Context, Numbers


class Exp3Params(PolicyParams):
    gamma: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="Share of rounds that take any arm, and the step of learning")
    ] = 0.1
    pool: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="K: arms among which a round chooses")] = 20


class Exp3Policy(ArmPolicy):
    name: ClassVar[str] = "exp3"

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self._average = averages(kept)
        self._gamma = kept.params["gamma"]
        self._log_weight = kept.columns["log_weight"].copy()
        self._log_weight[[*_empty(kept.arm_ids), -1]] = usual_weight(kept.arm_ids, kept.columns["log_weight"])

    def chances(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        if not len(arms):
            return np.empty(0)
        weight = self._log_weight[arms]
        share = np.exp(weight - weight.max())
        return np.asarray((1.0 - self._gamma) / share.sum() * share + self._gamma / len(share))

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:  # noqa: ARG002
        return self._average[arms]


class Exp3Learner(ArmLearner):
    policy: ClassVar[type[ArmPolicy]] = Exp3Policy
    params_type: ClassVar[type[PolicyParams]] = Exp3Params

    _usual: float | None = None
    """What a new arm would weigh, until something is learned."""

    def begin(self) -> Mapping[str, Numbers]:
        return {**begin_counts(), "log_weight": np.zeros(())}

    def place(self, arm_id: str) -> int:
        known = len(self.book)
        place = self.book.place(arm_id)
        if place == known:  # an arm of average weight leaves the average as it is
            weight = self.book.columns["log_weight"]
            if self._usual is None:
                self._usual = usual_weight(self.book.ids[:known], weight)
            weight[place] = self._usual
        return place

    def forget(self, arm: int) -> None:
        super().forget(arm)
        self._usual = None

    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:  # noqa: ARG002
        count(self.book.columns, arm, reward)
        step = self.params.gamma / self.params.pool * reward / propensity
        self.book.columns["log_weight"][arm] += min(step, 1.0)  # 1 is the most where the chance was EXP3's own
        self._usual = None


class Exp3(ArmTrainer):
    name: ClassVar[str] = "exp3"
    description: ClassVar[str] = "Weights by what arms brought; expects nothing of how rewards come about (EXP3)"
    learner: ClassVar[type[ArmLearner]] = Exp3Learner
    model: ClassVar[type[ArmPolicy]] = Exp3Policy
    Params: ClassVar[type[PolicyParams]] = Exp3Params


def usual_weight(arm_ids: tuple[str, ...] | list[str], log_weight: Numbers) -> float:
    """Logarithm of the average weight of the arms that are known; 0 when there is none."""
    known = log_weight[: len(arm_ids)][np.array([arm != FORGOTTEN for arm in arm_ids], dtype=bool)]
    if not len(known):
        return 0.0
    top = known.max()
    return float(top + np.log(np.exp(known - top).mean()))


def _empty(arm_ids: tuple[str, ...]) -> list[int]:
    return [place for place, arm in enumerate(arm_ids) if arm == FORGOTTEN]
