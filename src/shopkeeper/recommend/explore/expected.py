"""What a round is expected to bring, arm by arm: the model that doubly robust estimates lean on.

Rates of arms and of places on the page, drawn to the mean by as much as they are uncertain (empirical Bayes), and,
where rounds have a context, a ridge regression of what is left. A round is told by a model that did not learn from it,
nor from any round of its cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.explore.rows import Floats, Places, PolicyRows

FOLDS = 5
_RIDGE = 10.0
_ARM_RIDGE = 100.0
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Expected:
    """`arms` (k,) what an arm brings more than `mean`, `slots` (s,) a place on the page; `shared` (d,) what the
    contexts add for all arms and `own` (k, d) for each; `low`, `high` the bounds of what was seen."""

    mean: float
    arms: Floats
    slots: Floats
    low: float
    high: float
    shared: Floats | None = None
    own: Floats | None = None

    def of(self, pool: Places, slot: Places, context: Floats | None) -> Floats:
        """(n, m): of every arm of `pool` (n, m), -1 for none, in rounds at `slot` (n,) with `context` (n, d)."""
        place = np.minimum(slot, len(self.slots) - 1)
        found: Floats = self.mean + self.arms[pool] + self.slots[place][:, None]
        if self.shared is not None and self.own is not None and context is not None:
            found += (context @ self.shared)[:, None] + np.einsum("nmd,nd->nm", self.own[pool], context)
        return np.clip(found, self.low, self.high)


def fit(rows: PolicyRows) -> Expected:
    """Of n rounds, at least one."""
    k, mean = len(rows.arm_ids), float(rows.reward.mean())
    rest = rows.reward - mean
    arms = _effects(rows.arm, rest, k)
    rest = rest - arms[rows.arm]
    slots = _effects(rows.slot, rest, int(rows.slot.max()) + 1)
    rest = rest - slots[rows.slot]
    low, high = float(rows.reward.min()), float(rows.reward.max())
    if rows.context is None or rows.context.shape[1] < 2:
        return Expected(mean, arms, slots, low, high)
    shared = _ridge(rows.context, rest, _RIDGE)
    rest = rest - rows.context @ shared
    own = np.zeros((k, rows.context.shape[1]))
    for arm in np.unique(rows.arm).tolist():
        of_arm = rows.arm == arm
        own[arm] = _ridge(rows.context[of_arm], rest[of_arm], _ARM_RIDGE)
    return Expected(mean, arms, slots, low, high, shared, own)


@dataclass(frozen=True)
class CrossFitted:
    """A model for each fold, learned from the others; `fold` (n,) is that of each round."""

    models: tuple[Expected, ...]
    fold: NDArray[np.int64]

    def of(self, at: slice, pool: Places, slot: Places, context: Floats | None) -> Floats:
        """(n, m) as `Expected.of`, of the rounds `at`."""
        fold = self.fold[at]
        found = np.empty(pool.shape)
        for number in np.unique(fold).tolist():
            its = fold == number
            found[its] = self.models[number].of(pool[its], slot[its], None if context is None else context[its])
        return found


def cross_fitted(rows: PolicyRows, folds: int = FOLDS) -> CrossFitted:
    """Whole clusters are dealt into folds by their numbers. A single cluster is told by the mean of nothing: 0."""
    _, at = np.unique(rows.cluster, return_inverse=True)
    count = min(folds, int(at.max()) + 1)
    fold = _dealt(at, count)
    models = []
    for number in range(count):
        others = fold != number
        models.append(fit(rows.take(others)) if others.any() else _nothing(rows))
    return CrossFitted(tuple(models), fold)


def _nothing(rows: PolicyRows) -> Expected:
    return Expected(0.0, np.zeros(len(rows.arm_ids)), np.zeros(1), 0.0, 0.0)


def _dealt(cluster: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """(n,) a fold of each: mixed, so that none is a stretch of time, and of about equal sizes."""
    with np.errstate(over="ignore"):
        lot = np.arange(int(cluster.max()) + 1, dtype=np.uint64) * _ODD
    order = np.empty(len(lot), dtype=np.int64)
    order[np.argsort(lot, kind="stable")] = np.arange(len(lot)) % folds
    found: NDArray[np.int64] = order[cluster]
    return found


def _effects(group: Places, rest: Floats, size: int) -> Floats:
    """(size,) means of groups, drawn to 0: by the spread within over the spread between (method of moments)."""
    count = np.bincount(group, minlength=size).astype(np.float64)
    total = np.bincount(group, rest, minlength=size)
    mean = np.divide(total, count, out=np.zeros(size), where=count > 0)
    groups = int((count > 0).sum())
    if groups < 2 or len(rest) <= groups:
        return np.zeros(size)
    within = float((rest**2).sum() - (count * mean**2).sum()) / (len(rest) - groups)
    spare = len(rest) - float((count**2).sum()) / len(rest)
    between = (float((count * (mean - rest.mean()) ** 2).sum()) - (groups - 1) * within) / spare
    if between <= 0:
        return np.zeros(size)
    found: Floats = total / (count + within / between)
    return found


def _ridge(context: Floats, rest: Floats, strength: float) -> Floats:
    """Weights (d,) of contexts scaled to their own spread."""
    scale = np.maximum(np.sqrt((context**2).mean(axis=0)), 1e-12)
    scaled = context / scale
    gram = scaled.T @ scaled + strength * np.eye(context.shape[1])
    found: Floats = np.linalg.solve(gram, scaled.T @ rest) / scale
    return found
