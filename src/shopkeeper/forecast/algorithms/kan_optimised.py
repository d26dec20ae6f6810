"""A mixture of Kolmogorov-Arnold networks with Gaussian edges: which of them is heard depends on the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import nn


class KanOptimised(NeuralTrainer):
    name: ClassVar[str] = "kan_optimised"
    description: ClassVar[str] = "A mixture of Kolmogorov-Arnold experts with Gaussian edges, chosen by the window"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        experts: Annotated[int, about("experts that share the windows", ge=1, le=32)] = 4
        centres: Annotated[int, about("Gaussians of each edge", ge=2, le=32)] = 8

    def net(self, sizes: Sizes) -> nn.Module:
        from shopkeeper.forecast.neural.kan_nets import MixtureNet

        return MixtureNet(sizes, self._params.experts, self._params.centres)
