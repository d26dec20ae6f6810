"""Convolutions, a recurrent net that reads both ways, and steps of the future that ask it by attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.trainer import NeuralTrainer, about

if TYPE_CHECKING:
    from torch import Tensor, nn

_READ = 64
"""Places that the recurrent net reads at most: a longer past is convolved by strides."""


class CnnBilstmAttention(NeuralTrainer):
    name: ClassVar[str] = "cnn_bilstm_attention"
    description: ClassVar[str] = "Convolutions, then an LSTM both ways, then attention by each day ahead"

    class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        kernel: Annotated[int, about("steps that a convolution reads", ge=1, le=15)] = 3
        layers: Annotated[int, about("layers of the LSTM", ge=1, le=4)] = 1
        heads: Annotated[int, about("heads of the attention, at most", ge=1, le=16)] = 4

    def net(self, sizes: Sizes) -> nn.Module:
        from torch import nn

        from shopkeeper.forecast.neural.attention import AskingSteps, along, heads_of
        from shopkeeper.forecast.neural.heads import Head
        from shopkeeper.forecast.neural.layers import Statics

        params, width = self._params, sizes.width
        half, stride = max(width // 2, 1), -(-sizes.lookback // _READ)

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.statics = Statics(sizes)
                self.convolved = nn.Sequential(
                    nn.Conv1d(sizes.past + self.statics.size, width, params.kernel, padding=params.kernel // 2),
                    nn.GELU(),
                    nn.Conv1d(width, width, params.kernel, stride=stride, padding=params.kernel // 2),
                    nn.GELU(),
                    nn.Dropout(sizes.dropout),
                )
                self.lstm = nn.LSTM(width, half, params.layers, batch_first=True, bidirectional=True)
                self.both = nn.Linear(2 * half, width)
                self.steps = AskingSteps(sizes, self.statics.size, heads_of(width, params.heads))
                self.head = Head(width)

            def forward(self, past: Tensor, future: Tensor, static: Tensor) -> Tensor:
                statics = self.statics(static)
                read = self.convolved(along(past, statics).transpose(1, 2)).transpose(1, 2)
                heard = self.both(self.lstm(read)[0])
                answer: Tensor = self.head(self.steps(heard, future, statics), future)
                return answer

        return Net()
