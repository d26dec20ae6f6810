"""Families of what rules and activity numbers read: the groups in which a score is explained.

A rule belongs to the family of most of the fields that it reads; a tie goes to the family that stands first here.
Attributes of the shop's own, and any field that is not named here, are `attributes`.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

FAMILIES: dict[str, tuple[str, ...]] = {
    "spending": ("spend", "net_spend", "average_order", "monetary_score", "returned", "return_rate"),
    "orders": (
        "orders",
        "order_lines",
        "distinct_items",
        "pieces",
        "frequency_score",
        "order_surprise",
        "preferred_category",
        "category_share",
    ),
    "recency": (
        "days_since_event",
        "days_since_order",
        "days_between_orders",
        "last_event_at",
        "tenure_days",
        "recency_score",
        "lifecycle",
        "rfm",
        "churn_risk",
    ),
    "activity": ("total_events", "event_counts", "sessions", "session_minutes", "activity_surprise", "cluster"),
    "attributes": (),
}
_OF = {field: family for family, fields in FAMILIES.items() for field in fields}

_MADE_OF = {
    "new within 30 days": "tenure_days",
    "has a rhythm": "days_between_orders",
    "silence in rhythm": "days_between_orders",
    "due by rhythm": "days_between_orders",
}

TERMS = ("short term", "long term", "rhythm")
SHORT_DAYS = 30
"""Windows up to this long are the short term."""


@lru_cache(maxsize=4096)
def family_of(fields: frozenset[str]) -> str:
    """The family of a rule by the fields that it reads, windows included; of none: attributes."""
    found = Counter(_OF.get(_plain(field), "attributes") for field in fields)
    return max(FAMILIES, key=lambda family: found[family]) if found else "attributes"


def term_of(field: str) -> str:
    """What an activity number says: the last days, a longer time, or when and how regularly."""
    if _OF.get(_plain(field)) == "recency":
        return "rhythm"
    _, windowed, span = field.partition(" in ")
    return "short term" if windowed and _days(span) <= SHORT_DAYS else "long term"


def field_of(number: str) -> str:
    """The profile field that an activity number of the fusion is made of: `log spend` -> spend."""
    first, _, rest = number.partition(" ")
    if first == "log":
        return rest
    if number.endswith(" fresh"):
        return f"days_since_{first}"
    return _MADE_OF.get(number, number)


def _plain(field: str) -> str:
    """`orders in 30 days` -> orders."""
    return field.partition(" in ")[0]


def _days(span: str) -> float:
    """`30 days` -> 30; `1 hour` -> 1/24."""
    count, unit = span.split(" ")
    return int(count) / 24 if unit.startswith("hour") else int(count)
