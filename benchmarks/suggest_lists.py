"""Lists of ten for the cases of a protocol, their measures for each user, and intervals by the bootstrap over users."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.suggest_protocols import Case, Task
from shopkeeper.recommend.candidates import Quota, fuse
from shopkeeper.recommend.recall.model import RecallModel

Scores = NDArray[np.float32]
Ask = Callable[[Case], Scores]
"""Scores (n_items,) of all items for a case."""
K = 10
_DRAWS = 1000
_DISCOUNT = 1 / np.log2(np.arange(2, K + 2))


@dataclass(frozen=True)
class Found:
    """For each case (n,): whether one of the wanted stands in the first ten, NDCG@10, recall@10."""

    hit: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    recall: NDArray[np.float64]

    def cells(self) -> list[str]:
        return [interval(self.hit), interval(self.ndcg), interval(self.recall)]


def measured(task: Task, ask: Ask) -> Found:
    rows = [_case(case, ask(case)) for case in task.cases]
    return Found(*(np.array(column) for column in zip(*rows, strict=True)))


def ranks(task: Task, ask: Ask) -> NDArray[np.int64]:
    """(n,) how many are shown before the wanted one of each case, which is one; a tie and no score count against it."""
    found = []
    for case in task.cases:
        scores = ask(case).copy()
        scores[case.hidden] = -np.inf
        own = scores[case.wanted[0]]
        found.append(int((scores >= own).sum()) - 1 if np.isfinite(own) else len(scores))
    return np.array(found)


def together(runs: Sequence[Found]) -> Found:
    """The mean over seeds, for each user."""
    return Found(*(np.mean([getattr(run, key) for run in runs], axis=0) for key in ("hit", "ndcg", "recall")))


def interval(values: NDArray[np.float64], seed: int = 1) -> str:
    """Mean and the 95 % interval of resampled users."""
    low, high = bounds(values, seed)
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def bounds(values: NDArray[np.float64], seed: int = 1) -> tuple[float, float]:
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def of_model(model: RecallModel, n_items: int) -> Ask:
    """A model of the house, asked as a shop asks it: with a history, newest first, weighted by its age."""
    rows = np.array([int(one) for one in model.item_ids], dtype=np.int64)
    place = np.full(n_items, -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    half = model.half_life_days

    def ask(case: Case) -> Scores:
        items = place[case.known]
        age = np.arange(len(items)) if half is not None else np.zeros(len(items))
        weights = np.exp2(-age / (half or 1.0)).astype(np.float32)
        result = np.full(n_items, -np.inf, dtype=np.float32)
        result[rows] = model.scores(items[items >= 0], weights[items >= 0])
        return result

    return ask


def of_vectors(users: Scores, items: Scores) -> Ask:
    return lambda case: items @ users[case.user]


def of_fused(asks: dict[str, tuple[Ask, float]], n_items: int) -> Ask:
    """The pipeline's own fusion by places; `asks` name the channels with their weights."""
    quotas = tuple(Quota(name, 200, weight) for name, (_, weight) in asks.items())

    def ask(case: Case) -> Scores:
        allowed = np.zeros(n_items, dtype=np.bool_)
        allowed[slice(None) if case.choices is None else case.choices] = True
        if case.choices is None:
            allowed[case.hidden] = False
        # A channel's scores count from 0: those of a softmax or an inner product are moved there, in order.
        scores = {name: _above_zero(one(case), allowed) for name, (one, _) in asks.items()}
        found = fuse(scores, quotas, allowed, 200)
        result = np.full(n_items, -np.inf, dtype=np.float32)
        result[found.items] = found.fused
        return result

    return ask


def _above_zero(scores: Scores, allowed: NDArray[np.bool_]) -> Scores:
    finite = scores[allowed & np.isfinite(scores)]
    low = float(finite.min()) if len(finite) else 0.0
    return np.where(np.isfinite(scores), scores - low + 1e-6, 0).astype(np.float32)


def timed(task: Task, ask: Ask) -> tuple[Found, float]:
    """The measures, and milliseconds a case."""
    began = time.perf_counter()
    found = measured(task, ask)
    return found, (time.perf_counter() - began) / len(task.cases) * 1000


def _case(case: Case, scores: Scores) -> tuple[float, float, float]:
    if case.choices is not None:
        # Ties go against the model.
        (wanted,) = case.wanted
        others = scores[case.choices[case.choices != wanted]]
        rank = int((others >= scores[wanted]).sum())
        inside = float(rank < K)
        return inside, inside / np.log2(rank + 2), inside
    shown = scores.copy()
    shown[case.hidden] = -np.inf
    # The wanted are put last before sorting, so that ties go against the model here, too.
    best = np.argpartition(-shown, K + len(case.wanted))[: K + len(case.wanted) + 1]
    late = np.isin(best, case.wanted)
    best = best[np.lexsort((late, -shown[best]))][:K]
    hits = np.isin(best, case.wanted) & np.isfinite(shown[best])
    most = min(K, len(case.wanted))
    return float(hits.any()), float((hits * _DISCOUNT).sum() / _DISCOUNT[:most].sum()), hits.sum() / len(case.wanted)
