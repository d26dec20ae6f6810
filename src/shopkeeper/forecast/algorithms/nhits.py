"""N-HiTS: three stacks read the past at three resolutions and each explains what the one before it left over.

Reference: Challu and others, "N-HiTS: neural hierarchical interpolation for time series forecasting", 2022
(arXiv 2201.12886). Here a stack says a few numbers at each knot, not the pieces themselves: the head turns what the
stacks say together, and what is known of each day, into quantiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer

if TYPE_CHECKING:
    from torch import Tensor, nn

_POOLS, _KNOTS_APART = (7, 3, 1), (7, 3, 1)


class Nhits(NeuralTrainer):
    name: ClassVar[str] = "nhits"
    description: ClassVar[str] = "N-HiTS: stacks that read the past coarse to fine and interpolate the future"

    Params = NeuralTrainer.Params

    def net(self, sizes: Sizes) -> nn.Module:
        return _net(sizes)


def _net(sizes: Sizes) -> nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    from shopkeeper.forecast.neural.heads import Head
    from shopkeeper.forecast.neural.layers import Statics

    inner = 4 * sizes.width

    class Stack(nn.Module):
        """The pooled past and what stands beside it -> (b, H, width), and its own idea of the past (b, L)."""

        def __init__(self, pool: int, apart: int, beside: int) -> None:
            super().__init__()
            self.pool = pool
            knots = -(-sizes.horizon // apart) + 1 if apart > 1 else sizes.horizon
            back = -(-sizes.lookback // apart) + 1 if apart > 1 else sizes.lookback
            self.read = nn.Linear(-(-sizes.lookback // pool), inner)
            self.beside = nn.Linear(beside, inner)
            self.think = nn.Linear(inner, inner)
            self.leave_out = nn.Dropout(sizes.dropout)
            self.ahead, self.back = nn.Linear(inner, knots * sizes.width), nn.Linear(inner, back)
            self.register_buffer("to_ahead", torch.from_numpy(_between(knots, sizes.horizon)), persistent=False)
            self.register_buffer("to_back", torch.from_numpy(_between(back, sizes.lookback)), persistent=False)
            self.to_ahead: Tensor
            self.to_back: Tensor

        def forward(self, left: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
            coarse = functional.avg_pool1d(left[:, None], self.pool, ceil_mode=True)[:, 0]
            hidden = functional.gelu(self.read(coarse) + self.beside(beside))
            hidden = self.leave_out(functional.gelu(self.think(hidden)))
            knots = self.ahead(hidden).reshape(-1, self.to_ahead.shape[1], sizes.width)
            return torch.matmul(self.to_ahead, knots), self.back(hidden) @ self.to_back.T

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.statics = Statics(sizes)
            beside = sizes.width + self.statics.size
            self.covariates = nn.Linear(sizes.lookback * (sizes.past - 1) + sizes.horizon * sizes.future, sizes.width)
            self.stacks = nn.ModuleList(Stack(*each, beside) for each in zip(_POOLS, _KNOTS_APART, strict=True))
            self.each_day = nn.Linear(sizes.future, sizes.width)
            self.mix = nn.Linear(sizes.width, sizes.width)
            self.head = Head(sizes.width)

        def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
            known = functional.gelu(self.covariates(torch.cat([past[:, :, 1:].flatten(1), future.flatten(1)], dim=1)))
            beside = torch.cat([known, self.statics(static)], dim=1)
            left, hidden = past[:, :, 0], self.each_day(future)
            for stack in self.stacks:
                ahead, back = stack(left, beside)
                left, hidden = left - back, hidden + ahead
            hidden = functional.gelu(hidden)
            said: Tensor = self.head(hidden + functional.gelu(self.mix(hidden)), future)
            return said

    return Net()


def _between(knots: int, steps: int) -> NDArray[np.float32]:
    """(steps, knots): straight lines between knots that lie evenly from the first step to the last."""
    if knots == 1:
        return np.ones((steps, 1), dtype=np.float32)
    at = np.linspace(0, knots - 1, steps) if steps > 1 else np.zeros(1)
    lines: NDArray[np.float32] = np.maximum(1 - np.abs(at[:, None] - np.arange(knots)[None, :]), 0).astype(np.float32)
    return lines
