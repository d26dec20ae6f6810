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
        """(b, steps, width): each step reads itself and those before it; with `every` 2 only each second step, the last
        one too, is worked out."""

        def __init__(self, steps: int, every: int = 1) -> None:
            super().__init__()
            self.steps, self.every, self.first = steps, every, (steps - 1) % every
            self.mix = nn.Linear(kernel * sizes.width, sizes.width)

        def forward(self, x: Tensor) -> Tensor:
            padded = functional.pad(x, (0, 0, kernel - 1, 0))
            read = [padded[:, self.first + at : at + self.steps : self.every] for at in range(kernel)]
            mixed: Tensor = self.mix(torch.cat(read, dim=2))
            return mixed

    class Block(nn.Module):
        """Two convolutions beside what came in. What leaves is twice as far apart: of the steps between, the last one,
        which alone is asked for what comes, would hear nothing."""

        def __init__(self, steps: int) -> None:
            super().__init__()
            self.first, self.second = Convolution(steps), Convolution(steps, every=2)
            self.leave_out = nn.Dropout(sizes.dropout)

        def forward(self, x: Tensor) -> Tensor:
            inner = self.second(self.leave_out(functional.relu(self.first(x))))
            out: Tensor = functional.relu(x[:, self.second.first :: 2] + inner)
            return out

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.statics = Statics(sizes)
            self.past = Past(sizes, self.statics.size)
            self.blocks = nn.Sequential(*(Block(steps) for steps in _steps(sizes.lookback, kernel)))
            self.decoder = Decoder(sizes, sizes.width, self.statics.size)
            self.head = Head(sizes.width)

        def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
            series = self.statics(static)
            read = self.blocks(self.past(past, series))
            said: Tensor = self.head(self.decoder(read[:, -1], future, series), future)
            return said

    return Net()


def _steps(lookback: int, kernel: int) -> list[int]:
    """Steps that each block is given, apart by 1, 2, 4, ... until the last one has read the whole window."""
    steps, apart, reach = [lookback], 1, 1 + 2 * (kernel - 1)
    while reach < lookback:
        steps.append(-(-steps[-1] // 2))
        apart *= 2
        reach += 2 * (kernel - 1) * apart
    return steps
