"""What a user did in the last minute to the last day, to the tile; for pages that follow a visit as it happens.

Reads the accumulator `Tiles` (tiles.py), which every event of the user writes. None of them is part of a set that names
no features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features import aggregators
from shopkeeper.features.aggregators import Aggregator
from shopkeeper.features.base import Accumulator, Ask, Reading
from shopkeeper.features.kinds import Role
from shopkeeper.features.rings import LONGEST, SPANS, WIDTHS
from shopkeeper.features.tiles import Tiles

_WORDS = {"1m": "minute", "5m": "5 minutes", "30m": "30 minutes", "60m": "hour", "1d": "day"}


@dataclass(frozen=True)
class Recent:
    """One aggregator over one of SPANS. `span` us: what is older does not count."""

    name: str
    aggregator: Aggregator
    window: str
    unit: str
    help: str
    group: str = "behavioral"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    standard: bool = False
    needs: ClassVar[tuple[type[Accumulator], ...]] = (Tiles,)

    @property
    def span(self) -> int:
        width, tiles = SPANS[self.window]
        return WIDTHS[width].width * tiles

    def read(self, ask: Ask) -> Reading:
        return self.aggregator(ask.recent(self.window))


@dataclass(frozen=True)
class RecentPercentile:
    """Of the values of order lines of the last day, from the kept events themselves: exact."""

    name: str
    share: float
    help: str
    unit: str = "currency"
    group: str = "aggregated"
    default: float = 0.0
    of: str = "user"
    version: int = 1
    standard: bool = False
    span: int = LONGEST
    needs: ClassVar[tuple[type[Accumulator], ...]] = (Tiles,)

    def read(self, ask: Ask) -> Reading:
        return aggregators.percentile(ask.once(_values), self.share)


def _values(ask: Ask) -> NDArray[np.int64]:
    """Of the order lines of the last day, sorted, micros."""
    past = ask.past
    start = past.start(LONGEST)
    return np.sort(past.rows["value"][start:][past.roles[start:] == Role.ORDER])


def _all() -> Iterable[Recent | RecentPercentile]:
    for window, words in _WORDS.items():
        last = f"of the user in the last {words}, to the tile"
        yield Recent(f"recent_events_{window}", aggregators.count, window, "events", f"events {last}")
        yield Recent(
            f"recent_interest_{window}",
            aggregators.interest,
            window,
            "events",
            f"views, clicks, carts, likes ... {last}",
        )
        yield Recent(f"recent_spend_{window}", aggregators.total, window, "currency", f"value of order lines {last}")
    for window in ("60m", "1d"):
        last = f"of the user over the last {_WORDS[window]}"
        for name, aggregator, unit, help in (
            ("weighted", aggregators.weighted, "events", "events, newer ones counting more,"),
            ("decayed", aggregators.decayed, "events", "events, halved with each quarter of the window,"),
            ("moving_average", aggregators.moving_average, "events", "mean events of a tile in the newest quarter,"),
            ("trend", aggregators.trend, "log ratio", "events of the newer half against the older half,"),
            ("volatility", aggregators.volatility, "ratio", "deviation of the events of a tile over their mean,"),
        ):
            yield Recent(f"recent_{name}_{window}", aggregator, window, unit, f"{help} {last}", "temporal")
    last = "an order line of the user in the last day"
    for name, aggregator, help in (
        ("average", aggregators.average, "mean value of"),
        ("largest", aggregators.largest, "largest value of"),
        ("smallest", aggregators.smallest, "smallest value of"),
        ("deviation", aggregators.deviation, "standard deviation of the value of"),
    ):
        yield Recent(f"recent_{name}_1d", aggregator, "1d", "currency", f"{help} {last}", "aggregated")
    yield RecentPercentile("recent_median_1d", 0.5, f"median value of {last}")
    yield RecentPercentile("recent_p90_1d", 0.9, f"value that nine in ten do not exceed of {last}")


FEATURES = SimpleNamespace(**{each.name: each for each in _all()})
"""By name, as entry points reach them."""
