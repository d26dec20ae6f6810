"""The fields that rules and segments read: what every shop has, and what its users' attributes add."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.surroundings import Shelf, Surroundings
from shopkeeper.rules.schema import Field, Schema, writable
from shopkeeper.rules.tree import Type

DAY_HOURS = 24
WINDOWS = (1, 24, *(days * DAY_HOURS for days in (7, 14, 30, 60, 90, 180, 365)))
"""Hours. Events are kept one by one, so each window is exact to the event."""
MOST_ATTRIBUTES = 200

MEASURES = (
    Field("total_events", "number", "events", "events of every type", WINDOWS),
    Field("orders", "number", "orders", "baskets: distinct times at which something was ordered", WINDOWS),
    Field("order_lines", "number", "lines", "order events, one for each product of a basket", WINDOWS),
    Field("distinct_items", "number", "items", "different products ordered", WINDOWS),
    Field("pieces", "number", "pieces", "pieces ordered", WINDOWS),
    Field("spend", "number", "currency", "value of the orders", WINDOWS),
    Field("returned", "number", "currency", "value sent back, not negative", WINDOWS),
)
FACTS = (
    Field("user_id", "text"),
    Field("event_counts", "map", "events", "events by type; .get('click', 0)", WINDOWS),
    Field("last_event_at", "number", "seconds", "time of the last event, seconds since 1970"),
    Field("days_since_event", "number", "days", "days since the last event; missing without one"),
    Field("days_since_order", "number", "days", "days since the last order; missing without one"),
    Field("tenure_days", "number", "days", "days since the first event; missing without one"),
)
DERIVED = (
    Field("net_spend", "number", "currency", "spend minus returned"),
    Field("average_order", "number", "currency", "spend / orders; missing without an order"),
    Field("return_rate", "number", "share", "returned / spend; missing without an order"),
    Field("days_between_orders", "number", "days", "mean from first event to last order; missing below two orders"),
    Field("recency_score", "number", "1-5", "quintile of days_since_order among customers, 5 = most recent"),
    Field("frequency_score", "number", "1-5", "quintile of orders among customers, 5 = most"),
    Field("monetary_score", "number", "1-5", "quintile of net_spend among customers, 5 = most"),
    Field("rfm", "text", "", "the three scores as digits: '555' is best"),
    Field("lifecycle", "text", "", "prospect, new, active, cooling, lapsed or lost"),
)
BEHAVIOUR = (
    Field("sessions", "number", "sessions", "visits; one ends after 30 minutes without an event", WINDOWS),
    Field("session_minutes", "number", "minutes", "mean length of the sessions; missing without one"),
    Field("preferred_category", "text", "", "the category with most order lines"),
    Field("category_share", "map", "share", "share of the order lines by category; .get('Mugs', 0)"),
    Field("order_surprise", "number", "deviations", "last order against the earlier ones; missing below 5 orders"),
    Field("activity_surprise", "number", "", "-log10 of the chance of so busy a day; 0 when not unusual"),
    Field("churn_risk", "number", "0-1", "chance that the customer has left for good; missing without an order"),
    Field("cluster", "text", "", "name of the customers who behave alike; missing without an order"),
)
STANDARD = (*FACTS, *MEASURES, *DERIVED, *BEHAVIOUR)


class ProfileSchema(Schema):
    """Fields, and what else than a user's own events and record they are read from; None: such fields are missing."""

    def __init__(self, fields: Iterable[Field], surroundings: Surroundings | None = None) -> None:
        super().__init__(fields)
        self.surroundings = surroundings

    def within(self, features: FeatureState, catalog: Shelf) -> ProfileSchema:
        """The same fields, read from another state and other items."""
        beside = self.surroundings
        other = copy.copy(self)
        other.surroundings = None if beside is None else replace(beside, features=features, catalog=catalog)
        return other


def schema_of(
    attributes: Iterable[Mapping[str, Any]], extra: Iterable[Field] = (), surroundings: Surroundings | None = None
) -> ProfileSchema:
    """The standard fields, then `extra`, then what the users' attributes hold. A name taken earlier stays as it is."""
    fields = {field.name: field for field in (*STANDARD, *extra)}
    found = {**{f.name: f for f in attribute_fields(attributes) if f.name not in fields}}
    return ProfileSchema([*fields.values(), *found.values()], surroundings)


def attribute_fields(attributes: Iterable[Mapping[str, Any]]) -> list[Field]:
    """A field for each of the most frequent names that a rule can write, of the type that most users have there."""
    kinds: dict[str, Counter[Type]] = {}
    for entry in attributes:
        for name, value in entry.items():
            if (kind := _kind(value)) is not None:
                kinds.setdefault(name, Counter())[kind] += 1
    usable = [name for name in kinds if writable(name)]
    usable.sort(key=lambda name: (-kinds[name].total(), name))
    return [Field(name, kinds[name].most_common(1)[0][0], "", "attribute") for name in sorted(usable[:MOST_ATTRIBUTES])]


def _kind(value: Any) -> Type | None:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "map" if isinstance(value, dict) else None
