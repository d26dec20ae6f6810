"""A long short-term memory that is a matrix (mLSTM of xLSTM): it reads patch after patch, and on into the future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import Tensor, nn


class Mlstm(NeuralTrainer):
    name: ClassVar[str] = "mlstm"
    description: ClassVar[str] = "Matrix memory with exponential gates (xLSTM) that reads the past and then the future"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        blocks: Annotated[int, about("memories one upon another", ge=1, le=8)] = 2
        heads: Annotated[int, about("heads of each memory, at most", ge=1, le=16)] = 4

    def net(self, sizes: Sizes) -> nn.Module:
        import torch
        from torch import nn
        from torch.nn import functional

        from shopkeeper.forecast.neural.attention import along, heads_of, patches
        from shopkeeper.forecast.neural.heads import Head
        from shopkeeper.forecast.neural.layers import Statics
        from shopkeeper.forecast.neural.matrix_memory import MatrixBlock

        width, heads, many = sizes.width, heads_of(2 * sizes.width, self._params.heads), self._params.blocks
        ahead = -(-sizes.horizon // sizes.patch)

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.statics = Statics(sizes)
                self.seen = nn.Linear(sizes.patch * sizes.past + self.statics.size, width)
                self.ahead = nn.Linear(sizes.patch * sizes.future + self.statics.size, width)
                self.blocks = nn.Sequential(*(MatrixBlock(width, heads, sizes.dropout) for _ in range(many)))
                self.norm = nn.LayerNorm(width)
                self.unfold = nn.Linear(width, sizes.patch * width // 2)
                self.step = nn.Sequential(nn.Linear(width // 2 + sizes.future, width), nn.GELU())
                self.head = Head(width)

            def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
                statics = self.statics(static)
                later = functional.pad(future, (0, 0, 0, ahead * sizes.patch - sizes.horizon))
                words = torch.cat(
                    [
                        self.seen(along(patches(past, sizes.patch), statics)),
                        self.ahead(along(patches(later, sizes.patch), statics)),
                    ],
                    dim=1,
                )
                known = self.norm(self.blocks(words))[:, -ahead:]
                states = self.unfold(known).reshape(-1, ahead * sizes.patch, width // 2)[:, : sizes.horizon]
                answer: Tensor = self.head(self.step(torch.cat([states, future], dim=2)), future)
                return answer

        return Net()
