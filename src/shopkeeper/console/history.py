"""The last measures of the shop, kept in the console's process for all who look: curves of 200 points.

A sample is taken when a page asks for the curves and the last one is old enough, so nobody polls a shop that nobody
looks at; between two looks there is a gap and not a straight line.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient

POINTS = 200
EVERY_S = 2.0
_GAP_S = 15.0


@dataclass
class Curves:
    """`times` and, beside each, a value a name; None where nothing was measured."""

    times: deque[datetime] = field(default_factory=lambda: deque(maxlen=POINTS))
    values: dict[str, deque[float | None]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    _at: float = float("-inf")
    _events: int | None = None
    _asking: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, shop: ShopkeeperClient) -> dict[str, Any]:
        """The newest sample, taken now if the last is old. While one session takes it, others see the one before and
        wait for nobody. Raises what the client raises."""
        with self._lock:
            since = monotonic() - self._at
            if since < EVERY_S or (self._asking and since < _GAP_S):
                return self.last
            self._asking += 1
        try:
            metrics = shop.operations_metrics()
            at = monotonic()
            speed, cache = shop.recommend_metrics(), shop.cache_stats()
        finally:
            with self._lock:
                self._asking -= 1
        return self._taken(at, metrics, speed, cache)

    def _taken(
        self, at: float, metrics: dict[str, Any], speed: dict[str, Any], cache: dict[str, Any]
    ) -> dict[str, Any]:
        """A sample whose numbers were told at a moment; left out where another session's is as new."""
        with self._lock:
            since = at - self._at
            if since < EVERY_S:
                return self.last
            if self.times and since > _GAP_S:
                self._append({})
            events = int(metrics.get("ingestion", {}).get("events", 0))
            told = self._events is not None and since < _GAP_S
            rate = max(events - (self._events or 0), 0) / since if told else None
            self._at, self._events = at, events
            self._append(_sample(metrics, speed, rate))
            self.last = {**metrics, "speed": speed, "cache": cache, "event_rate": rate}
            return self.last

    def line(self, name: str) -> list[float | None]:
        return list(self.values.get(name, ()))

    def _append(self, sample: dict[str, float | None]) -> None:
        self.times.append(datetime.now(UTC))
        for name in sample:
            if name not in self.values:
                self.values[name] = deque([None] * (len(self.times) - 1), maxlen=POINTS)
        for name, line in self.values.items():
            line.append(sample.get(name))


def _sample(metrics: dict[str, Any], speed: dict[str, Any], rate: float | None) -> dict[str, float | None]:
    resources = metrics.get("resources", {})
    gpu = resources.get("gpu") or {}
    return {
        "cpu": resources.get("cpu_percent"),
        "memory": resources.get("memory_rss_mb"),
        "gpu": gpu.get("utilization_percent"),
        "events": rate,
        "requests": speed.get("qps"),
        "hit_rate": 100 * float(speed.get("cache_hit_rate", 0.0)),
        "p50": speed.get("p50_latency_ms"),
        "p99": speed.get("p99_latency_ms"),
    }


@st.cache_resource(max_entries=32)
def curves(address: str, key: str) -> Curves:
    """Those of the shop at an address, for all who have the same key: what one may read, another may not."""
    del address, key
    return Curves()
