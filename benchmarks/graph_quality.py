"""How well the graph model foresees links, beside LightGCN, ALS, EASE and popularity."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks import record
from benchmarks.graph_peers import factors
from benchmarks.graph_sets import SETS, Cases, Links, cases
from benchmarks.suggest_ranker import SEEDS, spread
from shopkeeper.core.protocols import silent
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.build import Things, build
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.rows import GraphRows, inputs_of
from shopkeeper.profiles.graph.tables import NodeTable, table_of
from shopkeeper.profiles.graph.targets import Split, split_at
from shopkeeper.recommend.orders import freshness
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.model import RecallModel
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.training import RecallData

DAY = 86_400_000_000
TOLD_LATER = 0.1
FORM = {"temperature": 0.2, "epochs": 5}
"""What the door `operations/training/hgt` asks for when its form is left as it is."""
_MEASURES = ("recall@20", "ndcg@10", "auc", "coverage@20")
_PROTOCOL = (
    "MovieLens-1M: ratings of four stars or five, cut at 2000-12-30; Online Retail: lines of known "
    "customers, cut at 2011-11-11. What lies before the cut is given to every model, and people with links on both "
    "sides of it are asked for: what of that which they take for the first time stands among the first 20 (recall@20, "
    "mean over people; NDCG@10), out of all items that they have not taken (on MovieLens: not rated at all). AUC: each "
    "of these links against an item that the person never takes, drawn evenly, the same for all models, scores of all "
    "people in one list. **Shopkeeper HGT, defaults**: the registered algorithm as it is, a tenth of "
    "the links before the cut telling when to stop, vectors as of the cut; the row below it: as the form of its "
    "training door asks when nothing is filled in, and as a new shop trains its first. It reads attributes of people "
    "and items (age, gender, occupation, genres, year; country, price) and times. **LightGCN**: plain torch, "
    "BPR; **ALS**: implicit 0.7.3; **EASE** and **popularity**: ours. Settings of peers were chosen with "
    "logs cut four weeks earlier. One thread each. Mean (standard deviation) of three seeds; a number alone is of one."
)


@dataclass(frozen=True)
class Scored:
    """`scores` (people, items) and the seconds of the training."""

    scores: NDArray[np.float32]
    seconds: float


def main() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)
    begun, loads = time.perf_counter(), [os.getloadavg()[0]]
    tables = [_foreseen(name) for name in SETS]
    loads.append(os.getloadavg()[0])
    record.write(
        "graph_quality",
        "The graph model beside others",
        _PROTOCOL,
        tables,
        [
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[1]:.1f} at the end; the whole run took "
            f"{(time.perf_counter() - begun) / 60:.1f} minutes.",
        ],
    )


def _foreseen(name: str) -> dict[str, Any]:
    links = SETS[name]()
    asked = cases(links, links.cutoff, None)
    rows = []
    for model, runs in _models(links, asked).items():
        found = []
        for scored in runs:
            found.append({**asked.measures(scored.scores), "seconds": scored.seconds})
            print(name, model, {key: round(value, 4) for key, value in found[-1].items()}, flush=True)
        rows.append([model, *(_cell([one[key] for one in found]) for key in (*_MEASURES, "seconds"))])
    n = len(links.past(links.cutoff).pairs())
    title = (
        f"{name}: {n:,} pairs before the cut, {len(asked.users):,} people with {len(asked.good):,} new links after it"
    )
    return {"title": title, "columns": ["model", *_MEASURES, "seconds"], "rows": rows}


def _cell(values: Sequence[float]) -> Any:
    return values[0] if len(values) == 1 else spread(values)


def _models(links: Links, asked: Cases) -> dict[str, Iterable[Scored]]:
    end = links.cutoff
    return {
        "popularity, all time": [_counted(links, asked, None)],
        "popularity, half life 14 days": [_counted(links, asked, 14.0)],
        "EASE, defaults": [_eased(links, asked)],
        "ALS": (_inner(asked, *factors("als", links, end, seed)) for seed in SEEDS),
        "LightGCN": (_inner(asked, *factors("lightgcn", links, end, seed)) for seed in SEEDS[:1]),  # it takes minutes
        "Shopkeeper HGT, defaults": (transformed(links, asked, end, Hgt.Params(), seed) for seed in SEEDS),
        "Shopkeeper HGT, temperature 0.2, 5 epochs": (
            transformed(links, asked, end, Hgt.Params(**FORM), seed) for seed in SEEDS[:1]
        ),
    }


def _inner(asked: Cases, users: NDArray[np.float32], items: NDArray[np.float32], seconds: float) -> Scored:
    return Scored(users[asked.users] @ items.T, seconds)


def _counted(links: Links, asked: Cases, half_life: float | None) -> Scored:
    begun = time.process_time()
    model = count(links.past(links.cutoff), links.cutoff, half_life)
    return Scored(_recalled(model, links, asked, links.cutoff), time.process_time() - begun)


def _eased(links: Links, asked: Cases) -> Scored:
    begun = time.process_time()
    model = Ease(Ease.Params(), 1).fit(RecallData(links.past(links.cutoff), links.cutoff), silent)
    seconds = time.process_time() - begun
    return Scored(_recalled(model, links, asked, links.cutoff), seconds)


def _recalled(model: RecallModel, links: Links, asked: Cases, end: int) -> NDArray[np.float32]:
    pairs, place = links.past(end).pairs(), {id: at for at, id in enumerate(model.item_ids)}
    to_model = np.array([place.get(id, -1) for id in links.item_ids], dtype=np.int32)
    known = np.flatnonzero(to_model >= 0)
    scores = np.zeros((len(asked.users), len(links.items)), dtype=np.float32)
    for row, user in enumerate(asked.users.tolist()):
        mine = np.flatnonzero(pairs.user == user)
        taken, fresh = to_model[pairs.item[mine]], freshness((end - pairs.time[mine]) / DAY, model.half_life_days)
        scores[row, known] = model.scores(taken[taken >= 0], fresh[taken >= 0])[to_model[known]]
    return scores


def rows_of(links: Links, end: int) -> GraphRows:
    """As the family `graph` reads a shop whose log ends at `end`; its last links tell when to stop."""
    n = len(links.items)
    shop = build(
        links.events(end),
        n_users=len(links.users),
        things=Things(["product"] * n, links.category),
        types=[links.event],
    )
    ids = {"product": links.item_ids, **shop.names}
    tables = {"user": table_of(links.users), "product": table_of(links.items)}
    tables |= {name: NodeTable(len(names)) for name, names in shop.names.items()}
    cut = split_at(shop.graph, 1 - TOLD_LATER, 0.0).train_end
    return GraphRows(shop.graph, ids, tables, Split(cut, end, end))


def transformed(links: Links, asked: Cases, end: int, params: Hgt.Params, seed: int) -> Scored:
    rows = rows_of(links, end)
    begun = time.process_time()
    model = Hgt(params, seed).fit(rows, silent)
    seconds = time.process_time() - begun
    vectors = embed_all(model, rows.graph, inputs_of(model, rows.ids, rows.tables), end)
    return Scored(vectors["user"][asked.users] @ vectors["product"].T, seconds)


if __name__ == "__main__":
    main()
