"""What early signals tell of an order within a week, learned from a shop's log: weights for the map of rewards.

A pair is a user and an item; it begins with the first signal between them, and its early signals are those within a
day from then and before the first order. A logistic regression on them says what each adds to the chance of an order
by the same user of the same item; that many orders is its weight, on the scale on which a purchase is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.core.learning import SignalWeight, TunedRewards
from shopkeeper.quality.classification import auc
from shopkeeper.recommend.feedback import REWARDS
from shopkeeper.recommend.rewards.signals import SIGNALS, STANDS_FOR

DAYS = 7
EARLY_HOURS = 24.0
LEAST_PAIRS = 50
"""With fewer pairs a kind is left out; with fewer orders nothing is said at all."""
_LEAST_ORDERS = 30
_RIDGE = 1.0
_HELD_OUT = 0.2
_VALUED = frozenset({"rating", "dwell", "scroll"})

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """`odds` (k + 1,) the last being that of every row, `errors` (k + 1,) of them."""

    odds: Floats
    errors: Floats

    def chances(self, rows: Floats) -> Floats:
        """(n, k) -> (n,)"""
        return _sigmoid(rows @ self.odds[:-1] + self.odds[-1])


def tuned(
    events: EventBatch, types: Sequence[str], *, days: int = DAYS, early_hours: float = EARLY_HOURS
) -> TunedRewards:
    """`events` in order of time; `types` names their type rows. Raises Invalid (`no_data`) for a log that says too
    little: fewer than 30 orders after an early signal, or none within the newest fifth of the pairs."""
    pairs = _pairs(events, types, days, early_hours)
    seen = (pairs.rows != 0).sum(axis=0)
    kept = np.flatnonzero(seen >= LEAST_PAIRS)
    orders = int(pairs.ordered.sum())
    cut = len(pairs.ordered) - int(len(pairs.ordered) * _HELD_OUT)
    later = pairs.ordered[cut:]
    if orders < _LEAST_ORDERS or not len(kept) or not later.any() or later.all():
        raise Invalid(
            f"the log is too short to tell: {orders} orders of what had a signal before, {len(pairs.ordered)} pairs of "
            f"user and item; expected {_LEAST_ORDERS} orders, some of them late, and a kind of signal with "
            f"{LEAST_PAIRS} pairs",
            code="no_data",
        )
    rows = pairs.rows[:, kept]
    names = [pairs.kinds[at] for at in kept]
    table = np.array([_table(name) or 0.0 for name in names])
    early = fitted(rows[:cut], pairs.ordered[:cut])
    found = fitted(rows, pairs.ordered)
    return TunedRewards(
        days=days,
        early_hours=early_hours,
        pairs=len(pairs.ordered),
        orders=orders,
        base_rate=orders / len(pairs.ordered),
        auc=auc(later, early.chances(rows[cut:])),
        table_auc=auc(later, rows[cut:] @ table),
        signals=[_told(name, at, rows, pairs.ordered, found) for at, name in enumerate(names)],
    )


def fitted(rows: Floats, label: Floats) -> Fitted:
    """Logistic regression with a small penalty, by Newton's steps; rows (n, k), label (n,) 0 or 1."""
    x = np.column_stack([rows, np.ones(len(rows))])
    penalty = np.full(x.shape[1], _RIDGE)
    penalty[-1] = 1e-9
    odds, hessian = np.zeros(x.shape[1]), np.eye(x.shape[1])
    for _ in range(50):
        p = _sigmoid(x @ odds)
        slope = x.T @ (p - label) + penalty * odds
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, slope)
        odds = odds - step / max(1.0, float(np.abs(step).max()) / 4.0)
        if np.abs(step).max() < 1e-8:
            break
    return Fitted(odds, np.sqrt(np.diag(np.linalg.inv(hessian))))


def _told(name: str, at: int, rows: Floats, label: Floats, found: Fitted) -> SignalWeight:
    there = rows[:, at] != 0
    without = rows[there].copy()
    without[:, at] = 0.0
    strength = float(np.abs(rows[there, at]).mean())
    adds = float((found.chances(rows[there]) - found.chances(without)).mean()) / strength
    return SignalWeight(
        kind=name,
        seen=int(there.sum()),
        ordered=int(label[there].sum()),
        odds=float(found.odds[at]),
        error=float(found.errors[at]),
        weight=max(-1.0, min(1.0, adds)),
        table=_table(name),
    )


def _table(kind: str) -> float | None:
    """What the map gives for one; what goes by a value counts as the highest."""
    name = STANDS_FOR.get(kind, kind)
    return (REWARDS[name] if REWARDS[name] is not None else 1.0) if name in REWARDS else None


@dataclass(frozen=True)
class _Pairs:
    """In order of their beginning: `rows` (n, k) how strong each of `kinds` was early on (0: it was not), `ordered`
    (n,) 0 or 1."""

    kinds: list[str]
    rows: Floats
    ordered: Floats


def _pairs(events: EventBatch, types: Sequence[str], days: int, early_hours: float) -> _Pairs:
    events = events.take((events.user >= 0) & (events.item >= 0) & ~(events.quantity < 0))
    kinds = [kind for kind in SIGNALS if kind != "order"]
    column = np.array([kinds.index(name) if name in kinds else -1 for name in types], dtype=np.int64)
    bought = np.array([name == "order" for name in types], dtype=np.bool_)
    events = events.take((column[events.type] >= 0) | bought[events.type])
    if not len(events):
        return _Pairs(kinds, np.zeros((0, len(kinds))), np.zeros(0))
    pair = np.unique(np.column_stack([events.user, events.item]), axis=0, return_inverse=True)[1].ravel()
    signal, n = column[events.type], int(pair.max()) + 1
    far = np.iinfo(np.int64).max
    began, first_order = np.full(n, far), np.full(n, far)
    np.minimum.at(began, pair[signal >= 0], events.time[signal >= 0])
    orders = np.flatnonzero(bought[events.type])
    # An order counts that comes after the first signal; what was bought before has not been told of by it.
    after = orders[events.time[orders] > began[pair[orders]]]
    np.minimum.at(first_order, pair[after], events.time[after])
    early = (signal >= 0) & (events.time <= began[pair] + round(early_hours * HOUR)) & (events.time < first_order[pair])
    valued = np.array([kind in _VALUED for kind in kinds])[np.maximum(signal, 0)]
    strength = np.where(valued, np.clip(np.nan_to_num(events.value, nan=0.0), 0.0, 1.0), 1.0)
    rows = np.zeros((n, len(kinds)))
    np.maximum.at(rows, (pair[early], signal[early]), strength[early])
    whole = (began < far) & (began + days * DAY <= int(events.time.max()))
    order = np.flatnonzero(whole)[np.argsort(began[whole], kind="stable")]
    ordered = ((first_order < far) & (first_order <= began + days * DAY))[order]
    return _Pairs(kinds, rows[order], ordered.astype(np.float64))


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -35.0, 35.0)))
    return found
