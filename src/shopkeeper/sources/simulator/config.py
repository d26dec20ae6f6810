"""What a simulated shop is like: 15 numbers with bounds."""

from __future__ import annotations

from typing import Final

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Record

BOUNDS: Final = {
    "user_count": (10, 100_000),
    "product_count": (5, 1000),
    "app_count": (5, 500),
    "avg_events_per_user": (1, 1000),
    "history_days": (1, 365),
}
"""The fields that a shop must be described by, and what they may be."""
PER_VISIT: Final = ("orders", "app_usages", "calls", "click_products", "click_apps")
PER_VISIT_BOUNDS: Final = (0, 100)


class SimConfig(Record, kw_only=True):
    """How many subscribers, products and apps; how many events a subscriber makes on average in the days of history.

    `min_` and `max_`: how many events of a type a subscriber makes on a day of a visit, exactly. How often they visit
    follows from the average. Raises Invalid for a number out of bounds.
    """

    user_count: int = 1000
    product_count: int = 25
    app_count: int = 30
    avg_events_per_user: int = 20
    history_days: int = 30
    min_orders_per_user: int = 1
    max_orders_per_user: int = 3
    min_app_usages_per_user: int = 1
    max_app_usages_per_user: int = 3
    min_calls_per_user: int = 0
    max_calls_per_user: int = 2
    min_click_products_per_user: int = 0
    max_click_products_per_user: int = 5
    min_click_apps_per_user: int = 0
    max_click_apps_per_user: int = 5

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            self._check(name, least, most)
        for what in PER_VISIT:
            for end in ("min", "max"):
                self._check(f"{end}_{what}_per_user", *PER_VISIT_BOUNDS)
            least, most = self.range_of(what)
            if least > most:
                name = f"min_{what}_per_user"
                raise Invalid(f"{name} is {least}, which is above max_{what}_per_user, {most}", field=name)

    def range_of(self, what: str) -> tuple[int, int]:
        """The least and the most events of one of PER_VISIT on a day of a visit."""
        return getattr(self, f"min_{what}_per_user"), getattr(self, f"max_{what}_per_user")

    def _check(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"{name} is {value!r}, expected a whole number of {least} to {most}", field=name)
