"""A transformer over patches of the past, which the steps of the future ask by attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import Tensor, nn


class Transformer(NeuralTrainer):
    name: ClassVar[str] = "transformer"
    description: ClassVar[str] = "Patches of the past hear one another; each day ahead asks them, knowing its calendar"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        blocks: Annotated[int, about("blocks of the encoder", ge=1, le=8)] = 2
        heads: Annotated[int, about("heads of each attention, at most", ge=1, le=16)] = 4

    def net(self, sizes: Sizes) -> nn.Module:
        import torch
        from torch import nn

        from shopkeeper.forecast.neural.attention import AskingSteps, EncoderBlock, along, heads_of, patches
        from shopkeeper.forecast.neural.heads import Head
        from shopkeeper.forecast.neural.layers import Statics

        width, heads, many = sizes.width, heads_of(sizes.width, self._params.heads), self._params.blocks

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.statics = Statics(sizes)
                self.words = nn.Linear(sizes.patch * sizes.past + self.statics.size, width)
                self.place = nn.Parameter(torch.randn(sizes.lookback // sizes.patch, width) * 0.02)
                self.dropout = nn.Dropout(sizes.dropout)
                self.blocks = nn.Sequential(*(EncoderBlock(width, heads, sizes.dropout) for _ in range(many)))
                self.steps = AskingSteps(sizes, self.statics.size, heads)
                self.head = Head(width)

            def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
                statics = self.statics(static)
                words = self.words(along(patches(past, sizes.patch), statics)) + self.place
                answer: Tensor = self.head(self.steps(self.blocks(self.dropout(words)), future, statics), future)
                return answer

        return Net()
