"""A Kolmogorov-Arnold network: each edge between its layers is a cubic spline of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import nn


class Kan(NeuralTrainer):
    name: ClassVar[str] = "kan"
    description: ClassVar[str] = "Kolmogorov-Arnold network: layers whose edges are splines, over patches of the past"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        grid: Annotated[int, about("pieces of each spline", ge=2, le=32)] = 8

    def net(self, sizes: Sizes) -> nn.Module:
        from shopkeeper.forecast.neural.kan_nets import KanNet
        from shopkeeper.forecast.neural.splines import SplineEdges

        grid = self._params.grid
        return KanNet(sizes, lambda inputs, outputs: SplineEdges(inputs, outputs, grid))
