"""Splines on the edges against a perceptron with as many numbers: accuracy, time of a step, memory."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks import record
from benchmarks.forecast_nets import PANELS, Panel, Run, ours, panel, quality, run
from shopkeeper.forecast.algorithms.kan import Kan
from shopkeeper.forecast.algorithms.kan_optimised import KanOptimised
from shopkeeper.forecast.neural.sizes import Sizes

if TYPE_CHECKING:
    from torch import nn

_SEEDS = (1, 2, 3)
_MEASURES = ("wape", "pinball", "coverage_80")
_TRAINING: dict[str, Any] = {"epochs": 6, "steps": 50, "minutes": 60.0}
_BATCH, _STEPS = 256, 20


class Perceptron(Kan):
    """The same net, but each layer of splines is two layers with as many numbers and a GELU between them."""

    name: ClassVar[str] = "perceptron"
    description: ClassVar[str] = "The net of kan with perceptrons in place of its splines"

    def net(self, sizes: Sizes) -> nn.Module:
        from torch import nn

        from shopkeeper.forecast.neural.kan_nets import KanNet
        from shopkeeper.forecast.neural.splines import SplineEdges

        def edges(inputs: int, outputs: int) -> nn.Module:
            as_many = sum(each.numel() for each in SplineEdges(inputs, outputs, self._params.grid).parameters())
            hidden = max(round((as_many - outputs) / (inputs + outputs + 1)), 1)
            return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))

        return KanNet(sizes, edges)


TRAINERS: dict[str, type[Any]] = {"kan": Kan, "kan_optimised": KanOptimised, "perceptron": Perceptron}


def main() -> None:
    runs: dict[tuple[str, str], list[tuple[Run, dict[str, float]]]] = {}
    panels = {name: panel(name) for name in PANELS}
    for name, on in panels.items():
        for net in TRAINERS:
            for seed in _SEEDS:
                made = ours(net, name, _TRAINING, seed, module="benchmarks.forecast_kan")
                runs.setdefault((name, net), []).append((made, quality(on, made.quantiles)))
                told = {key: round(runs[name, net][-1][1][key], 3) for key in _MEASURES}
                print(name, net, seed, told, round(made.seconds, 1), round(made.peak_mb), flush=True)
    record.write(
        "forecast_kan",
        "KAN beside a perceptron of as many numbers",
        f"{', '.join(PANELS)}; the busiest products counted before the first cutoff. Each net learns once, before the "
        "first of 4 cutoffs 28 days apart (pharmacy: 8), and forecasts 28 days from each. Every net: lookback 56 days, "
        f"width 32, {_TRAINING['epochs']} epochs of {_TRAINING['steps']} steps of {_BATCH} windows at most, the best "
        "epoch served, intervals by the same calibration. The perceptron is the net of kan with each layer of splines "
        "replaced by two layers that together have as many numbers. Mean (standard deviation) of seeds 1, 2, 3. "
        "WAPE of the median; pinball over nine quantiles. One thread, a process for each run; memory: what the process "
        "grew by from after its imports and the reading of the data.",
        [
            *(_accuracy(name, runs) for name in PANELS),
            _cost(panels[PANELS[0]]),
        ],
    )


def _accuracy(name: str, runs: dict[tuple[str, str], list[tuple[Run, dict[str, float]]]]) -> dict[str, Any]:
    rows = []
    for net in TRAINERS:
        found = runs[name, net]
        cells = [_cell([one[1][measure] for one in found]) for measure in _MEASURES]
        rows.append(
            [net, *cells, statistics.median(one[0].seconds for one in found), max(one[0].peak_mb for one in found)]
        )
    return {"title": name, "columns": ["net", *_MEASURES, "seconds", "MB"], "rows": rows}


def _cost(on: Panel) -> dict[str, Any]:
    """Numbers that are learned, and what one step of learning takes, on the windows of a panel."""
    import torch

    from shopkeeper.forecast.neural.windows import layout_of

    torch.set_num_threads(1)
    series, rows = on.series.until(on.cuts[0]), []
    for name, trainer in TRAINERS.items():
        torch.manual_seed(1)
        maker = trainer(trainer.Params(), 1)
        sizes = layout_of(series, 28, 56, series.days).sizes(32, 0.1)
        net = maker.net(sizes).train()
        past, future = torch.rand(_BATCH, sizes.lookback, sizes.past), torch.rand(_BATCH, sizes.horizon, sizes.future)
        static = torch.zeros(_BATCH, len(sizes.static), dtype=torch.int64)
        took = []
        for _ in range(_STEPS):
            begun = time.perf_counter()
            net(past, future, static).sum().backward()
            took.append(1_000 * (time.perf_counter() - begun))
        rows.append([name, sum(each.numel() for each in net.parameters()), statistics.median(took)])
    like = rows[-1][2]
    return {
        "title": f"Cost of a step: forward and backward of {_BATCH} windows",
        "columns": ["net", "learned numbers", "ms a step", "ratio to the perceptron"],
        "rows": [[*row, row[2] / like] for row in rows],
    }


def _cell(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({statistics.stdev(values):.3f})"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run(TRAINERS)
    else:
        main()
