"""What a simulated shop of a phone company begins with: its own rules and strategies, and segments of plan and habit
beside those that every shop has. Amounts are in the shop's currency a month."""

from __future__ import annotations

from collections.abc import Iterable

from shopkeeper.core.records import Rule, Segment
from shopkeeper.profiles.defaults import SEGMENTS, Defaults
from shopkeeper.profiles.fields import STANDARD
from shopkeeper.rules.defaults import (
    TELECOM_FIELDS,
    TELECOM_OTHERWISE,
    TELECOM_RULES,
    TELECOM_STRATEGIES,
    DefaultRule,
)

_COMPUTED = {field.name for field in STANDARD}


def _as_rules(defaults: Iterable[DefaultRule]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            name=one.name,
            weight=one.weight,
            condition=one.condition,
            description=one.description,
            action=one.action,
        )
        for one in defaults
    )


TELECOM = Defaults(
    rules=_as_rules(TELECOM_RULES),
    strategies=_as_rules(TELECOM_STRATEGIES),
    segments=(
        *SEGMENTS,
        Segment(name="premium_plan", condition="monthly_fee >= 250", description="pay 250 or more a month"),
        Segment(name="family_plan", condition="'family' in plan_type", description="have a plan for the family"),
        Segment(
            name="long_standing",
            condition="tenure_months >= 60 and total_events in 30 days >= 1",
            description="five years with us, and seen within a month",
        ),
        Segment(
            name="gone_quiet",
            condition="total_events >= 5 and days_since_event > 30",
            description="used to come, and have not been seen for a month",
        ),
        Segment(
            name="price_sensitive",
            condition="monthly_fee >= 150 and tenure_months < 12",
            description="pay much and have not been here for long: the first to leave for a lower price",
        ),
    ),
    otherwise=TELECOM_OTHERWISE,
    fields=tuple(field for field in TELECOM_FIELDS if field.name not in _COMPUTED),
)
