"""Recall on past weeks: what each list would have proposed on a Monday, and what was ordered until the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.suggest_ranker import SEEDS, midnight, spread
from shopkeeper import plugins
from shopkeeper.core.protocols import Metrics, TrainingContext, silent
from shopkeeper.core.records import Version
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.draft import Wish
from shopkeeper.recommend.pipeline import Pipeline
from shopkeeper.recommend.recall.family import MOST_USERS
from shopkeeper.recommend.recall.holdout import CANDIDATES, K, UserCase, cases_at, graded, measure
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.recommend.shoplog import ShopLog, read_shop
from shopkeeper.settings import Settings
from shopkeeper.stores.home import Home
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabulary

WEEKS = ("2011-09-26", "2011-10-03", "2011-10-17", "2011-10-31", "2011-11-14")
_MODELS = ("popularity", "item_knn", "ease")
_MEASURES = ("recall@20", "ndcg@10", "hit@10", "new_recall@20", "new_ndcg@10", "new_hit@10")
_TRENDING = Scenario("trending", (Quota("trending", CANDIDATES),))
_AGAIN = BUILT_IN["reorder"]


def recall_tables(source: TrainingContext) -> list[dict[str, Any]]:
    """The mean over the weeks, and each week."""
    log = read_shop(source, silent)
    state = FeatureState(ZoneInfo(source.zone), log.types)
    found: dict[str, list[Metrics]] = {}
    heads = []
    done = 0
    for week in WEEKS:
        end = int(np.searchsorted(log.events.time, midnight(week)))
        state.apply(log.events.take(slice(done, end)))
        done = end
        customers, measured = _week(log, state, week)
        heads.append(f"{week} ({customers} customers)")
        for name, metrics in measured.items():
            found.setdefault(name, []).append(metrics)
        print(week, {name: round(metrics["ndcg@10"], 3) for name, metrics in measured.items()}, flush=True)
    mean = [[name, *(spread([one[key] for one in weeks]) for key in _MEASURES)] for name, weeks in found.items()]
    each = [
        [name, *(f"{one['ndcg@10']:.3f} / {one['new_ndcg@10']:.3f}" for one in weeks)] for name, weeks in found.items()
    ]
    return [
        {"title": "Recall of the next week's orders", "columns": ["list", *_MEASURES], "rows": mean},
        {"title": "NDCG@10 of each week, all items / new items", "columns": ["list", *heads], "rows": each},
    ]


def _week(log: ShopLog, state: FeatureState, week: str) -> tuple[int, dict[str, Metrics]]:
    """How many customers, and how well each list saw their orders coming. `state` holds what lies before the week."""
    cutoff, end = midnight(week), midnight(date.fromisoformat(week) + timedelta(days=7))
    orders, ids = log.orders(), log.item_ids
    cases = cases_at(orders, cutoff, end, most=MOST_USERS, seed=SEEDS[0])
    past = RecallData(orders.between(None, cutoff), cutoff)
    models = {name: _default(name).fit(past, silent) for name in _MODELS}
    pipeline = Pipeline(state, Shelf(ids), Vocabulary(ids), Binder(ModelsInHand(models), ids))

    def shown(repeats: Scenario, new: Scenario) -> Metrics:
        everything, unseen = (_lists(pipeline, scenario, cases, cutoff) for scenario in (repeats, new))
        return graded(everything, unseen, cases, len(ids))

    return len(cases), {
        "popularity, all time": measure(count(past.orders, cutoff, None), ids, cases),
        "trending, lines of seven days": shown(_TRENDING, _new(_TRENDING)),
        "popularity": measure(models["popularity"], ids, cases),
        "buy again": shown(_AGAIN, _new(_AGAIN)),
        "item_knn": measure(models["item_knn"], ids, cases),
        "ease": measure(models["ease"], ids, cases),
        "fused": shown(BUILT_IN["home"], BUILT_IN["content"]),
    }


def _new(scenario: Scenario) -> Scenario:
    return replace(scenario, filters=("sellable", "bought"))


def _lists(pipeline: Pipeline, scenario: Scenario, cases: Sequence[UserCase], cutoff: int) -> NDArray[np.int32]:
    """int32 (len(cases), CANDIDATES): candidates in fused order, -1 where a list ended.

    Nothing rests here, because the single models show what was bought yesterday, too.
    """
    rested = tuple(each for each in scenario.filters if not each.startswith("bought in"))
    unranked = replace(scenario, ranker=None, filters=rested)
    lists = np.full((len(cases), CANDIDATES), -1, dtype=np.int32)
    for row, case in enumerate(cases):
        # Windows that take a moment are asked for the one just before.
        slate = pipeline.run(Wish(case.user, cutoff - 1, K, unranked, deadline_ms=60_000))
        if slate.fallbacks:
            raise SystemExit(f"a slate of {scenario.name} is not whole: {slate.fallbacks}")
        items = slate.candidates.items[:CANDIDATES]
        lists[row, : len(items)] = items
    return lists


def raw_home(folder: Path) -> Settings:
    """A home that opens as the bundled shop with the times of 2010 and 2011, its clock standing still."""
    db = open_database(Home(folder).make().sql_url)
    try:
        meta = Meta(db)
        meta.set("shop.kind", "retail").result()
        meta.set("shop.shift_weeks", "0").result()
    finally:
        db.close()
    return Settings(home=folder, live_speed=0)


def _default(algorithm: str) -> Any:
    trainer = plugins.algorithm(algorithm)
    return trainer(trainer.Params(), SEEDS[0])


class Shelf:
    """A catalogue in which everything is for sale: nothing tells what was on sale in a past week."""

    def __init__(self, ids: Sequence[str]) -> None:
        n = len(ids)
        self.version = 1
        self.ids = self.names = ids
        self.category: list[str | None] = [None] * n
        self.kind = ["product"] * n
        self.price = np.ones(n, dtype=np.float32)
        self.active = np.ones(n, dtype=np.bool_)

    def sellable(self) -> NDArray[np.bool_]:
        return self.active.copy()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class InHand:
    version: Version
    model: Any


class ModelsInHand:
    """Models that were just fitted, where a shop asks its registry."""

    def __init__(self, models: dict[str, Any]) -> None:
        self._held = {
            name: InHand(Version(model=name, scope="all", version=1, algorithm=name, status="ready"), model)
            for name, model in models.items()
        }

    def peek(self, model: str, _ref: str = "champion", _scope: str = "all") -> InHand | None:
        return self._held.get(model)

    def get(self, model: str, _ref: str = "champion", _scope: str = "all") -> InHand:
        return self._held[model]
