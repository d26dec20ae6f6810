"""LinUCB: the arm with the highest upper confidence bound of a reward that is linear in the context (disjoint models).

    index = theta'x + alpha sqrt(x' A^-1 x)

An arm that was never chosen has theta = 0 and the widest bound there is.

Li, Chu, Langford and Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from shopkeeper.recommend.explore.best import even_among_best
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.linear import LinearLearner, LinearParams, LinearPolicy
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers


class LinUcbParams(LinearParams):
    alpha: Annotated[
        float, msgspec.Meta(ge=0, le=100, description="Width of the bound; less explores less, 0 not at all")
    ] = 1.0


class LinUcbPolicy(LinearPolicy):
    name: ClassVar[str] = "linucb"

    def chances(self, arms: Arms, context: Context | None) -> Numbers:
        mean, deviation = self.means_and_deviations(arms, context)
        return even_among_best(mean + self.kept.params["alpha"] * deviation)


class LinUcbLearner(LinearLearner):
    policy: ClassVar[type[ArmPolicy]] = LinUcbPolicy
    params_type: ClassVar[type[PolicyParams]] = LinUcbParams


class LinUcb(ArmTrainer):
    name: ClassVar[str] = "linucb"
    contextual: ClassVar[bool] = True
    description: ClassVar[str] = "The arm with the highest bound of a reward that is linear in the context (LinUCB)"
    learner: ClassVar[type[ArmLearner]] = LinUcbLearner
    model: ClassVar[type[ArmPolicy]] = LinUcbPolicy
    Params: ClassVar[type[PolicyParams]] = LinUcbParams
