"""Load on loopback, from a process of its own: closed loop (each connection asks again when it was answered) and open
loop (requests fall due at random moments, whatever the server does). `load_engine` does it, this sums it up.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

import numpy as np
from numpy.typing import NDArray

from benchmarks.load_engine import Plan, Taken, drive
from benchmarks.load_wires import Http
from benchmarks.load_wires import post as request

__all__ = ["Load", "Plan", "beside", "measure", "offered", "request", "run"]

_WARM = 0.1


@dataclass(frozen=True)
class Load:
    """`requests` that were answered well, how many `per_second`, their latencies in milliseconds as the client saw
    them. `errors` counts answers that were not 2xx, lost connections and what was never answered, `shed` those of them
    that were refused with 429 or 503. `hit_rate` is the share of the answers that said so, NaN where none did; `busy`
    the share of the time that the sender was not waiting; `answers` are all, with those of the warm-up. `kinds` holds
    P50, P99 and the number of requests by kind of payload."""

    connections: int
    requests: int
    errors: int
    per_second: float
    p50: float
    p99: float
    p999: float = float("nan")
    shed: int = 0
    hit_rate: float = float("nan")
    busy: float = 0.0
    answers: int = 0
    kinds: dict[int, tuple[float, float, int]] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)


def measure(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    """Drives `requests` round robin for `seconds` (after a tenth of that as warm-up), in a closed loop."""
    order = np.arange(len(requests), dtype=np.int32)
    return run(Plan(port, requests, order, connections, seconds, Http(), warm_s=seconds * _WARM))


def offered(rate: float, seconds: float, seed: int = 42) -> NDArray[np.float64]:
    """Moments of arrival, seconds from the begin, of independent callers: `rate` a second."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, int(rate * seconds)))
    return np.cumsum(gaps)


def run(plan: Plan) -> Load:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return summed(plan, pool.apply(drive, (plan,)))


@contextmanager
def beside(plan: Plan) -> Iterator[list[Load]]:
    """Runs an open loop while the block runs; the list holds what it saw after the block."""
    context = multiprocessing.get_context("spawn")
    stop, found = context.Event(), list[Load]()
    with context.Pool(1, initializer=_remember, initargs=(stop,)) as pool:
        running = pool.apply_async(_drive_until, (plan,))
        try:
            yield found
        finally:
            stop.set()
            found.append(summed(plan, running.get(plan.seconds + 60)))


_stop: Event


def _remember(stop: Event) -> None:
    global _stop
    _stop = stop


def _drive_until(plan: Plan) -> Taken:
    return drive(plan, _stop.is_set)


def summed(plan: Plan, taken: Taken) -> Load:
    times = taken.milliseconds
    said = taken.hits + taken.misses
    return Load(
        connections=plan.connections,
        requests=len(times),
        errors=sum(n for outcome, n in taken.outcomes.items() if outcome != "ok") + taken.unanswered,
        per_second=len(times) / taken.seconds,
        p50=_quantile(times, 0.5),
        p99=_quantile(times, 0.99),
        p999=_quantile(times, 0.999),
        shed=taken.outcomes.get("shed", 0),
        hit_rate=taken.hits / said if said else float("nan"),
        busy=taken.busy,
        answers=taken.answers,
        kinds={
            int(kind): (_quantile(times[mine], 0.5), _quantile(times[mine], 0.99), int(mine.sum()))
            for kind in np.unique(taken.kinds)
            if (mine := taken.kinds == kind).any()
        },
        samples=taken.samples,
    )


def _quantile(times: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(times, share)) if len(times) else float("nan")
