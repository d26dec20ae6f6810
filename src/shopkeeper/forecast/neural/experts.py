"""Which expert reads a window: shares by what kind of window it is, none of them left without work.

References: Han and others, "KAN4TSF: are KAN and KAN-based models effective for time series forecasting?", 2024
(arXiv 2408.11306): a mixture of KAN experts between reversible norms; the loss of the load after Shazeer and others,
"Outrageously large neural networks", 2017 (arXiv 1701.06538).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_LOAD = 1e-2
_SMALL = 1e-6
FACTS = 5


class Gate(nn.Module):
    """(b, experts) shares, sum 1. While it learns, experts that are asked less than others pull at it."""

    def __init__(self, experts: int, statics: int) -> None:
        super().__init__()
        self.experts = experts
        self.choose = nn.Linear(FACTS + statics, experts)

    def forward(self, past: Tensor, statics: Tensor) -> Tensor:
        shares = torch.softmax(self.choose(torch.cat([window_facts(past), statics], dim=1)), dim=1)
        if self.training:
            load = shares.mean(dim=0)
            uneven = load.var(unbiased=False) / (load.mean() ** 2 + _SMALL)
            pulled: Tensor = _Pulled.apply(shares, _LOAD * uneven)  # type: ignore[no-untyped-call]
            return pulled
        return shares


def window_facts(past: Tensor) -> Tensor:
    """(b, 5) of a window: share of steps that count, share of zeros among them, spread, slope, the last quarter."""
    y, counts = past[..., 0], past[..., 1]
    seen = counts.sum(dim=1) + _SMALL
    mean = (y * counts).sum(dim=1) / seen
    off = (y - mean.unsqueeze(1)) * counts
    spread = torch.sqrt((off * off).sum(dim=1) / seen + _SMALL)
    zeros = ((y.abs() < _SMALL).to(y.dtype) * counts).sum(dim=1) / seen
    at = torch.linspace(-1.0, 1.0, past.shape[1]).to(y)
    slope = (off * at).sum(dim=1) / seen
    late = past.shape[1] - max(past.shape[1] // 4, 1)
    last = off[:, late:].sum(dim=1) / (counts[:, late:].sum(dim=1) + 1.0)
    return torch.stack([seen / past.shape[1], zeros, torch.log1p(spread), torch.tanh(slope), torch.tanh(last)], dim=1)


class _Pulled(torch.autograd.Function):
    """Gives `x` on and lets `penalty` learn as if it had been added to the loss."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, penalty: Tensor) -> Tensor:
        ctx.penalty = penalty.shape, penalty.dtype
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        shape, dtype = ctx.penalty
        return grads[0], torch.ones(shape, dtype=dtype, device=grads[0].device)
