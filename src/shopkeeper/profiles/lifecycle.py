"""Where a customer stands, measured against the customer's own rhythm.

| stage    | meaning                                                                          |
|----------|----------------------------------------------------------------------------------|
| prospect | no order yet                                                                     |
| new      | first seen at most 30 days ago                                                   |
| lost     | no order for more than 365 days                                                  |
| active   | last order at most 30 days ago, or at most 1.5 of the customer's usual intervals |
| cooling  | at most 90 days ago, or at most 3 intervals                                      |
| lapsed   | longer ago                                                                       |

The first that fits counts. The usual interval is `days_between_orders`; below two orders only the days count.
"""

from __future__ import annotations

import numpy as np

from shopkeeper.rules.vectors import Numbers, TextColumn

STAGES = ("prospect", "new", "lost", "active", "cooling", "lapsed")
NEW_DAYS, LOST_DAYS, ACTIVE_DAYS, COOLING_DAYS = 30.0, 365.0, 30.0, 90.0


def stages(orders: Numbers, days_since_order: Numbers, tenure_days: Numbers, interval: Numbers) -> TextColumn:
    """Inputs (n,): orders, and days; `interval` NaN below two orders."""
    usual = np.nan_to_num(interval, nan=0.0)
    rules = (
        ~(orders > 0) | np.isnan(days_since_order),
        tenure_days <= NEW_DAYS,
        days_since_order > LOST_DAYS,
        days_since_order <= np.maximum(ACTIVE_DAYS, 1.5 * usual),
        days_since_order <= np.maximum(COOLING_DAYS, 3.0 * usual),
    )
    codes = np.select(rules, range(len(rules)), default=len(rules)).astype(np.int32)
    return TextColumn(codes, STAGES)
