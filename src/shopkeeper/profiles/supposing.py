"""Where a user stands, and where the same user would stand in another state of the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shopkeeper.core.records import Segment
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.fields import ProfileSchema
from shopkeeper.profiles.fusing import Fuser
from shopkeeper.profiles.people import Person, customers_among
from shopkeeper.profiles.rfm import moments
from shopkeeper.profiles.scale import ScaleKeeper
from shopkeeper.profiles.scores import Scores
from shopkeeper.profiles.sources import Many, One
from shopkeeper.profiles.surroundings import Shelf
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.stores.consents import ConsentStore


@dataclass(frozen=True)
class Standing:
    """`scores` as in a profile; `segments` by name."""

    scores: dict[str, Any]
    segments: list[str]


@dataclass(frozen=True)
class Suppose:
    """What does not depend on the state that is supposed. `scale` has the RFM bounds of now."""

    schema: ProfileSchema
    segments: Mapping[str, tuple[Segment, Condition]]
    scores: Scores
    scale: ScaleKeeper
    consents: ConsentStore | None

    def standing(
        self, person: Person, features: FeatureState, shelf: Shelf, fuser: Fuser, now: int, wall: int
    ) -> Standing:
        """As the profile's scores and the segment tracker would say it, had the events of `features` come.

        Nothing is kept. `fuser` has the items of the shelf.
        """
        schema = self.schema.within(features, shelf)
        rows = np.array([person.row], dtype=np.int64)
        many = ProfileTable(schema, Many.some(features, rows, now), [person])
        counted = bool(customers_among([person], many.number("total_events") > 0, self.consents)[0])
        orders = float(many.number("orders")[0]) if counted else 0.0
        last = float(moments(many.number("days_since_order"), now)[0])
        scale = self.scale.with_one(person.row, last, orders, float(many.number("net_spend")[0]), wall)
        many.scale = scale
        columns = many.columns()
        held = [name for name, (_, condition) in self.segments.items() if counted and bool(condition.many(columns)[0])]
        one = ProfileTable(schema, One(features, person.row, now), [person], scale)
        return Standing(self.scores.within(features, fuser).of(person.row, one), sorted(held))
