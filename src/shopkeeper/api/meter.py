"""HTTP metrics, cheap enough for the hot routes: label children are bound once, in a bounded table."""

from __future__ import annotations

from collections.abc import Callable

from shopkeeper.telemetry import metrics


class Meter:
    """Counts requests and seconds by path template, method and status."""

    def __init__(self) -> None:
        self._bound: dict[tuple[str, str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def count(self, path: str, method: str, status: int, seconds: float) -> None:
        key = (path, method, status)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bind(path, method, status)
            self._bound[key] = bound
        increment, observe = bound
        increment()
        observe(seconds)

    def _bind(self, path: str, method: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
        requests = metrics.http_requests_total.labels(path=path, method=method, status=str(status))
        duration = metrics.http_request_duration_seconds.labels(path=path)
        return requests.inc, duration.observe
