"""The algorithm `mmoe`: several tasks from one row, each by its own blend of experts that all tasks share."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.protocols import Report
from shopkeeper.learning.onnx_forms import int8, open_session
from shopkeeper.learning.torch_needed import importing_torch, without_torch
from shopkeeper.recommend.multitask.heads import Head, fit_heads
from shopkeeper.recommend.multitask.inputs import fit_inputs
from shopkeeper.recommend.multitask.model import About, MultitaskModel, largest_difference, run
from shopkeeper.recommend.multitask.params import MultitaskParams
from shopkeeper.recommend.multitask.rows import TaskRows
from shopkeeper.recommend.multitask.tasks import check_labels

NEEDS_TORCH = without_torch("the algorithm mmoe needs")
_SAMPLE = 5000
TOLERANCE = 1e-3


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


Layers = Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=4096)], ...], msgspec.Meta(min_length=1, max_length=8)]


class Mmoe:
    """A chance or an amount for each task. Texts get vectors of their own, numbers are spread out over their quantiles
    (`inputs.py`); a gate for each task weighs experts that all tasks share (`net.py`). No task drowns another, whatever
    it is measured in: each loss counts in units of its naive one, by a weight that is learned (`fitting.py`). Serves as
    an ONNX graph, without torch.
    """

    name: ClassVar[str] = "mmoe"
    family: ClassVar[str] = "multitask"
    description: ClassVar[str] = (
        "Mixture of experts with a gate for each task (MMoE): clicks, watch time, money at once"
    )
    tags: ClassVar[tuple[str, ...]] = ("multitask", "ranking", "tabular", "neural")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[MultitaskModel]] = MultitaskModel
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}
    brief: ClassVar[dict[str, Any]] = {"epochs": 8, "batch_size": 64, "embedding": 4, "spans": 8, "learning_rate": 4e-3}

    class Params(MultitaskParams, kw_only=True):
        epochs: Annotated[int, _about("Passes at most", ge=1, le=10_000)] = 50
        batch_size: Annotated[int, _about("Rows of a step", ge=1, le=1_000_000)] = 32
        experts: Annotated[int, _about("Experts that all tasks share", ge=1, le=256)] = 4
        expert_layers: Annotated[Layers, _about("Widths of an expert's layers")] = (64, 32)
        tower_layers: Annotated[Layers, _about("Widths of the layers that each task has for itself")] = (32, 16)
        embedding: Annotated[int, _about("Numbers of a text's vector", ge=1, le=512)] = 16
        spans: Annotated[int, _about("Quantiles over which a number is spread out", ge=1, le=256)] = 16
        dropout: Annotated[float, _about("Share of what is heard that is left out while learning", ge=0, lt=1)] = 0.1
        learning_rate: Annotated[float, _about("Step of AdamW", gt=0, le=1)] = 1e-3
        weight_decay: Annotated[float, _about("Pull of all weights towards 0", ge=0, le=10)] = 1e-4
        patience: Annotated[int, _about("Passes without a gain on later rows before it stops", ge=1, le=10_000)] = 5
        minutes: Annotated[float, _about("Minutes after which learning ends", gt=0, le=10_000)] = 10.0
        balance: Annotated[
            Literal["uncertainty", "equal"],
            _about("uncertainty: a task counts the more, the less is left of its loss (learned); equal: all the same"),
        ] = "uncertainty"
        goals: Annotated[
            dict[str, Annotated[float, msgspec.Meta(ge=-1000, le=1000)]],
            _about("What counts when it ranks, a weight for each task; empty: the first task alone"),
        ] = msgspec.field(default_factory=dict)
        int8: Annotated[bool, _about("Serve with weights of a byte; what that costs stands among the measures")] = False

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: TaskRows, report: Report) -> MultitaskModel:
        """Raises Unavailable without torch, Invalid (`bad_label`, `bad_task`, `diverged`), Cancelled."""
        with importing_torch(NEEDS_TORCH):
            import torch

            from shopkeeper.recommend.multitask.fitting import Pace, Part, learn
            from shopkeeper.recommend.multitask.net import Answer, Net, Plan, graph_of
        p = self.params
        _check_goals(p.goals, [task.name for task in data.tasks])
        taught, later = data.stopping(self.seed)
        values, weight = data.rows.schema.standardise(data.rows.values), data.rows.weight
        check_labels(data.tasks, data.labels[taught], weight[taught], "to learn from")
        heads = fit_heads(data.tasks, data.labels[taught], weight[taught])
        inputs = fit_inputs(data.rows.schema, values[taught], p.spans)
        plan = Plan(p.experts, p.expert_layers, p.tower_layers, p.embedding, p.dropout)
        pace = Pace(
            epochs=p.epochs,
            batch=p.batch_size,
            learning_rate=p.learning_rate,
            weight_decay=p.weight_decay,
            patience=p.patience,
            minutes=p.minutes,
            uncertainty=p.balance == "uncertainty",
        )
        learned, check = (Part.of(values[at], data.labels[at], weight[at]) for at in (taught, later))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = Net(plan, inputs, heads)
            best_epoch = learn(net, heads, learned, check, pace, self.seed, report)
        answer = Answer(net, heads).eval()
        graph = graph_of(answer, values.shape[1])
        rows = np.ascontiguousarray(values[:: max(1, len(values) // _SAMPLE)])
        with torch.no_grad():
            told = answer(torch.from_numpy(rows)).numpy()
        difference = _difference(graph, rows, told, heads)
        if not difference <= TOLERANCE:
            raise Unavailable(f"the graph answers otherwise than the net, by {difference:.3g}", code="no_form")
        about = About(heads=heads, goals=p.goals, best_epoch=best_epoch, onnx_max_difference=difference)
        if p.int8:
            graph = _in_bytes(graph, rows)
            about = msgspec.structs.replace(about, int8_max_difference=_difference(graph, rows, told, heads))
        return MultitaskModel(graph, data.rows.schema, about)


def _difference(graph: bytes, rows: NDArray[np.float32], told: NDArray[np.float32], heads: Sequence[Head]) -> float:
    return largest_difference(heads, told, run(open_session(graph), rows))


def _in_bytes(graph: bytes, rows: NDArray[np.float32]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-") as name:
        source, target = Path(name, "float.onnx"), Path(name, "int8.onnx")
        source.write_bytes(graph)
        int8(source, target, rows)
        return target.read_bytes()


def _check_goals(goals: Mapping[str, float], names: Sequence[str]) -> None:
    if unknown := [name for name in goals if name not in names]:
        raise Invalid(
            f"goals weigh {unknown[0]!r}, which is no task; there are: {', '.join(names)}",
            code="bad_task",
            field="goals",
        )
