"""What a shop begins with: four rules with weights, three strategies, and segments. Amounts are in the shop's currency.

Weights are logits: +1 makes the odds of a good customer 2.7 times as high. A strategy has an action and no weight.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopkeeper.core.records import Rule, Segment
from shopkeeper.rules.schema import Field


@dataclass(frozen=True)
class Defaults:
    """`fields` may be read by rules before any user has such an attribute; `otherwise` is what to do for whom no
    strategy matches."""

    rules: tuple[Rule, ...]
    strategies: tuple[Rule, ...]
    segments: tuple[Segment, ...]
    otherwise: str
    fields: tuple[Field, ...] = ()


RULES = (
    Rule(
        name="high_value",
        weight=1.0,
        condition="net_spend >= 2000 and orders >= 3",
        description="spent 2,000 or more, net of returns, in at least three orders",
    ),
    Rule(
        name="loyal",
        weight=0.8,
        condition="orders >= 5 and tenure_days >= 180 and orders in 90 days >= 1",
        description="with us for half a year, five orders or more, the last within 90 days",
    ),
    Rule(
        name="bulk_buyer",
        weight=0.6,
        condition="pieces / order_lines >= 25 and spend in 180 days >= 500",
        description="buys by the case: 25 pieces a line or more, and still does",
    ),
    Rule(
        name="at_risk_churn",
        weight=-0.7,
        condition="orders >= 2 and days_since_order > max(90, 2 * days_between_orders)",
        description="came back before, and is now away for twice the usual time and over 90 days",
    ),
)

STRATEGIES = (
    Rule(
        name="first_purchase",
        weight=0.0,
        condition="orders == 0",
        description="has not bought anything yet",
        action="send a coupon for the first purchase",
    ),
    Rule(
        name="win_back",
        weight=0.0,
        condition="orders >= 2 and days_since_order > max(90, 2 * days_between_orders)",
        description="came back before, and is now away for twice the usual time and over 90 days",
        action="send an offer to win the customer back",
    ),
    Rule(
        name="volume_price",
        weight=0.0,
        condition="pieces / order_lines >= 25 and spend in 180 days >= 500",
        description="buys by the case, and still does",
        action="offer a price for larger quantities",
    ),
)
OTHERWISE = "keep in touch: nothing special is called for now"
"""What to do for whom no strategy matches."""

SEGMENTS = (
    Segment(
        name="champions",
        condition="recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4",
        description="bought recently, often and much",
    ),
    Segment(
        name="loyal_customers",
        condition="recency_score >= 3 and frequency_score >= 4 and not (recency_score >= 4 and monetary_score >= 4)",
        description="buy often and still do, and are no champions",
    ),
    Segment(name="new_customers", condition="lifecycle == 'new'", description="first seen in the last 30 days"),
    Segment(
        name="big_spenders",
        condition="monetary_score == 5",
        description="the fifth of customers with the highest net spend",
    ),
    Segment(
        name="at_risk",
        condition="recency_score <= 2 and frequency_score >= 3",
        description="bought often, but not lately",
    ),
    Segment(name="lost", condition="recency_score == 1 and frequency_score <= 2", description="few orders, long ago"),
    Segment(
        name="slipping_away",
        condition="churn_risk >= 0.1 and orders >= 2",
        description="came back before, and may by now have left for good",
    ),
    Segment(
        name="specialists",
        condition="orders >= 2 and len(category_share) == 1",
        description="came back, and order from one category only",
    ),
    Segment(
        name="unusual",
        condition="order_surprise >= 3.5 or activity_surprise >= 3",
        description="the last order, or the last day, is not like this customer",
    ),
)
RETAIL = Defaults(RULES, STRATEGIES, SEGMENTS, OTHERWISE)
