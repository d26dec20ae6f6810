"""Cold start: what is suggested to somebody of whom three interactions are known, beside what is popular."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.suggest_channels import Answer, Past, Rows
from benchmarks.suggest_lists import interval
from benchmarks.suggest_protocols import NEVER, Task, p1
from benchmarks.suggest_quality import written
from benchmarks.suggest_ranker import SEEDS, midnight
from benchmarks.suggest_recall import raw_home
from shopkeeper import plugins
from shopkeeper.bootstrap import open_shop
from shopkeeper.core.clock import DAY
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.recommend.asking import Question
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.history import History
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.scenarios import BUILT_IN
from shopkeeper.sources.retail import ZONE

KNOWN, K, DAYS = 3, 20, 28
CUTOFFS = ("2011-08-01", "2011-08-29", "2011-09-26", "2011-10-24")
_NEXT = 20
_MODELS: dict[str, dict[str, Any]] = {"popularity": {}, "item_knn": {}, "ease": {}, "als": {}}
_FILMS: dict[str, dict[str, Any]] = {
    "popularity": {"half_life_days": NEVER},
    "item_knn": {"half_life_days": NEVER, "k": 200},
    "ease": {"half_life_days": NEVER, "l2": 500.0, "k": 500},
    "als": {"half_life_days": None, "dimensions": 64, "sweeps": 8, "alpha": 0.3, "l2": 0.003},
}
_CONTENT = tuple(each for each in BUILT_IN["content"].recall if each.channel != "graph")
_FUSED = tuple(Quota(name, 100, 1.0) for name in ("ease", "als", "item_knn"))
_PROTOCOL = (
    f"Somebody of whom {KNOWN} interactions are known gets {K} items that are none of these; recall@{K} of what is "
    "taken afterwards, mean over people with the 95 % interval of resampled people, and the same of the difference "
    "from popularity, person by person. **Online Retail**: customers whose first order lies in the "
    f"{DAYS} days after a cutoff ({', '.join(CUTOFFS)}); known are the first three distinct items in order of their "
    f"lines, wanted all else they order within {DAYS} days of the first line, the same basket included; models and "
    "live windows end at the cutoff and have never seen them. Fused is the scenario content without the graph and "
    "without a ranker. Settings are defaults. **MovieLens-1M**: every fifth user is not learned from; known are the "
    f"first three movies in the order of P1, wanted the next {_NEXT}. Settings are those of `bench-suggest-p2` or "
    "near, not chosen for this; nothing trends there, so content is fused without it."
)


@dataclass(frozen=True)
class Newcomer:
    """Item rows: `known` newest first."""

    known: Rows
    wanted: Rows


def main() -> None:
    written("suggest_cold", "Cold start after three interactions", _PROTOCOL, lambda: [_shop(), _films()], [])


def _shop() -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        shop = open_shop(raw_home(Path(folder)))
        source = TrainingContext(
            shop.home.path, shop.home.sql_url, {"kind": "shop"}, shop.clock.now(), ZONE, SEEDS[0], ""
        )
        past = Past(shop, source)
        for cutoff in CUTOFFS:
            _cut(past, midnight(cutoff), found)
    return _table("Online Retail", {name: np.array(values) for name, values in found.items()})


def _cut(past: Past, cutoff: int, found: dict[str, list[float]]) -> None:
    past.until(cutoff)
    orders = past.log.orders()
    data = RecallData(orders.between(None, cutoff), cutoff)
    channels = past.channels({name: _fitted(name, settings, data) for name, settings in _MODELS.items()})
    names = [*_MODELS, "trending", "content", "together"]
    lists: dict[str, Callable[[Answer], Rows]] = {
        name: (lambda answer, name=name: answer.alone(name, new=True)) for name in names
    }
    lists["fused: content"] = lambda answer: answer.fused(_CONTENT, new=True)
    lists["fused: ease, als, item_knn"] = lambda answer: answer.fused(_FUSED, new=True)
    for one in _newcomers(past, cutoff):
        history, scores = History(one.known, np.zeros(KNOWN), np.ones(KNOWN, dtype=np.int32)), {}
        for name in names:
            asked = channels.find(name, Question(-1, cutoff - 1))
            if asked is not None:
                scores[name] = asked.channel.scores(history, cutoff - 1, len(past.log.item_ids))
        _note(found, Answer(scores, one.known, len(past.log.item_ids)), lists, one.wanted)


def _newcomers(past: Past, cutoff: int) -> list[Newcomer]:
    orders = past.log.orders()
    known = np.unique(orders.between(None, cutoff).user)
    later = orders.between(cutoff, cutoff + 2 * DAYS * DAY)
    people = []
    for user in np.setdiff1d(later.user, known).tolist():
        mine = later.user == user
        items, times = later.item[mine], later.time[mine]
        items = items[times < times[0] + DAYS * DAY]
        _, first = np.unique(items, return_index=True)
        distinct = items[np.sort(first)]
        if times[0] < cutoff + DAYS * DAY and len(distinct) > KNOWN:
            people.append(Newcomer(distinct[:KNOWN][::-1], distinct[KNOWN:]))
    return people


def _films() -> dict[str, Any]:
    whole = p1(tuning=False)
    seen = [rows for user, rows in enumerate(whole.rows) if user % 5]
    task: Task = replace(whole, rows=seen)
    asks = {name: _fitted(name, settings, task.data()) for name, settings in _FILMS.items()}
    lists: dict[str, Callable[[Answer], Rows]] = {
        name: (lambda answer, name=name: answer.alone(name, new=True)) for name in asks
    }
    lists["fused: content"] = lambda answer: answer.fused(_CONTENT, new=True)
    lists["fused: ease, als, item_knn"] = lambda answer: answer.fused(_FUSED, new=True)
    found: dict[str, list[float]] = {}
    for rows in whole.rows[::5]:
        known, wanted = rows[:KNOWN][::-1].astype(np.int32), rows[KNOWN : KNOWN + _NEXT].astype(np.int32)
        scores = {name: _scores(model, known, whole.n_items) for name, model in asks.items()}
        _note(found, Answer(scores, known, whole.n_items), lists, wanted)
    return _table("MovieLens-1M", {name: np.array(values) for name, values in found.items()})


def _scores(model: Any, known: Rows, n_items: int) -> NDArray[np.float32]:
    rows = np.array([int(one) for one in model.item_ids], dtype=np.int64)
    place = np.full(n_items, -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    items = place[known][place[known] >= 0]
    result = np.zeros(n_items, dtype=np.float32)
    result[rows] = model.scores(items, np.ones(len(items), dtype=np.float32))
    return result


def _fitted(name: str, settings: dict[str, Any], data: RecallData) -> Any:
    trainer = plugins.algorithm(name)
    return trainer(trainer.Params(**settings), SEEDS[0]).fit(data, silent)


def _note(
    found: dict[str, list[float]], answer: Answer, lists: Mapping[str, Callable[[Answer], Rows]], wanted: Rows
) -> None:
    for name, listed in lists.items():
        hits = np.isin(listed(answer)[:K], wanted).sum()
        found.setdefault(name, []).append(float(hits / len(wanted)))


def _table(title: str, found: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    base = found["popularity"]
    rows: Sequence[list[Any]] = [
        [name, interval(values), "" if name == "popularity" else interval(values - base)]
        for name, values in found.items()
    ]
    print(title, len(base), *rows, sep="\n", flush=True)
    return {
        "title": f"{title}, {len(base):,} people",
        "columns": ["list", f"recall@{K}", "above popularity"],
        "rows": list(rows),
    }


if __name__ == "__main__":
    main()
