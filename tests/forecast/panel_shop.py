"""A small vocabulary and batches of sales for the tests of this folder."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import micros
from shopkeeper.forecast.panel.sales import SalesPanel

LONDON = ZoneInfo("Europe/London")
TYPES = ("view", "order", "return")


class Words:
    def __init__(self, *ids: str) -> None:
        self._ids = ids

    def row(self, id: str, /) -> int | None:
        return self._ids.index(id) if id in self._ids else None

    def id(self, row: int, /) -> str:
        return self._ids[row]


ITEMS = Words("apple", "pear", "plum", "unsold")


def new_panel() -> SalesPanel:
    return SalesPanel(LONDON, ITEMS, Words(*TYPES))


def at(day: int, hour: int = 12) -> int:
    """Microseconds of a UTC hour, `day` days after 2024-06-03, a Monday."""
    return micros(datetime(2024, 6, 3, hour, tzinfo=UTC) + timedelta(days=day))


def batch(*rows: dict[str, Any]) -> EventBatch:
    """Rows with any of item, type, time, quantity, unit_price, value, store, promotion; the rest is one apple sold."""
    n = len(rows)

    def column(name: str, default: Any, dtype: Any) -> Any:
        return np.array([row.get(name, default) for row in rows], dtype=dtype)

    return EventBatch(
        seq=np.arange(1, n + 1),
        user=np.full(n, -1, dtype=np.int32),
        item=column("item", 0, np.int32),
        other=np.full(n, -1, dtype=np.int32),
        type=np.array([TYPES.index(row.get("type", "order")) for row in rows], dtype=np.int32),
        store=column("store", 0, np.int32),
        time=column("time", at(0), np.int64),
        quantity=column("quantity", 1.0, np.float64),
        unit_price=column("unit_price", np.nan, np.float64),
        value=column("value", np.nan, np.float64),
        promotion=column("promotion", False, np.bool_),
    )


def busy_panel(days: int = 120, products: int = 12, seed: int = 4) -> SalesPanel:
    """Every product sells every day but Sunday, 3 to 9 pieces at 2.50; days count from 2024-06-03."""
    random = np.random.default_rng(seed)
    rows = [
        {"item": item, "time": at(day), "quantity": float(random.integers(3, 10)), "unit_price": 2.5}
        for day in range(days)
        if day % 7 != 6
        for item in range(products)
    ]
    panel = SalesPanel(LONDON, Words(*(f"P{k}" for k in range(products)), "unsold"), Words(*TYPES))
    panel.apply(batch(*rows))
    return panel
