"""The base of every forecast net: windows, loop, export and calibration are here, an algorithm only gives its `net`.

The contract of tensors (b windows, float32 but for the codes):

    net.forward(past (b, L, cp), future (b, H, cf), static (b, s) int64) -> (b, H, 10)

    past[..., 0]    pieces / mu, 0 where they say nothing; mu is the mean of the window, above 0
    past[..., 1]    1 where the pieces count, 0 on closed, masked and not yet begun steps and in padding on the left
    past[..., 2:]   calendar, size (log mu), price, covariates
    future[..., 0]  log of the usual pieces of this place in the season, relative to mu: what `heads.Head` starts from
    future[..., 1:] calendar, steps ahead, size, price, covariates whose future is known
    static          codes below `sizes.static[j]`; 0 is unknown (`layers.Statics` forgets codes while it learns)
    answer          relative to mu: nine quantiles that never cross, then the mean; all at least 0

A net ends in `heads.Head`, which makes that answer of any (b, H, width) and `future`, so that it neither counts the
columns nor keeps them in order itself. A net must give a window the same answer whatever others are in the batch (no
batch norm), must take any b, and must export by `torch.onnx.export(..., dynamo=False)` at opset 17: no loop over values,
no shape that depends on the data.

    class Tcn(NeuralTrainer):
        name: ClassVar[str] = "tcn"
        description: ClassVar[str] = "..."

        class Params(NeuralTrainer.Params, kw_only=True, forbid_unknown_fields=True):
            kernel: Annotated[int, about("steps a convolution reads", ge=2, le=7)] = 3

        def net(self, sizes: Sizes) -> nn.Module:
            from torch import nn                      # torch is imported in here only

Shared layers: `layers.Statics(sizes)` (b, s) -> (b, .size); `layers.Past(sizes)` (past, statics) -> (b, L, width);
`layers.Decoder(sizes, inputs)` (context (b, inputs), future, statics) -> (b, H, width); `heads.Head(width)`.
"""
