"""Models of several tasks: rows from a table or from the shop's log, each task measured beside its naive baseline."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.features.versions import active_names
from shopkeeper.quality import classification, gate
from shopkeeper.recommend.multitask.model import MultitaskModel
from shopkeeper.recommend.multitask.params import MultitaskParams
from shopkeeper.recommend.multitask.rows import TaskRows
from shopkeeper.recommend.multitask.shop_rows import shop_rows
from shopkeeper.recommend.multitask.table_rows import table_rows
from shopkeeper.recommend.shoplog import read_shop

_NAIVE = "naive_"


class MultitaskFamily:
    """Source kinds: `shop` (the log, the default) and every kind of table (`sources/tables`)."""

    name: ClassVar[str] = "multitask"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid for a source that says nothing of the tasks."""
        wanted = params if isinstance(params, MultitaskParams) else MultitaskParams()
        kind = context.source.get("kind", "shop")
        if kind == "served":
            raise Invalid(
                "models of several tasks learn from the shop's log or from a table, not from served vectors, which say "
                "only what was taken",
                field="kind",
            )
        if kind == "shop":
            return self._shop(context, wanted, report)
        train, held, facts = table_rows(context.source, context.zone, context.seed, wanted, report)
        return TrainingData(train, held, {"rows": held.rows.golden()}, facts)

    def _shop(self, context: TrainingContext, params: MultitaskParams, report: Report) -> TrainingData:
        shop = read_shop(context, report)
        if not params.features:
            params = msgspec.structs.replace(params, features=list(active_names(context.sql_url)))
        train, held, split = shop_rows(shop, ZoneInfo(context.zone), params, context.seed, report)
        facts = {
            "rows": len(train),
            "holdout_rows": len(held),
            "tasks": msgspec.to_builtins(train.tasks),
            "from": rfc3339(split.start),
            "to": rfc3339(split.cutoff),
            "holdout_to": rfc3339(split.end),
            "fingerprint": shop.fingerprint(),
        }
        return TrainingData(train, held, {"rows": held.rows.golden()}, facts)

    def evaluate(self, model: MultitaskModel, holdout: TaskRows) -> Metrics:
        """`TASK_auc`, `TASK_log_loss` ... of a chance, `TASK_rmse`, `TASK_mae`, `TASK_bias` (what was said over what
        came, less 1) of an amount; `naive_...`: the held-out rows' own rate or mean for all of them.

        A model is measured in the tasks that the rows have labels for.
        """
        said = model.answers(holdout.rows.seen_by(model.schema))
        place = {name: at for at, name in enumerate(model.output_names)}
        metrics: Metrics = {}
        for at, task in enumerate(holdout.tasks):
            if task.name not in place:
                continue
            known = np.isfinite(holdout.labels[:, at])
            told, label = said[known, place[task.name]], holdout.labels[known, at]
            metrics |= _chance(task.name, label, told) if task.kind == "binary" else _amount(task.name, label, told)
        metrics["onnx_max_difference"] = model.about.onnx_max_difference
        if model.about.int8_max_difference is not None:
            metrics["int8_max_difference"] = model.about.int8_max_difference
        return metrics

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """Every task by itself: AUC >= 0.99 x champion and log-loss <= 1.01 x champion, or RMSE <= 1.01 x champion;
        none may lose to its naive baseline."""
        rules: list[gate.Rule] = []
        for name in candidate:
            if name.startswith(_NAIVE):
                continue
            if name.endswith("_auc"):
                rules.append(gate.AtLeast(name, 0.99))
            elif name.endswith(("_log_loss", "_rmse")):
                rules += [gate.AtMost(name, 1.01), gate.Beats(name, _NAIVE + name, higher=False)]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: MultitaskModel, golden: Any) -> list[float]:
        rows = model.schema.encode(golden["rows"], told=False)
        outputs: list[float] = [*model.answers(rows).ravel().tolist(), *model.score(rows).tolist()]
        return outputs


def _chance(name: str, label: NDArray[np.float32], said: NDArray[np.float32]) -> Metrics:
    rate = np.full(len(label), label.mean() if len(label) else 0.0)
    return {
        f"{name}_auc": classification.auc(label, said),
        f"{name}_log_loss": classification.logloss(label, said),
        f"{name}_calibration_error": classification.calibration_error(label, said),
        f"{name}_base_rate": float(rate[0]) if len(rate) else 0.0,
        f"{_NAIVE}{name}_auc": 0.5,
        f"{_NAIVE}{name}_log_loss": classification.logloss(label, rate),
    }


def _amount(name: str, label: NDArray[np.float32], said: NDArray[np.float32]) -> Metrics:
    came, told = label.astype(np.float64), said.astype(np.float64)
    mean = float(came.mean())
    return {
        f"{name}_rmse": float(np.sqrt(np.mean((told - came) ** 2))),
        f"{name}_mae": float(np.mean(np.abs(told - came))),
        f"{name}_mean": mean,
        f"{name}_bias": float(told.mean() / mean - 1) if mean else float("nan"),
        f"{_NAIVE}{name}_rmse": float(np.std(came)),
        f"{_NAIVE}{name}_mae": float(np.mean(np.abs(came - mean))),
    }
