"""Requests counted by appending: the same samples as Prometheus' own counter and histogram make."""

from __future__ import annotations

import random
import threading

from prometheus_client import CollectorRegistry, Counter, Histogram

from shopkeeper.telemetry.requests import Requests

BUCKETS = (0.001, 0.01, 0.1, 1.0)


def samples(registry: CollectorRegistry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): round(sample.value, 9)
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_they_are_what_the_library_counts() -> None:
    mine, plain = CollectorRegistry(), CollectorRegistry()
    requests = Requests(mine, BUCKETS)
    counter = Counter("http_requests_total", "-", ["path", "method", "status"], registry=plain)
    took = Histogram("http_request_duration_seconds", "-", ["path"], registry=plain, buckets=BUCKETS)
    draw = random.Random(3)
    for n in range(5_000):
        path, method = draw.choice(["/a", "/b"]), draw.choice(["GET", "POST"])
        status, seconds = draw.choice([200, 200, 503]), draw.choice([*BUCKETS, 0.0, draw.expovariate(20), 7.0])
        requests.note(path, method, status, seconds)
        counter.labels(path, method, str(status)).inc()
        took.labels(path).observe(seconds)
        if n % 777 == 0:
            assert samples(mine) == samples(plain)
    assert samples(mine) == samples(plain)


def test_none_is_lost_between_threads() -> None:
    registry = CollectorRegistry()
    requests = Requests(registry, BUCKETS)

    def work() -> None:
        for _ in range(4_000):
            requests.note("/a", "GET", 200, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        samples(registry)
    labels = {"path": "/a", "method": "GET", "status": "200"}
    assert registry.get_sample_value("http_requests_total", labels) == 16_000
    assert registry.get_sample_value("http_request_duration_seconds_bucket", {"path": "/a", "le": "1.0"}) == 16_000
    assert registry.get_sample_value("http_request_duration_seconds_sum", {"path": "/a"}) == 8_000
