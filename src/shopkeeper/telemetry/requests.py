"""Answered requests and the time they took, as two metrics that cost a request no more than a list's append."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

_Kind = tuple[str, str, int]
_FULL: Final = 512  # sorted in well under 0.1 ms


@dataclass(slots=True)
class _Line:
    """One kind of request. `fresh`: seconds that are not in the `counts` of the buckets yet, the last of which has no
    bound; `seconds` is the sum of those that are."""

    counts: list[int]
    fresh: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Requests(Collector):
    """`http_requests_total` by path, method and status, and `http_request_duration_seconds` by path.

    What is noted is sorted into the `buckets` (their upper bounds, seconds) when somebody reads, or when much has come.
    `note` and `collect` on any thread.
    """

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        self._bounds = [*buckets]
        self._shown = [*map(floatToGoString, buckets), "+Inf"]
        self._lines: dict[_Kind, _Line] = {}
        self._sorting = threading.Lock()
        registry.register(self)

    def note(self, path: str, method: str, status: int, seconds: float) -> None:
        """One request was answered. `path` is a template: each makes a line of its own, for good."""
        line = self._lines.get((path, method, status))
        if line is None:
            line = self._lines.setdefault((path, method, status), _Line([0] * len(self._shown)))
        line.fresh.append(seconds)
        if len(line.fresh) >= _FULL:
            with self._sorting:
                self._sort(line)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("http_requests", "Answered requests", labels=["path", "method", "status"])
        took = HistogramMetricFamily("http_request_duration_seconds", "Time to answer", labels=["path"])
        by_path: dict[str, _Line] = {}
        with self._sorting:
            for (path, method, status), line in list(self._lines.items()):
                self._sort(line)
                requests.add_metric([path, method, str(status)], sum(line.counts))
                whole = by_path.setdefault(path, _Line([0] * len(self._shown)))
                whole.counts = [a + b for a, b in zip(whole.counts, line.counts, strict=True)]
                whole.seconds += line.seconds
        for path, whole in by_path.items():
            took.add_metric([path], list(zip(self._shown, _running(whole.counts), strict=True)), whole.seconds)
        yield requests
        yield took

    def _sort(self, line: _Line) -> None:
        fresh = line.fresh[:]
        del line.fresh[: len(fresh)]  # other threads append behind them meanwhile
        for seconds in fresh:
            line.counts[bisect_left(self._bounds, seconds)] += 1
        line.seconds += sum(fresh)


def _running(counts: list[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total
