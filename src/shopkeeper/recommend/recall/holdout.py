"""What users took after the cutoff, and how well a recall model sees it coming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.protocols import Metrics
from shopkeeper.quality import ranking
from shopkeeper.recommend.orders import Orders, freshness
from shopkeeper.recommend.recall.model import ReadsTraits, RecallModel, best

K = 20
K_NDCG = 10
CANDIDATES = 200


@dataclass(frozen=True)
class UserCase:
    """One user (row) at the cutoff: distinct items taken before (newest first) with their age, and after; `traits`:
    what is said of the user, for models that read it."""

    user: int
    items: NDArray[np.int32]
    age_days: NDArray[np.float64]
    taken: NDArray[np.int32]
    traits: Mapping[str, Any] | None = None

    @property
    def new(self) -> NDArray[np.int32]:
        """What was taken for the first time."""
        return np.setdiff1d(self.taken, self.items)


@dataclass(frozen=True)
class RecallHoldout:
    """Users who bought both before and after the cutoff. `naive` are measures of plain baselines on the same users."""

    item_ids: tuple[str, ...]
    cases: tuple[UserCase, ...]
    naive: Metrics


def cases_at(orders: Orders, cutoff: int, end: int | None, *, most: int, seed: int) -> tuple[UserCase, ...]:
    """At most `most` users, drawn by `seed`, who bought before the cutoff and in [cutoff, end)."""
    before = orders.between(None, cutoff).pairs()
    after = orders.between(cutoff, end).pairs()
    users = np.intersect1d(before.user, after.user)
    if len(users) > most:
        users = np.sort(np.random.default_rng(seed).choice(users, most, replace=False))
    return tuple(_case(int(user), before, after, cutoff) for user in users)


def measure(model: RecallModel, item_ids: tuple[str, ...], cases: tuple[UserCase, ...]) -> Metrics:
    """Recall@20, NDCG@10, hit@10 and recall@200 of the next purchases, and of those never bought before (`new_`).

    The model ranks its whole vocabulary; for `new_` what the user has bought is taken out, as a shop would show it.
    """
    to_model, to_shop = _maps(model.item_ids, item_ids)
    everything = np.full((len(cases), CANDIDATES), -1, dtype=np.int32)
    unseen = everything.copy()
    for row, case in enumerate(cases):
        known = to_model[case.items]
        weights = freshness(case.age_days, model.half_life_days)
        scores = _asked(model, case, known[known >= 0], weights[known >= 0])
        _put(everything[row], to_shop[best(scores, CANDIDATES)])
        scores[known[known >= 0]] = 0
        _put(unseen[row], to_shop[best(scores, CANDIDATES)])
    return graded(everything, unseen, cases, len(item_ids))


def graded(
    everything: NDArray[np.int32], unseen: NDArray[np.int32], cases: tuple[UserCase, ...], n_items: int
) -> Metrics:
    """The measures of `measure` for lists of shop rows, int32 (len(cases), CANDIDATES), -1 where a list ended.

    `everything` is shown where repeats are welcome, `unseen` where they are not.
    """
    taken = [case.taken for case in cases]
    new = [case.new for case in cases]
    return {
        f"recall@{K}": ranking.recall_at(everything, taken, K),
        f"recall@{CANDIDATES}": ranking.recall_at(everything, taken, CANDIDATES),
        f"ndcg@{K_NDCG}": ranking.ndcg_at(everything, taken, K_NDCG),
        f"hit@{K_NDCG}": ranking.hit_at(everything, taken, K_NDCG),
        f"new_recall@{K}": ranking.recall_at(unseen, new, K),
        f"new_recall@{CANDIDATES}": ranking.recall_at(unseen, new, CANDIDATES),
        f"new_ndcg@{K_NDCG}": ranking.ndcg_at(unseen, new, K_NDCG),
        f"new_hit@{K_NDCG}": ranking.hit_at(unseen, new, K_NDCG),
        f"coverage@{K}": ranking.coverage_at(unseen, n_items, K),
    }


def _asked(
    model: RecallModel, case: UserCase, items: NDArray[np.int32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    if case.traits is not None and isinstance(model, ReadsTraits):
        return model.scores_for(case.traits, items, weights)
    return model.scores(items, weights)


def _case(user: int, before: Orders, after: Orders, cutoff: int) -> UserCase:
    mine = np.flatnonzero(before.user == user)[::-1]
    return UserCase(
        user=user,
        items=before.item[mine],
        age_days=(cutoff - before.time[mine]) / DAY,
        taken=np.unique(after.item[after.user == user]),
    )


def _maps(model_ids: tuple[str, ...], shop_ids: tuple[str, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(shop item -> model item, model item -> shop item); -1: not known to the other."""
    place = {id: at for at, id in enumerate(shop_ids)}
    to_shop = np.array([place.get(id, -1) for id in model_ids], dtype=np.int32)
    to_model = np.full(len(shop_ids), -1, dtype=np.int32)
    both = np.flatnonzero(to_shop >= 0)
    to_model[to_shop[both]] = both
    return to_model, to_shop


def _put(row: NDArray[np.int32], items: NDArray[np.int32]) -> None:
    row[: len(items)] = items
