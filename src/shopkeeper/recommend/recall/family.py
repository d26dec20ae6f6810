"""Recall models: rows from the shop's orders, a time split, recall@k beside popularity and item-kNN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import DAY, rfc3339
from shopkeeper.core.protocols import EmbedsUsers, Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.quality import gate
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.holdout import RecallHoldout, cases_at, measure
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.model import RecallModel, best
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.table_lines import table_lines
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.recall.traits import readable, usual
from shopkeeper.recommend.shoplog import read_shop, read_traits

HOLDOUT_DAYS = 7
MOST_USERS = 2000
_GOLDEN_USERS = 5
_FEWEST_ALIKE = 5


class RecallFamily:
    """Trains on the orders before the last week, measures on that week."""

    name: ClassVar[str] = "recall"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Source kinds: `shop` (the log, the default) and every kind of table (`table_lines.py`). Raises Invalid when
        there are no orders."""
        del params
        if context.source.get("kind", "shop") != "shop":
            return _of_table(context, report)
        shop = read_shop(context, report)
        orders = shop.orders()
        cutoff = cutoff_of(orders, HOLDOUT_DAYS)
        before = orders.between(None, cutoff)
        users, items = (readable(said) for said in read_traits(context, before.user))
        train = RecallData(before, cutoff, users, items)
        cases = cases_at(orders, cutoff, None, most=MOST_USERS, seed=context.seed)
        cases = tuple(replace(case, traits=users.get(case.user)) for case in cases)
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
        """The five best scores for each golden user; the first numbers of their vectors, where the model gives some."""
        place = {id: at for at, id in enumerate(model.item_ids)}
        outputs: list[float] = []
        for ids in golden["users"]:
            items = np.array([place[id] for id in ids if id in place], dtype=np.int32)
            scores = model.scores(items, np.ones(len(items), dtype=np.float32))
            top = best(scores, 5)
            outputs += [float(value) for value in np.pad(scores[top], (0, 5 - len(top)))]
        if isinstance(model, EmbedsUsers):
            for features in golden.get("features", ()):
                outputs += model.user_embedding(features, None)[:5]
        return outputs


def _of_table(context: TrainingContext, report: Report) -> TrainingData:
    train, cases, facts = table_lines(context.source, context.zone, context.seed, report)
    holdout = RecallHoldout(train.orders.item_ids, cases, _baselines(train, cases, report))
    return TrainingData(train, holdout, _golden(train), facts)


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
    """Histories of a few users, and what is said most often of users: of nobody in particular."""
    pairs = train.orders.pairs()
    users = np.unique(pairs.user)[-_GOLDEN_USERS:]
    ids = train.orders.item_ids
    histories = [[ids[i] for i in pairs.item[pairs.user == user][-20:]] for user in users]
    return {"users": histories, "features": [{}, usual(train.users.values(), least=_FEWEST_ALIKE)]}
