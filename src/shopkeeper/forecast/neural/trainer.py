"""The base of every forecast net: windows, loop, export and calibration are here, an algorithm only gives its `net`.

The contract of tensors (b windows, float32 but for the codes):

    net.forward(past (b, L, cp), future (b, H, cf), static (b, s) int64) -> (b, H, 10)

    past[..., 0]    pieces / mu, 0 where they say nothing; mu is the mean of the window, above 0
    past[..., 1]    1 where the pieces count, 0 on closed, masked and not yet begun steps and in padding on the left
    past[..., 2:]   size (log mu), calendar, price, covariates
    future[..., 0]  log of the usual pieces of this place in the season, relative to mu: what `heads.Head` starts from
    future[..., 1:] size, calendar, price, steps ahead, covariates whose future is known
    static          codes below `sizes.static[j]`; 0 is unknown (`layers.Statics` forgets codes while it learns)
    answer          relative to mu: nine quantiles that never cross, then the mean; all at least 0

A net ends in `heads.Head`, which makes that answer of any (b, H, width) and `future`, so that it neither counts the
columns nor keeps them in order itself. A net must give a window the same answer whatever others are in the batch (no
batch norm), must take any b, and must export by `torch.onnx.export(..., dynamo=False)` at opset 17: no loop over
values, no shape that depends on the data.

    class Tcn(NeuralTrainer):
        name: ClassVar[str] = "tcn"
        description: ClassVar[str] = "..."

        class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
            kernel: Annotated[int, about("steps a convolution reads", ge=2, le=7)] = 3

        def net(self, sizes: Sizes) -> nn.Module:
            from torch import nn                      # torch is imported in here only

Shared layers: `layers.Statics(sizes)` (b, s) -> (b, .size); `layers.Past(sizes, statics.size)` (past, statics) -> (b,
L, width); `layers.Decoder(sizes, inputs, statics.size)` (context (b, inputs), future, statics) -> (b, H, width);
`heads.Head(width)` (hidden, future) -> the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import Calibration, calibrate, cutoffs
from shopkeeper.forecast.neural.artifact import About, NeuralModel, base_of
from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.windows import Board, layout_of
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.strategy import Strategy
from shopkeeper.learning.torch_needed import importing_torch, without_torch

if TYPE_CHECKING:
    from torch import nn

NEEDS_TORCH = without_torch("forecast nets learn by")
_FEWEST_DAYS = 56
_SLOWER = 0.3


def about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class NeuralTrainer:
    """Global over all series, with a learned vector for each. What serves needs no torch."""

    family: ClassVar[str] = "forecast"
    tags: ClassVar[tuple[str, ...]] = ("global", "neural", "quantiles")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[NeuralModel]] = NeuralModel
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}
    brief: ClassVar[dict[str, Any]] = {
        "epochs": 2, "width": 8, "steps": 10, "lookback": 28, "finish": 0, "minutes": 60.0,
    }  # fmt: skip
    name: ClassVar[str]
    description: ClassVar[str]

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        horizon: Annotated[int, about("steps ahead that are said at once", ge=1, le=365)] = 28
        lookback: Annotated[int, about("steps of the past that are read", ge=7, le=728)] = 56
        width: Annotated[int, about("numbers of a step in every layer", ge=4, le=512)] = 32
        epochs: Annotated[int, about("passes at most", ge=1, le=10_000)] = 15
        steps: Annotated[int, about("batches of a pass, at most", ge=1, le=10_000)] = 100
        batch_size: Annotated[int, about("windows of a batch", ge=1, le=65_536)] = 256
        learning_rate: Annotated[float, about("highest step of AdamW", gt=0, le=10)] = 2e-3
        patience: Annotated[int, about("passes without a gain after which learning ends", ge=1, le=10_000)] = 5
        minutes: Annotated[float, about("minutes after which learning ends", gt=0, le=10_000)] = 3.0
        finish: Annotated[int, about("slow passes behind the best one that reach to the newest day", ge=0, le=100)] = 1
        dropout: Annotated[float, about("share of what is heard that is left out while learning", ge=0, lt=1)] = 0.1
        windows: Annotated[int, about("past weeks that intervals are measured on", ge=1, le=52)] = 5
        strategy: Annotated[
            Strategy, about("direct: the whole horizon at once; recursive: 7 steps, again and again; both: their mean")
        ] = "direct"
        device: Annotated[Literal["auto", "cpu"], about("auto: the graphics card where there is one")] = "auto"

    def __init__(self, params: Any, seed: int) -> None:
        self._params = params
        self._seed = seed
        self._begin: NeuralModel | None = None

    def net(self, sizes: Sizes) -> nn.Module:
        """The layers, new."""
        raise NotImplementedError(f"{type(self).__name__} gives no net")

    def continue_from(self, model: Any) -> None:
        """`fit` goes on from its weights at a third of the pace; sizes and channels are then the version's own.

        Raises Invalid (`cannot_continue`) for a model of another algorithm.
        """
        if not isinstance(model, NeuralModel) or model.about.algorithm != self.name:
            other = model.about.algorithm if isinstance(model, NeuralModel) else type(model).__name__
            raise Invalid(f"{self.name} cannot go on from a version of {other}", code="cannot_continue")
        self._begin = model

    def fit(self, data: SeriesSet, report: Report) -> NeuralModel:
        """Raises Unavailable without torch, Invalid (`no_data`, `diverged`, `cannot_continue`), Cancelled."""
        with importing_torch(NEEDS_TORCH):
            import torch

            from shopkeeper.forecast.neural.fitting import (
                Learning,
                Pace,
                continued,
                device_of,
                graph_of,
                runner,
                weights_of,
            )
        p, begin = self._params, self._begin
        horizon = min(p.horizon, max(data.days // 4, 1)) if begin is None else begin.about.layout.horizon
        daily = data.step.days == 1
        fewest = max(_FEWEST_DAYS // data.step.days, 3 * horizon)
        past = cutoffs(data.days, horizon, p.windows, step=7 if daily else 2, fewest=fewest)
        tested = past[0] if past else data.days
        learned = max(tested - horizon, tested // 2, 1)
        layout = layout_of(data, horizon, p.lookback, learned) if begin is None else begin.about.layout.grown(data)
        said = About(
            algorithm=self.name,
            layout=layout,
            width=p.width if begin is None else begin.about.width,
            dropout=p.dropout if begin is None else begin.about.dropout,
            strategy=p.strategy,
            best_epoch=0,
            continued=begin is not None,
        )
        pace = Pace(
            epochs=p.epochs,
            steps=p.steps,
            batch=p.batch_size,
            learning_rate=p.learning_rate * (1.0 if begin is None else _SLOWER),
            patience=p.patience,
            minutes=p.minutes,
            finish=p.finish,
        )
        sizes, device = layout.sizes(said.width, said.dropout), device_of(p.device)
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            net = self.net(sizes)
            if begin is not None:
                continued(net, begin.weights)
            learning = Learning(net, Board(data, layout), learned, tested, pace, device, self._seed)
            said = msgspec.structs.replace(said, best_epoch=learning.learn(report))
            calibration = Calibration.unknown()
            if past:
                calibration = calibrate(partial(base_of, runner(net, device), said), data, past, horizon)
            learning.finish(report)
        return NeuralModel(said, graph_of(net, sizes), weights_of(net), learning.curve, calibration)
