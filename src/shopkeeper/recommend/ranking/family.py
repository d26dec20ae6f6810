"""Rankers: as-of rows from the shop's log or rows of a table, a split by time, AUC, log-loss, GAUC and NDCG@10."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.features.versions import active_names
from shopkeeper.learning.tabular import Schema
from shopkeeper.quality import classification, gate
from shopkeeper.quality.ranking import grouped_ndcg
from shopkeeper.recommend.online.rows import snapshot_rows
from shopkeeper.recommend.ranking.asof import ranking_rows
from shopkeeper.recommend.ranking.model import Ranker, TwoForms, schema_of
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import Lists, RankRows
from shopkeeper.recommend.ranking.served_rows import served_rows
from shopkeeper.recommend.ranking.table_rows import table_rows
from shopkeeper.recommend.ranking.trees import TreeRanker
from shopkeeper.recommend.shoplog import read_shop

K = 10


class RankingFamily:
    """Source kinds: `shop` (the log, the default), `served` (what rankers saw when they served), `online` (a snapshot
    of the model's online learner) and every kind of table (`sources/tables`)."""

    name: ClassVar[str] = "ranking"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        wanted = params if isinstance(params, RankingParams) else RankingParams()
        if context.source.get("kind", "shop") == "shop":
            return self._shop(context, wanted, report)
        if context.source.get("kind") == "served":
            train, held = served_rows(context)
            seen = hashlib.sha256(train.values.tobytes() + train.label.tobytes()).hexdigest()
            counts: dict[str, Any] = {"rows": len(train), "holdout_rows": len(held), "fingerprint": seen}
            return TrainingData(train, held, {"rows": held.golden()}, counts)
        if context.source.get("kind") == "online":
            learned, held, facts = snapshot_rows(context)
            return TrainingData(learned, held, {"rows": held.golden()}, facts)
        train, held, facts = table_rows(context.source, context.zone, context.seed, wanted, report)
        return TrainingData(train, held, {"rows": held.golden()}, facts)

    def _shop(self, context: TrainingContext, params: RankingParams, report: Report) -> TrainingData:
        shop = read_shop(context, report)
        if not params.features:
            params = msgspec.structs.replace(params, features=list(active_names(context.sql_url)))
        train, held, split = ranking_rows(shop, ZoneInfo(context.zone), params, context.seed, report)
        facts = {
            "rows": len(train),
            "holdout_rows": len(held),
            "from": rfc3339(split.start),
            "to": rfc3339(split.cutoff),
            "holdout_to": rfc3339(split.end),
            "fingerprint": shop.fingerprint(),
        }
        return TrainingData(train, held, {"rows": held.golden()}, facts)

    def evaluate(self, model: Ranker, holdout: RankRows) -> Metrics:
        """`naive_`: the base rate for probabilities, the fused recall order for lists. `new_`: never bought before.

        `gauc` where rows have a group; `onnx_max_difference` where a model has a graph beside what it learned as;
        `int8_` (or `float32_`) of the form with other weights, where a model has one that does not answer.
        """
        rows = holdout.seen_by(schema_of(model))
        said = model.score(rows)
        label = holdout.label
        rate = np.full(len(label), label.mean() if len(label) else 0.0)
        metrics = {
            "auc": classification.auc(label, said),
            "log_loss": classification.logloss(label, said),
            "brier": classification.brier(label, said),
            "calibration_error": classification.calibration_error(label, said),
            "base_rate": float(rate[0]) if len(rate) else 0.0,
            "naive_auc": 0.5,
            "naive_log_loss": classification.logloss(label, rate),
        }
        if holdout.group is not None:
            metrics["gauc"] = classification.grouped_auc(label, said, holdout.group)
        if (difference := getattr(model, "onnx_max_difference", None)) is not None:
            metrics["onnx_max_difference"] = float(difference)
        if isinstance(model, TwoForms):
            metrics |= _beside(model.score_by_other(rows), said, label, f"{model.other_form}_")
        lists = holdout.lists
        if lists is None:
            return metrics
        metrics["naive_auc"] = classification.auc(label, lists.fused)
        return {**metrics, **_listed(said, label, lists, ""), **_listed(lists.fused, label, lists, "naive_")}

    def told_and_true(self, model: Ranker, holdout: RankRows) -> tuple[Sequence[float], Sequence[float]]:
        return model.score(holdout.seen_by(schema_of(model))).tolist(), holdout.label.tolist()

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        return gate.ranking(candidate, champion)

    def probe(self, model: Ranker, golden: Any) -> list[float]:
        """Of a model with two forms both: few golden rows would ask only the one that answers small requests."""
        schema = getattr(model, "schema", None)
        if not isinstance(schema, Schema):
            return [float(value) for value in model.score_rows(golden["rows"])]
        rows = schema.encode(golden["rows"], told=False)
        outputs: list[float] = model.score(rows).tolist()
        if isinstance(model, TreeRanker) and model.form is not None:
            outputs += model.native(schema.standardise(rows)).tolist()
        return outputs


def _beside(other: NDArray[np.float32], said: NDArray[np.float32], label: NDArray[np.float32], prefix: str) -> Metrics:
    return {
        f"{prefix}auc": classification.auc(label, other),
        f"{prefix}log_loss": classification.logloss(label, other),
        f"{prefix}max_difference": float(np.max(np.abs(other - said), initial=0.0)),
    }


def _listed(score: NDArray[np.float32], label: NDArray[np.float32], lists: Lists, prefix: str) -> Metrics:
    new = lists.unseen
    return {
        f"{prefix}ndcg@{K}": grouped_ndcg(score, label, lists.number, K, lists.wanted),
        f"{prefix}new_ndcg@{K}": grouped_ndcg(score[new], label[new], lists.number[new], K, lists.wanted_unseen[new]),
    }
