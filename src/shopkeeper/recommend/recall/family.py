"""Recall models: rows from the shop's orders, a time split, recall@k beside popularity and item-kNN."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import DAY, rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.quality import gate
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.holdout import RecallHoldout, cases_at, measure
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.model import RecallModel, best
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.shoplog import read_shop

HOLDOUT_DAYS = 7
MOST_USERS = 2000
_GOLDEN_USERS = 5


class RecallFamily:
    """Trains on the orders before the last week, measures on that week."""

    name: ClassVar[str] = "recall"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid when the source is not the shop's log or holds no orders."""
        del params
        kind = context.source.get("kind", "shop")
        if kind != "shop":
            raise Invalid(
                f"recall models learn from the shop's own orders, not from source kind {kind!r}", field="kind"
            )
        shop = read_shop(context, report)
        orders = shop.orders()
        cutoff = cutoff_of(orders, HOLDOUT_DAYS)
        train = RecallData(orders.between(None, cutoff), cutoff)
        cases = cases_at(orders, cutoff, None, most=MOST_USERS, seed=context.seed)
        holdout = RecallHoldout(orders.item_ids, cases, _baselines(train, cases, report))
        facts = {
            "rows": len(train.orders),
            "from": rfc3339(int(orders.time[0])),
            "to": rfc3339(cutoff),
            "holdout_users": len(cases),
            "holdout_days": HOLDOUT_DAYS,
            "fingerprint": shop.fingerprint(),
        }
        return TrainingData(train, holdout, _golden(train), facts)

    def evaluate(self, model: RecallModel, holdout: RecallHoldout) -> Metrics:
        """`recall@20` ... with repeat purchases, `new_...` without; `naive_` all-time popularity, `knn_` item-kNN."""
        return {**measure(model, holdout.item_ids, holdout.cases), **holdout.naive}

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        rules = [gate.AtLeast("recall@20", 0.98), gate.AtLeast("new_recall@20", 0.98)]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: RecallModel, golden: Any) -> list[float]:
        """The five best scores for each golden user."""
        place = {id: at for at, id in enumerate(model.item_ids)}
        outputs: list[float] = []
        for ids in golden["users"]:
            items = np.array([place[id] for id in ids if id in place], dtype=np.int32)
            scores = model.scores(items, np.ones(len(items), dtype=np.float32))
            top = best(scores, 5)
            outputs += [float(value) for value in np.pad(scores[top], (0, 5 - len(top)))]
        return outputs


def cutoff_of(orders: Orders, days: float) -> int:
    """The moment before which models train: `days` before the last order, or 4/5 of a shorter history."""
    first, last = int(orders.time[0]), int(orders.time[-1])
    return max(last - int(days * DAY), first + (last - first) * 4 // 5) + 1


def _baselines(train: RecallData, cases: tuple[Any, ...], report: Report) -> Metrics:
    report(0, 2, message="measuring the baselines")
    ids = train.orders.item_ids
    naive = measure(count(train.orders, train.now, None), ids, cases)
    report(1, 2, message="measuring the baselines")
    knn = measure(ItemKnn(ItemKnn.Params(), 0).fit(train, _quiet(report)), ids, cases)
    return {**{f"naive_{k}": v for k, v in naive.items()}, **{f"knn_{k}": v for k, v in knn.items()}}


def _quiet(report: Report) -> Report:
    """Passes on nothing but the wish to stop: a baseline's steps are not the job's."""

    def inner(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del step, of, metrics, message, epoch
        report(1, 2, message="measuring the baselines")

    return inner


def _golden(train: RecallData) -> dict[str, Any]:
    pairs = train.orders.pairs()
    users = np.unique(pairs.user)[-_GOLDEN_USERS:]
    ids = train.orders.item_ids
    return {"users": [[ids[i] for i in pairs.item[pairs.user == user][-20:]] for user in users]}
