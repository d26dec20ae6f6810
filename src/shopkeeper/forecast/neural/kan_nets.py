"""A net of edges that are functions: patches, two layers of context, one layer for each step with what is known of it.

The window comes divided by its mean and is centred and divided by its spread in here, which the context is told and
`heads.Head` undoes (reversible norm: Kim and others, 2022). That a context is unfolded into states of steps, which then
meet their covariates, is from Das and others, "Long-term forecasting with TiDE", 2023 (arXiv 2304.08424).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from shopkeeper.forecast.neural.attention import patches
from shopkeeper.forecast.neural.experts import Gate
from shopkeeper.forecast.neural.heads import Head
from shopkeeper.forecast.neural.layers import Statics
from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.splines import GaussEdges, GaussExperts

Edges = Callable[[int, int], nn.Module]
"""Makes a layer of so many inputs and outputs."""
_STATE = 8
"""Numbers that a step is told of the context."""
_LEAST_SPREAD = 0.05


class NormedPatches(nn.Module):
    """(b, T x each + 1): the patches of a window whose pieces are normed, each made shorter, and the log spread."""

    def __init__(self, sizes: Sizes, each: int) -> None:
        super().__init__()
        self.patch = sizes.patch
        self.size = sizes.lookback // sizes.patch * each + 1
        self.shorter = nn.Linear(sizes.patch * sizes.past, each)

    def forward(self, past: Tensor) -> Tensor:
        y, counts = past[..., 0], past[..., 1]
        seen = counts.sum(dim=1, keepdim=True) + 1.0
        mean = ((y * counts).sum(dim=1, keepdim=True) + 1.0) / seen
        off = (y - mean) * counts
        spread = torch.sqrt((off * off).sum(dim=1, keepdim=True) / seen + _LEAST_SPREAD**2)
        normed = torch.cat([(off / spread).unsqueeze(2), past[..., 1:]], dim=2)
        return torch.cat([self.shorter(patches(normed, self.patch)).flatten(1), torch.log(spread)], dim=1)


class KanNet(nn.Module):
    """`edges` makes the layers: splines, or what is compared with them."""

    def __init__(self, sizes: Sizes, edges: Edges) -> None:
        super().__init__()
        self.statics = Statics(sizes)
        self.window = NormedPatches(sizes, max(sizes.width // 4, 2))
        self.first = edges(self.window.size + self.statics.size, sizes.width)
        self.second = edges(sizes.width, sizes.width)
        self.steps = Steps(sizes, edges)

    def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
        context = self.first(torch.cat([self.window(past), self.statics(static)], dim=1))
        answer: Tensor = self.steps(context + self.second(context), future)
        return answer


class MixtureNet(nn.Module):
    """Experts of Gaussian edges, each read the same window; a gate says whose word counts how much."""

    def __init__(self, sizes: Sizes, experts: int, centres: int) -> None:
        super().__init__()
        self.statics = Statics(sizes)
        self.window = NormedPatches(sizes, max(sizes.width // 4, 2))
        self.experts, self.each = experts, max(sizes.width // 2, 2)
        self.first = GaussEdges(self.window.size + self.statics.size, experts * self.each, centres)
        self.second = GaussExperts(experts, self.each, sizes.width, centres)
        self.gate = Gate(experts, self.statics.size)
        self.steps = Steps(sizes, lambda inputs, outputs: GaussEdges(inputs, outputs, centres))

    def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
        statics = self.statics(static)
        said = self.second(
            self.first(torch.cat([self.window(past), statics], dim=1)).reshape(-1, self.experts, self.each)
        )
        answer: Tensor = self.steps((said * self.gate(past, statics).unsqueeze(2)).sum(dim=1), future)
        return answer


class Steps(nn.Module):
    """The answer for each step, from a context (b, width) and what is known of the step."""

    def __init__(self, sizes: Sizes, edges: Edges) -> None:
        super().__init__()
        self.horizon = sizes.horizon
        self.unfold = nn.Linear(sizes.width, sizes.horizon * _STATE)
        self.known = nn.Linear(sizes.future, 2 * _STATE)
        self.dropout = nn.Dropout(sizes.dropout)
        self.edges = edges(3 * _STATE, sizes.width)
        self.head = Head(sizes.width)

    def forward(self, context: Tensor, future: Tensor) -> Tensor:
        state = self.unfold(self.dropout(context)).reshape(-1, self.horizon, _STATE)
        answer: Tensor = self.head(self.edges(torch.cat([state, self.known(future)], dim=2)), future)
        return answer
