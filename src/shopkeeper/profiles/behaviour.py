"""The fields of how users behave: each computed for one user and for many by the same code, so that they agree."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.purchases import Purchases
from shopkeeper.features.trails import Trail
from shopkeeper.profiles.anomalies import activity_surprise, order_surprise, quiet_again
from shopkeeper.profiles.categories import CategoryLines, category_lines
from shopkeeper.profiles.churn.customers import customers_of, next_hour
from shopkeeper.profiles.churn.model import ChurnModel
from shopkeeper.profiles.surroundings import CHURN_MODEL, Surroundings
from shopkeeper.rules.columns import Column
from shopkeeper.rules.vectors import MapColumn, Numbers, TextColumn

STEPPING: Final = ("activity_surprise", "churn_risk")
"""Fields that change by the clock alone; `Behaviour.until` says when. Windows of sessions do too."""


class Behaviour:
    """Columns (n,) of the users of a trail."""

    def __init__(self, trail: Trail, surroundings: Surroundings | None) -> None:
        self.trail = trail
        self.surroundings = surroundings

    def column(self, name: str, days: float | None = None) -> Column:
        """A field of `fields.BEHAVIOUR` but `cluster`, or its window."""
        match name:
            case "sessions":
                return self.trail.sessions(days)
            case "session_minutes":
                return self.trail.session_minutes()
            case "order_surprise":
                return order_surprise(self.trail)
            case "activity_surprise":
                return activity_surprise(self.trail)
            case "churn_risk":
                return self.churn_risk()
            case "preferred_category":
                none = np.full(len(self.trail), -1, dtype=np.int32)
                return TextColumn(none, ()) if self._lines is None else self._lines.preferred()
            case "category_share":
                return MapColumn({}, len(self.trail)) if self._lines is None else self._lines.shares()
        raise KeyError(name)

    def until(self, name: str) -> NDArray[np.int64]:
        """When (us) a field of `STEPPING` may next change without an event (n,)."""
        return next_hour(self.trail) if name == "churn_risk" else quiet_again(self.trail)

    def churn_risk(self) -> Numbers:
        """NaN for who has not ordered, and while no churn model serves."""
        out = np.full(len(self.trail), np.nan)
        model = None if self.surroundings is None else self.surroundings.champion(CHURN_MODEL)
        if not isinstance(model, ChurnModel):
            return out
        customers, bought = customers_of(self.trail)
        out[bought] = model.risk(customers.take(bought))
        return out

    @cached_property
    def _lines(self) -> CategoryLines | None:
        beside = self.surroundings
        if beside is None or beside.catalog is None:
            return None
        return category_lines(self.trail, beside.features.part(Purchases), beside.catalog)
