"""A segment's condition as the tracker needs it: how to look, which fields move, and which events can touch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.kinds import Role
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.fields import STANDARD
from shopkeeper.rules.columns import Columns
from shopkeeper.rules.horizon import NEVER, Motion, Times, compile_horizon

_PURCHASES = frozenset(
    {
        "orders", "order_lines", "distinct_items", "pieces", "spend", "returned", "net_spend", "average_order",
        "return_rate", "recency_score", "frequency_score", "monetary_score", "rfm", "order_surprise", "churn_risk",
        "preferred_category", "category_share",
    }
)  # fmt: skip
"""Fields that only an order or a return changes."""
_EVENTS = frozenset(field.name for field in STANDARD) - {"user_id"}
_SALES = frozenset({Role.ORDER, Role.RETURN})

Answer: TypeAlias = "tuple[NDArray[np.bool_], NDArray[np.int64]]"
Look: TypeAlias = Callable[[Columns, Mapping[str, Motion], Times, Times], Answer]


@dataclass(frozen=True, eq=False)
class Watched:
    """`fields` without windows; `moving` with them: those that change by the clock."""

    condition: Condition
    look: Look
    fields: frozenset[str]
    moving: frozenset[str]

    def same(self, other: Condition) -> bool:
        """Whether it means the same."""
        return self.condition.tree == other.tree

    def touched_by(self, roles: frozenset[int]) -> bool:
        """Whether events of these roles can change the answer for somebody who was a customer before."""
        read = self.fields & _EVENTS
        return bool(read) if not roles.isdisjoint(_SALES) else bool(read - _PURCHASES)


def watched(condition: Condition, movable: frozenset[str]) -> Watched:
    fields = frozenset(name.partition(" in ")[0] for name in condition.fields)
    look = _nobody if condition.tree is None else compile_horizon(condition.tree, movable)
    return Watched(condition, look, fields, condition.fields & movable)


def _nobody(columns: Columns, _: Mapping[str, Motion], __: Times, ___: Times) -> Answer:
    return np.zeros(columns.n, dtype=np.bool_), np.full(columns.n, NEVER, dtype=np.int64)
