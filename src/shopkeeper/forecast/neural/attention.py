"""Attention over the patches of a window, and steps of the future that ask them.

References: Vaswani and others, "Attention is all you need", 2017; Nie and others, "A time series is worth 64 words",
2023 (arXiv 2211.14730): patches as words; pre-norm after Xiong and others, 2020 (arXiv 2002.04745).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopkeeper.forecast.neural.sizes import Sizes


class Attention(nn.Module):
    """What (b, t, width) `asks` hears of (b, s, width), in several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)  # one would be the same for all that is heard, and cancel out

    def forward(self, asks: Tensor, heard: Tensor) -> Tensor:
        query, key, value = self._split(self.query(asks)), self._split(self.key(heard)), self._split(self.value(heard))
        share = torch.softmax(query @ key.transpose(2, 3) * self.each**-0.5, dim=-1)
        told: Tensor = self.out((share @ value).transpose(1, 2).reshape(-1, asks.shape[1], self.heads * self.each))
        return told

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[1], self.heads, self.each).transpose(1, 2)


class Feed(nn.Module):
    """The two layers behind an attention, normed before and added to what came in."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


class EncoderBlock(nn.Module):
    """Patches hear one another."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.dropout = nn.Dropout(dropout)
        self.feed = Feed(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        added: Tensor = self.feed(x + self.dropout(self.attention(normed, normed)))
        return added


class AskingSteps(nn.Module):
    """(b, H, width) of the future: each step, knowing its calendar and covariates, asks what was kept of the past."""

    def __init__(self, sizes: Sizes, statics: int, heads: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(sizes.horizon, sizes.width) * 0.02)
        self.known = nn.Linear(sizes.future + statics, sizes.width)
        self.asks, self.heard = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.attention = Attention(sizes.width, heads)
        self.dropout = nn.Dropout(sizes.dropout)
        self.feed = Feed(sizes.width, sizes.dropout)

    def forward(self, past: Tensor, future: Tensor, statics: Tensor) -> Tensor:
        """`past` (b, s, width), `future` (b, H, cf), `statics` (b, e)."""
        step = self.known(along(future, statics)) + self.place
        told: Tensor = self.feed(step + self.dropout(self.attention(self.asks(step), self.heard(past))))
        return told


def heads_of(width: int, wanted: int) -> int:
    """The most heads up to `wanted` that share a width evenly."""
    return next(heads for heads in range(min(wanted, width), 0, -1) if width % heads == 0)


def along(steps: Tensor, statics: Tensor) -> Tensor:
    """(b, t, c) with (b, e) beside each step: (b, t, c + e)."""
    return torch.cat([steps, statics.unsqueeze(1).expand(-1, steps.shape[1], -1)], dim=2)


def patches(steps: Tensor, size: int) -> Tensor:
    """(b, t, c) as (b, t / size, size x c); t is a multiple of the size."""
    return steps.reshape(-1, steps.shape[1] // size, size * steps.shape[2])
