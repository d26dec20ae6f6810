"""Linear Thompson sampling: an arm is chosen with the chance that it is best for this context; a model for each arm.

    theta of an arm ~ N(A^-1 sum of reward x, v^2 A^-1),   so   theta'x ~ N(mean, v^2 x' A^-1 x)

`v` is the standard deviation of one reward around what the context tells; 0.5 suits rewards from 0 to 1 (the proof of
the regret asks for more, practice for less). The chance to be the best is integrated (quadrature.py), not drawn.

Agrawal and Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.recommend.explore.best import even_among_best
from shopkeeper.recommend.explore.learning import ArmLearner, ArmPolicy, ArmTrainer
from shopkeeper.recommend.explore.linear import LinearLearner, LinearParams, LinearPolicy
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Arms, Context, Numbers
from shopkeeper.recommend.explore.quadrature import largest_normal

_NARROWEST = 1e-9


class LinTsParams(LinearParams):
    v: Annotated[
        float, msgspec.Meta(ge=0, le=1e6, description="Width of what is thought possible; less explores less, 0 not")
    ] = 0.5


class LinTsPolicy(LinearPolicy):
    name: ClassVar[str] = "lints"

    def chances(self, arms: Arms, context: Context | None) -> Numbers:
        mean, deviation = self.means_and_deviations(arms, context)
        width = self.kept.params["v"] * deviation
        if not width.any():
            return even_among_best(mean)
        return largest_normal(mean, np.maximum(width, _NARROWEST))


class LinTsLearner(LinearLearner):
    policy: ClassVar[type[ArmPolicy]] = LinTsPolicy
    params_type: ClassVar[type[PolicyParams]] = LinTsParams


class LinTs(ArmTrainer):
    name: ClassVar[str] = "lints"
    contextual: ClassVar[bool] = True
    description: ClassVar[str] = "Each arm with the chance that it is best for this context (linear Thompson)"
    learner: ClassVar[type[ArmLearner]] = LinTsLearner
    model: ClassVar[type[ArmPolicy]] = LinTsPolicy
    Params: ClassVar[type[PolicyParams]] = LinTsParams
