"""The last layer of every net: nine quantiles that cannot cross, and a mean of their own.

The median of demand that is mostly zero is zero, and no rule makes the mean of such quantiles: it is learned beside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.forecast.neural.sizes import LEVELS, OUTPUTS

_ONE = 0.5413  # softplus of it is 1
_BELOW, _ABOVE = (
    1.1,
    -1.26,
)  # at first each level is three quarters of the one above it, and above the median a quarter more


class Head(nn.Module):
    """(b, H, width) and the future -> (b, H, 10), at first the usual pieces with wide quantiles around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, OUTPUTS)
        middle = LEVELS // 2
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.copy_(torch.tensor([_BELOW] * middle + [_ONE] + [_ABOVE] * middle + [_ONE]))

    def forward(self, hidden: Tensor, future: Tensor) -> Tensor:
        parts = self.out(hidden)
        middle = LEVELS // 2
        levels = [functional.softplus(parts[..., middle])]
        for at in range(middle - 1, -1, -1):
            levels.insert(0, levels[0] * torch.sigmoid(parts[..., at]))
        for at in range(middle + 1, LEVELS):
            levels.append(levels[-1] + functional.softplus(parts[..., at]))
        levels.append(functional.softplus(parts[..., LEVELS]))
        said: Tensor = torch.stack(levels, dim=-1) * torch.exp(future[..., :1])
        return said


def loss_of(said: Tensor, pieces: Tensor, counts: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Quantile loss of the nine and Poisson deviance of the mean, of (b, H) pieces that count, windows weighed (b,)."""
    error = pieces[..., None] - said[..., :LEVELS]
    pinball = torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)
    mean, sold = said[..., LEVELS] + 1e-4, pieces.clamp(max=20.0)
    deviance = mean - sold + torch.xlogy(sold, (sold + 1e-4) / mean)
    share = counts * weight[:, None]
    whole: Tensor = (share * (2 * pinball + 0.5 * deviance)).sum() / share.sum().clamp(min=1e-6)
    return whole
