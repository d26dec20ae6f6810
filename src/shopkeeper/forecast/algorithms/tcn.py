"""Temporal convolutions: each layer reads the steps before its own, further apart from layer to layer.

Reference: Bai, Kolter, Koltun, "An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling", 2018 (arXiv 1803.01271).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import Tensor, nn


class Tcn(NeuralTrainer):
    name: ClassVar[str] = "tcn"
    description: ClassVar[str] = "Temporal convolutional net: causal convolutions further and further apart"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        kernel: Annotated[int, about("steps that a convolution reads", ge=2, le=7)] = 3

    def net(self, sizes: Sizes) -> nn.Module:
        return _net(sizes, self._params.kernel)


def _net(sizes: Sizes, kernel: int) -> nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    from shopkeeper.forecast.neural.heads import Head
    from shopkeeper.forecast.neural.layers import Decoder, Past, Statics

    class Convolution(nn.Module):
        """(b, L, width): each step reads itself and those `apart`, 2 `apart`, ... before it, in one product
        of matrices."""

        def __init__(self, apart: int) -> None:
            super().__init__()
            self.apart = apart
            self.mix = nn.Linear(kernel * sizes.width, sizes.width)

        def forward(self, x: Tensor) -> Tensor:
            behind = (kernel - 1) * self.apart
            padded = functional.pad(x, (0, 0, behind, 0))
            read = [padded[:, at * self.apart : at * self.apart + sizes.lookback] for at in range(kernel)]
            mixed: Tensor = self.mix(torch.cat(read, dim=2))
            return mixed

    class Block(nn.Module):
        """Two convolutions beside what came in."""

        def __init__(self, apart: int) -> None:
            super().__init__()
            self.first, self.second = Convolution(apart), Convolution(apart)
            self.leave_out = nn.Dropout(sizes.dropout)

        def forward(self, x: Tensor) -> Tensor:
            inner = self.second(self.leave_out(functional.gelu(self.first(x))))
            out: Tensor = functional.gelu(x + inner)
            return out

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.statics = Statics(sizes)
            self.past = Past(sizes, self.statics.size)
            self.blocks = nn.Sequential(*(Block(apart) for apart in _dilations(sizes.lookback, kernel)))
            self.decoder = Decoder(sizes, sizes.width, self.statics.size)
            self.head = Head(sizes.width)

        def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
            series = self.statics(static)
            read = self.blocks(self.past(past, series))
            said: Tensor = self.head(self.decoder(read[:, -1], future, series), future)
            return said

    return Net()


def _dilations(lookback: int, kernel: int) -> list[int]:
    """1, 2, 4, ... until the last step has read the whole window."""
    dilations, reach = [1], 1 + 2 * (kernel - 1)
    while reach < lookback:
        dilations.append(2 * dilations[-1])
        reach += 2 * (kernel - 1) * dilations[-1]
    return dilations
