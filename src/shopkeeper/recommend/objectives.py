"""What a slate can aim at beside relevance, each as a number from 0 to 1 for every item.

`relevance` and `revenue` depend on who asks and are worked out for the candidates; the others are facts of items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.itemcolumns import ItemColumns

RELEVANCE, REVENUE = "relevance", "revenue"
_FRESH_DAYS = 30.0
_SLOW_DAYS = 30.0
_STILL_DAYS = 180.0
_SAFE_DAYS = 7.0


def popularity(columns: ItemColumns, n: int, now: int) -> NDArray[np.float64]:
    """Order lines of 30 days on a logarithmic scale, 1: the item that sells most."""
    sold = np.log1p(columns.sold(30, n, now))
    most = float(sold.max(initial=0.0))
    return sold / most if most > 0 else sold


def novelty(columns: ItemColumns, n: int, now: int) -> NDArray[np.float64]:
    """The opposite: 1, nobody bought it within 30 days."""
    return 1.0 - popularity(columns, n, now)


def freshness(columns: ItemColumns, n: int, now: int) -> NDArray[np.float64]:
    """1: it came just now, halved every 30 days."""
    return np.exp2(-columns.age_days(n, now) / _FRESH_DAYS)


def clearance(columns: ItemColumns, n: int, _now: int) -> NDArray[np.float64]:
    """0: what is on hand lasts 30 days at most, 1: 180 days or more. 0 where nobody has counted."""
    days = columns.cover.days(n).astype(np.float64)
    return np.nan_to_num(np.clip((days - _SLOW_DAYS) / (_STILL_DAYS - _SLOW_DAYS), 0.0, 1.0), nan=0.0)


def stock(columns: ItemColumns, n: int, _now: int) -> NDArray[np.float64]:
    """1: it will be there for a week or longer, 0: it is gone. 1 where nobody has counted."""
    return np.nan_to_num(np.clip(columns.cover.days(n).astype(np.float64) / _SAFE_DAYS, 0.0, 1.0), nan=1.0)


OF_ITEMS: Mapping[str, Callable[[ItemColumns, int, int], NDArray[np.float64]]] = {
    "popularity": popularity,
    "novelty": novelty,
    "freshness": freshness,
    "clearance": clearance,
    "stock": stock,
}
OBJECTIVES: Mapping[str, str] = {
    RELEVANCE: "how probable it is that the user takes the item, against the other candidates",
    REVENUE: "that times the price of the item, against the other candidates",
    "popularity": "what sells most within 30 days, on a logarithmic scale",
    "novelty": "what sells least",
    "freshness": "what came lately; halved every 30 days",
    "clearance": "of what more is on hand than sells in 30 days, up to 180 days",
    "stock": "what will still be there for a week",
}
"""All names and what they aim at."""

READS: Mapping[str, frozenset[str]] = {
    "popularity": frozenset({"sold_30d"}),
    "novelty": frozenset({"sold_30d"}),
    "freshness": frozenset({"age_days"}),
    "clearance": frozenset({"cover_days"}),
    "stock": frozenset({"cover_days"}),
}
"""The item fields on which each depends."""


def scaled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(k,) over the highest, which is 1: a factor of 2 outweighs half the probability. Where scores go below 0 the
    least is 0; all equal: 1."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=-np.inf))
    if not high > low:
        return np.ones(len(values))
    return (values.astype(np.float64) - low) / (high - low)


def revenue(relevance: NDArray[np.float32], price: NDArray[np.float32]) -> NDArray[np.float64]:
    """(k,) expected revenue over the highest of the candidates; an item without a price brings 0."""
    worth = np.maximum(relevance, 0).astype(np.float64) * np.where(price == price, price, 0)
    most = float(worth.max(initial=0.0))
    return worth / most if most > 0 else worth
