"""What a user prefers, as the user's own events show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.days import days_of, hours_of, weekdays_of
from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.past import Past
from shopkeeper.features.purchases import Basket, Purchases
from shopkeeper.features.state import FeatureState
from shopkeeper.features.trails import Trail
from shopkeeper.profiles.surroundings import Shelf, categories_of

MOST_CATEGORIES = 10
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def learned(state: FeatureState, catalog: Shelf | None, row: int, now: int) -> dict[str, Any]:
    """What the orders of one user up to `now` (us) say; amounts in currency, each part null without an order.

    `{orders, categories [{category, share, lines}] of order lines, most first, at most 10; price {low, median, high}
    quartiles of what was paid for a piece; basket {value, pieces, lines} medians; hour {usual 0-23, share}, weekday
    {usual, share} of the orders, in the shop's zone; repeat_share, new_share of the order lines}`.
    """
    past = state.past(row, now)
    trail = Trail.of_one(row, now, past)
    bought = state.part(Purchases).of(row)
    return {
        "orders": int(trail.orders[0]),
        "categories": None if catalog is None else _categories(bought, catalog),
        "price": _prices(past),
        "basket": _basket(past),
        **_when(trail, state),
        **_repeats(bought),
    }


def recent(state: FeatureState, catalog: Shelf | None, row: int, n: int = 20) -> list[dict[str, Any]]:
    """The user's last n events, newest first: `{time, event_type, item_id (null: no item), quantity, value}`."""
    ids: Sequence[str] = () if catalog is None else catalog.ids
    return [
        {
            "time": rfc3339(event.time),
            "event_type": event.type,
            "item_id": ids[event.item] if 0 <= event.item < len(ids) else None,
            "quantity": event.quantity,
            "value": event.value,
        }
        for event in state.user_recent(row, n)
    ]


def _categories(bought: Basket, catalog: Shelf) -> list[dict[str, Any]] | None:
    lines: dict[str, int] = {}
    for category, times in zip(categories_of(catalog, bought.items), bought.times.tolist(), strict=True):
        if category is not None:
            lines[category] = lines.get(category, 0) + times
    total = sum(lines.values())
    best = sorted(lines.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_CATEGORIES]
    found = [{"category": name, "share": round(count / total, 4), "lines": count} for name, count in best]
    return found or None


def _prices(past: Past) -> dict[str, float] | None:
    _, rows = past.orders
    paid = rows[(rows["quantity"] > 0) & (rows["value"] > 0)]
    if not len(paid):
        return None
    low, median, high = np.quantile(paid["value"] / paid["quantity"], (0.25, 0.5, 0.75)).tolist()
    return {"low": round(low, 4), "median": round(median, 4), "high": round(high, 4)}


def _basket(past: Past) -> dict[str, float] | None:
    times, rows = past.orders
    if not len(times):
        return None
    _, begin = np.unique(times, return_index=True)
    lines = np.diff(np.append(begin, len(times)))
    value, pieces = (np.add.reduceat(rows[name], begin) / MICRO for name in ("value", "quantity"))
    middle = {name: float(np.median(column)) for name, column in (("value", value), ("pieces", pieces))}
    return {"value": round(middle["value"], 4), "pieces": middle["pieces"], "lines": float(np.median(lines))}


def _when(trail: Trail, state: FeatureState) -> dict[str, Any]:
    times = trail.baskets.time
    if not len(times):
        return {"hour": None, "weekday": None}
    hour, hours = _usual(hours_of(times, state.zone))
    weekday, days = _usual(weekdays_of(days_of(times, state.zone)))
    return {"hour": {"usual": hour, "share": hours}, "weekday": {"usual": WEEKDAYS[weekday], "share": days}}


def _usual(values: NDArray[np.int32]) -> tuple[int, float]:
    """The most frequent value, the smallest of equals, and its share."""
    counted = np.bincount(values)
    return int(counted.argmax()), round(float(counted.max() / len(values)), 4)


def _repeats(bought: Basket) -> dict[str, float | None]:
    """Shares of order lines whose item the user had, and had not, ordered before."""
    lines = int(bought.times.sum())
    new = round(len(bought.items) / lines, 4) if lines else None
    return {"repeat_share": None if new is None else round(1.0 - new, 4), "new_share": new}
