"""Recall on past weeks of the bundled shop: every channel alone and what it adds to the fusion, beside peers."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph_peers import vectors
from benchmarks.suggest_channels import ADDED, Answer, Past, Rows, beside, stacked, without
from benchmarks.suggest_quality import written
from benchmarks.suggest_ranker import SEEDS, midnight, spread
from benchmarks.suggest_recall import WEEKS, raw_home
from shopkeeper import plugins
from shopkeeper.bootstrap import open_shop
from shopkeeper.core.protocols import Metrics, TrainingContext, silent
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.recall.family import MOST_USERS
from shopkeeper.recommend.recall.holdout import UserCase, cases_at, graded
from shopkeeper.recommend.recall.model import best
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.scenarios import BUILT_IN
from shopkeeper.sources.retail import ZONE

MODELS: dict[str, dict[str, Any]] = {
    "popularity": {},
    "item_knn": {},
    "ease": {},
    "als": {},
    "sasrec": {"epochs": 20},
}
LIVE = ("trending", "again", "due", "together", "new", "content", "similar")
_HOME, _CONTENT = (
    tuple(each for each in BUILT_IN[name].recall if each.channel != "graph") for name in ("home", "content")
)
_MEASURES = ("recall@20", "ndcg@10", "recall@200", "new_recall@20", "new_ndcg@10", "new_recall@200")
_PEERS = {
    "implicit's ALS": ("als", {"dim": 64, "alpha": 1.0, "decay": 10.0, "epochs": 15}),
    "implicit's BPR": ("bpr", {"dim": 64, "decay": 0.01, "rate": 0.05, "epochs": 100}),
}
_PROTOCOL = (
    "UCI Online Retail with its raw times; the Mondays of `bench-suggest`, the same customers and targets: models are "
    "fitted anew on the orders before, targets are the distinct items that each returning customer ordered within the "
    "seven days after; all items, and items that the customer never ordered before (`new_`: then what was ordered "
    "before is not shown). Mean over customers, then mean (standard deviation) over the five weeks. Everything is for "
    "sale and nothing rests. Fused are the scenarios home (all items) and content (new items) in the order of recall, "
    "without a ranker and without the graph. **Alone**: the best 200 of one channel. **What a channel adds**: the "
    "fusion with it less the fusion without it, over the same customers; a channel that the scenario does not name is "
    f"given {ADDED.quota} places with weight {ADDED.weight:g}. Settings are the algorithms' own defaults, but for "
    "sasrec's 20 passes; those of the peers for this shop are those of `bench-graph-quality` (ALS) and untried "
    "ones (BPR). item_knn, ease and popularity had their defaults chosen on weeks that lie between these."
)


def main() -> None:
    """`--weeks=N`: only the first N."""

    def tables() -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
            shop = open_shop(raw_home(Path(folder)))
            source = TrainingContext(
                shop.home.path, shop.home.sql_url, {"kind": "shop"}, shop.clock.now(), ZONE, SEEDS[0], ""
            )
            return _tables(Past(shop, source))

    written("suggest_retail", "Channels of recall on the bundled shop", _PROTOCOL, tables, [])


def _tables(past: Past) -> list[dict[str, Any]]:
    weeks = WEEKS[: next((int(one.split("=")[1]) for one in sys.argv if one.startswith("--weeks=")), len(WEEKS))]
    alone, added = dict[str, list[Metrics]](), dict[str, list[Metrics]]()
    for week in weeks:
        for name, metrics in _week(past, week, added).items():
            alone.setdefault(name, []).append(metrics)
            print(week, name, {key: round(metrics[key], 4) for key in _MEASURES}, flush=True)
    rows = [[name, *(_cell([one[key] for one in runs]) for key in _MEASURES)] for name, runs in alone.items()]
    more = [
        [
            name,
            "yes" if name in {each.channel for each in _HOME} else "",
            *(_cell([one[key] * 100 for one in runs]) for key in _MEASURES),
        ]
        for name, runs in added.items()
    ]
    return [
        {"title": f"Each list alone, {len(weeks)} weeks", "columns": ["list", *_MEASURES], "rows": rows},
        {
            "title": "What a channel adds to the fusion, in hundredths",
            "columns": ["channel", "in home", *_MEASURES],
            "rows": more,
        },
    ]


def _week(past: Past, week: str, added: dict[str, list[Metrics]]) -> dict[str, Metrics]:
    cutoff, end = midnight(week), midnight(date.fromisoformat(week) + timedelta(days=7))
    past.until(cutoff)
    orders, ids = past.log.orders(), past.log.item_ids
    cases = cases_at(orders, cutoff, end, most=MOST_USERS, seed=SEEDS[0])
    data = RecallData(orders.between(None, cutoff), cutoff)
    channels = past.channels({name: fitted(name, data) for name in MODELS})
    names = [*MODELS, *LIVE]
    # Windows that take a moment are asked for the one just before.
    answers = [past.ask(channels, names, case.user, cutoff - 1) for case in cases]

    def shown(lists: Callable[[Answer, bool], Rows]) -> Metrics:
        both = [stacked([lists(answer, new) for answer in answers]) for new in (False, True)]
        return graded(both[0], both[1], cases, len(ids))

    def fused(home: Sequence[Quota], content: Sequence[Quota]) -> Metrics:
        return shown(lambda answer, new: answer.fused(content if new else home, new=new))

    found = {name: shown(lambda answer, new, name=name: answer.alone(name, new=new)) for name in names}
    found["fused: home, content"] = whole = fused(_HOME, _CONTENT)
    for name in names:
        inside = name in {each.channel for each in _HOME}
        other = fused(*((without if inside else beside)(each, name) for each in (_HOME, _CONTENT)))
        sign = 1 if inside else -1
        added.setdefault(name, []).append({key: sign * (whole[key] - other[key]) for key in _MEASURES})
    for name, (peer, settings) in _PEERS.items():
        pairs = data.orders.pairs()
        sizes = int(pairs.user.max()) + 1, len(ids)
        users, items, _ = vectors(peer, (pairs.user, pairs.item), sizes, SEEDS[0], settings)
        found[name] = _of_vectors(users, items, cases)
    return found


def fitted(name: str, data: RecallData) -> Any:
    trainer = plugins.algorithm(name)
    return trainer(trainer.Params(**MODELS[name]), SEEDS[0]).fit(data, silent)


def _of_vectors(users: Any, items: Any, cases: Sequence[UserCase]) -> Metrics:
    lists: dict[bool, list[Rows]] = {False: [], True: []}
    for case in cases:
        scores = items @ users[case.user]
        scores = scores - scores.min() + 1e-6
        for new, kept in lists.items():
            if new:
                scores[case.items] = 0
            kept.append(best(scores.astype(np.float32), 200))
    return graded(stacked(lists[False]), stacked(lists[True]), tuple(cases), len(items))


def _cell(values: Sequence[float]) -> Any:
    return spread(values) if len(values) > 1 else values[0]


if __name__ == "__main__":
    main()
