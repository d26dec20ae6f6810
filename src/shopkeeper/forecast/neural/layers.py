"""Layers that the nets share: codes, the way in, the way out to the steps ahead."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.forecast.neural.sizes import Sizes

_FORGOTTEN = 0.1
_OF_STEP = 4


class Statics(nn.Module):
    """Codes (b, s) -> (b, size). While it learns a tenth of the codes is forgotten, so that "unknown" has a meaning."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        tables = [nn.Embedding(many, numbers) for many, numbers in sizes.embeddings]
        for table in tables:
            nn.init.normal_(table.weight, std=0.1)
        self.tables = nn.ModuleList(tables)
        self.size = sum(table.embedding_dim for table in tables)

    def forward(self, static: Tensor) -> Tensor:
        if self.training:
            static = static * (torch.rand(static.shape, device=static.device) >= _FORGOTTEN)
        return torch.cat([table(static[:, at]) for at, table in enumerate(self.tables)], dim=1)


class Past(nn.Module):
    """The past's channels and what is known of the series for good, mixed step by step: (b, L, width)."""

    def __init__(self, sizes: Sizes, statics: int) -> None:
        super().__init__()
        self.channels = nn.Linear(sizes.past, sizes.width)
        self.series = nn.Linear(statics, sizes.width, bias=False)

    def forward(self, past: Tensor, statics: Tensor) -> Tensor:
        mixed: Tensor = self.channels(past) + self.series(statics)[:, None]
        return mixed


class Decoder(nn.Module):
    """What was made of the past (b, inputs), what is known of each step ahead, and the series: (b, H, width)."""

    def __init__(self, sizes: Sizes, inputs: int, statics: int) -> None:
        super().__init__()
        self.horizon = sizes.horizon
        self.all_steps = nn.Linear(inputs + statics, sizes.width)
        self.each_step = nn.Linear(inputs, sizes.horizon * _OF_STEP)
        self.ahead = nn.Linear(sizes.future + _OF_STEP, sizes.width, bias=False)
        self.mix = nn.Linear(sizes.width, sizes.width)
        self.leave_out = nn.Dropout(sizes.dropout)

    def forward(self, context: Tensor, future: Tensor, statics: Tensor) -> Tensor:
        each = self.each_step(context).reshape(-1, self.horizon, _OF_STEP)
        all_steps = self.all_steps(torch.cat([context, statics], dim=1))[:, None]
        hidden = functional.gelu(all_steps + self.ahead(torch.cat([future, each], dim=2)))
        mixed: Tensor = hidden + functional.gelu(self.mix(self.leave_out(hidden)))
        return mixed
