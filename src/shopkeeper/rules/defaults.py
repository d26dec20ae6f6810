"""The rules and fields of a telecom shop: high value, loyal, digital, about to leave; and what to suggest to whom."""

from __future__ import annotations

from dataclasses import dataclass

from shopkeeper.rules.schema import Field


@dataclass(frozen=True, slots=True)
class DefaultRule:
    name: str
    weight: float
    condition: str
    description: str
    action: str = ""


TELECOM_FIELDS = (
    Field("user_id", "text"),
    Field("plan_type", "text", help="name of the tariff"),
    Field("monthly_fee", "number", "currency", "fee of a month"),
    Field("user_level", "text", help="level in the loyalty programme"),
    Field("tenure_months", "number", "months", "time since the contract began"),
    Field("device_brand", "text"),
    Field("event_counts", "map", "events", "events by type"),
    Field("total_events", "number", "events"),
    Field("last_event_at", "number", "seconds", "time of the last event, seconds since 1970"),
)

TELECOM_RULES = (
    DefaultRule(
        "high_value_user",
        1.0,
        "monthly_fee > 300 and tenure_months >= 24",
        "pays a high fee and has stayed for two years",
    ),
    DefaultRule(
        "loyal_user",
        0.8,
        "tenure_months >= 36 and ('5G' in plan_type or 'family' in plan_type)",
        "three years with us, on a plan that people keep",
    ),
    DefaultRule(
        "digital_enthusiast",
        0.6,
        "event_counts.get('app_use', 0) + event_counts.get('click', 0) >= 10",
        "uses the app and clicks a lot",
    ),
    DefaultRule(
        "at_risk_churn",
        -0.7,
        "total_events <= 2 and tenure_months >= 12 and monthly_fee < 80",
        "hardly seen, on a low fee, and could leave",
    ),
)

TELECOM_STRATEGIES = (
    DefaultRule("upgrade_to_5g", 0.0, "monthly_fee < 100", "pays a low fee", "suggest an upgrade to a 5G plan"),
    DefaultRule(
        "data_pack",
        0.0,
        "event_counts.get('app_use', 0) > 5",
        "uses the app a lot",
        "suggest a data pack",
    ),
    DefaultRule(
        "first_purchase",
        0.0,
        "event_counts.get('order', 0) == 0",
        "has not ordered anything yet",
        "send a coupon for the first purchase",
    ),
)
TELECOM_OTHERWISE = "keep the present plan"
"""What to suggest to whom no strategy matches."""
