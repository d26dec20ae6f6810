"""Suggestions under load: throughput and latency against the hit rate, beside plain FastAPI, and at offered rates."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks import record, shops
from benchmarks.load import Load, Plan, offered, run
from benchmarks.load_mix import FEEDBACK, MARK, RECOMMEND, Asker, Mix
from benchmarks.load_wires import Http
from benchmarks.processes import alive, running, until

_PEER = Path(__file__).with_name("peers") / "suggest_fastapi.py"
_PEER_PORT = 18084
_QUICK = "--quick" in sys.argv[1:]  # a trial of a minute: prints, records nothing
_SECONDS, _WARM_S, _ROUNDS = (1.0, 0.2, 1) if _QUICK else (4.0, 0.5, 3)
_CONNECTIONS = 64
_HOT = 500
_RATES = (0.0, 0.5, 0.8, 0.95, 1.0)
_OFFERED = {0.0: (100, 250, 500, 1000), 0.95: (1000, 5000, 10_000, 15_000, 20_000)}
_SWEEP = (1, 16, 64, 256)
_FEW, _WARMING_S, _PATIENCE = 8, 1.0, 30
_ZIPF_WARM_S = 2.0 if _QUICK else 20.0
_ZIPF_OFFERED = 5000
_FEEDBACK = 0.05
_MOST, _MOST_FRESH = 160_000, 40_000
"""Requests drawn for a cell, and for one of mostly fresh questions; where more are answered, they begin again."""


def main() -> None:
    begun, loads = time.perf_counter(), [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as name:
        folder = Path(name)
        home = shops.trained(folder)
        peers_home = folder / "peer"
        shutil.copytree(home, peers_home)
        with shops.serving(home, folder) as server, _peer(peers_home, folder) as peer:
            asker = Asker(shops.ids(server.url, "users", "user_id"), shops.ids(server.url, "items", "item_id"))
            shops.settle(server)
            beside = _beside(asker, {"Shopkeeper": server, "plain FastAPI + pydantic": peer})
            sweep = _sweep(asker, server.port)
            rates = _offered(asker, server.port)
            natural = _natural(f"the shop's own {len(asker.users):,}", asker, server.port)
            loads.append(os.getloadavg()[0])
            crowd = Asker(shops.gather_crowd(server, 2000 if _QUICK else shops.CROWD), asker.items)
            shops.settle(server)
            natural += _natural(f"{len(crowd.users):,} synthetic", crowd, server.port)
            memory = shops.private_mb(server.process)
    loads.append(os.getloadavg()[0])
    if _QUICK:
        return
    record.write(
        "suggest_load",
        "Suggestions under load",
        _PROTOCOL,
        [
            {
                "title": f"By hit rate, {_CONNECTIONS} connections",
                "columns": [
                    "hit rate set",
                    "server",
                    "hit rate measured",
                    "requests/s",
                    "P50 ms",
                    "P99 ms",
                    "errors",
                    "processor us a request",
                    "sender busy",
                    "ratio to plain FastAPI",
                ],
                "rows": beside,
            },
            {
                "title": "By connections, hit rate 0.95",
                "columns": ["connections", "requests/s", "P50 ms", "P99 ms", "errors"],
                "rows": sweep,
            },
            {
                "title": "Open loop: requests that fall due whatever the server does",
                "columns": [
                    "hit rate set",
                    "offered/s",
                    "answered/s",
                    "P50 ms",
                    "P99 ms",
                    "P99.9 ms",
                    "refused",
                    "other errors",
                ],
                "rows": rates,
            },
            {
                "title": "Users by Zipf's law",
                "columns": [
                    "users",
                    "feedback",
                    "loop",
                    "hit rate",
                    "requests/s",
                    "P50 ms",
                    "P99 ms",
                    "feedback P99 ms",
                    "errors",
                ],
                "rows": natural,
            },
        ],
        [
            f"Memory of the server alone at the end, with the crowd: {memory:,.0f} MB.",
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[1]:.1f} before the crowd, "
            f"{loads[-1]:.1f} at the end; the whole run took {(time.perf_counter() - begun) / 60:.1f} minutes.",
        ],
    )


_PROTOCOL = (
    "`shopkeeper up` with the bundled shop and its first models, one process, the live stream off, its caches as they "
    "are by default, no Redis. The sender (`benchmarks/load_engine.py`, one thread over epoll) runs on the same two "
    "cores and tells the share of the time that it worked itself. 10 items, scenario home. **Set hit rate**: that "
    f"share of the requests repeats the questions of {_HOT} customers, all asked before the cell; each other one is a "
    "question that was never asked before (its context names a page of its own), so all of the pipeline runs. "
    f"Closed loop, {_SECONDS:.0f} s a cell after {_WARM_S} s, median of {_ROUNDS} rounds by throughput. **Beside it**: "
    "FastAPI with pydantic models in and out, uvicorn with uvloop, the same pipeline called in its process on a copy "
    "of the same shop, a cache of 10,000 answers for 300 s in front (cachetools); it checks no keys, counts and logs "
    "nothing. The two take turns; processor time is all that the server's process used, its background work with it. "
    "**Open loop**: arrivals of a Poisson process, at most "
    f"{_CONNECTIONS * 4} connections, a latency counts from the moment that a request was due. **Zipf**: users with "
    f"exponent 1, {_ZIPF_WARM_S:.0f} s of the same mix as warm-up, then {_SECONDS:.0f} s, median of {_ROUNDS}; with "
    f"feedback, {_FEEDBACK:.0%} of the requests are views, clicks, likes and purchases, durable before the answer, "
    "which make the user's kept slates void. Requests a second and latencies are those of good answers; errors are all "
    "others, with those that were refused (429) because the deadline of 100 ms could not be kept. The "
    "synthetic users have five orders each within the last 60 days, of "
    "the shop's own items."
)


def _plan(port: int, mix: Mix, seconds: float, connections: int = _CONNECTIONS, rate: float | None = None) -> Plan:
    due = None if rate is None else offered(rate, seconds + _WARM_S)
    return Plan(port, mix.payloads, mix.order, connections, seconds, Http(), _WARM_S, due, mix.kinds, MARK)


def _measure(port: int, mix: Mix, seconds: float = _SECONDS, connections: int = _CONNECTIONS) -> Load:
    return run(_plan(port, mix, seconds, connections))


def _warm(asker: Asker, port: int) -> None:
    """Asks the hot questions until all answers come from the cache."""
    for _ in range(_PATIENCE):
        load = _measure(port, asker.hits(_HOT), _WARMING_S, _FEW)
        if load.hit_rate == 1.0 and not load.errors:
            return


def _beside(asker: Asker, servers: dict[str, shops.Server]) -> list[list[Any]]:
    found: dict[tuple[float, str], list[tuple[Load, float]]] = {}
    for turn in range(_ROUNDS):
        for rate in _RATES:
            for name in list(servers)[:: 1 if turn % 2 else -1]:
                server = servers[name]
                _warm(asker, server.port)
                used = _processor_s(server)
                load = _measure(server.port, asker.at_rate(rate, _MOST if rate >= 0.8 else _MOST_FRESH, _HOT))
                each = (_processor_s(server) - used) / max(load.answers, 1) * 1e6
                found.setdefault((rate, name), []).append((load, each))
                print(rate, name, *_cells(load), f"hits {load.hit_rate:.3f}, {each:.0f} us", *_first(load), flush=True)
    rows = []
    for rate in _RATES:
        medians = {name: _median([load for load, _ in found[rate, name]]) for name in servers}
        plain = list(medians.values())[-1].per_second
        for name, load in medians.items():
            each = statistics.median(used for _, used in found[rate, name])
            ratio = load.per_second / plain
            rows.append([rate, name, load.hit_rate, *_cells(load), each, f"{load.busy:.0%}", ratio])
    return rows


def _processor_s(server: shops.Server) -> float:
    used = server.process.cpu_times()
    return float(used.user + used.system)


def _sweep(asker: Asker, port: int) -> list[list[Any]]:
    rows = []
    for connections in _SWEEP:
        _warm(asker, port)
        load = _median(
            [_measure(port, asker.at_rate(0.95, _MOST, _HOT), connections=connections) for _ in range(_ROUNDS)]
        )
        rows.append([connections, *_cells(load)])
        print(rows[-1], flush=True)
    return rows


def _offered(asker: Asker, port: int) -> list[list[Any]]:
    rows = []
    for hit_rate, offers in _OFFERED.items():
        _warm(asker, port)
        for rate in offers:
            mix = asker.at_rate(hit_rate, round(rate * (_SECONDS + _WARM_S)) + 1, _HOT)
            load = run(_plan(port, mix, _SECONDS, _CONNECTIONS * 4, rate))
            rows.append([hit_rate, rate, *_open_cells(load)])
            print(rows[-1], *_first(load), flush=True)
            if load.per_second < 0.95 * rate:  # beyond what it can: higher rates say no more
                break
    return rows


def _natural(users: str, asker: Asker, port: int) -> list[list[Any]]:
    rows = []
    for share in (0.0, _FEEDBACK):
        _measure(port, asker.zipf(_MOST, feedback=share), _ZIPF_WARM_S)
        closed = _median([_measure(port, asker.zipf(_MOST, feedback=share)) for _ in range(_ROUNDS)])
        count = round(_ZIPF_OFFERED * (_SECONDS + _WARM_S)) + 1
        opened = run(_plan(port, asker.zipf(count, feedback=share), _SECONDS, _CONNECTIONS * 4, _ZIPF_OFFERED))
        for loop, load in (("closed, 64", closed), (f"open, {_ZIPF_OFFERED:,}/s", opened)):
            asked, fed = load.kinds.get(RECOMMEND), load.kinds.get(FEEDBACK)
            times = [asked[0], asked[1]] if asked else ["", ""]
            rows.append(
                [
                    users,
                    f"{share:.0%}",
                    loop,
                    load.hit_rate,
                    load.per_second,
                    *times,
                    fed[1] if fed else "",
                    load.errors,
                ]
            )
            print(rows[-1], *_first(load), flush=True)
    return rows


def _median(loads: list[Load]) -> Load:
    middle = statistics.median_low([load.per_second for load in loads])
    return next(load for load in loads if load.per_second == middle)


def _first(load: Load) -> list[str]:
    """One of the answers that were errors, to look at."""
    return [sample[-160:] for sample in load.samples[:1]]


def _cells(load: Load) -> list[Any]:
    return [load.per_second, load.p50, load.p99, load.errors]


def _open_cells(load: Load) -> list[Any]:
    return [load.per_second, load.p50, load.p99, load.p999, load.shed, load.errors - load.shed]


@contextmanager
def _peer(home: Path, folder: Path) -> Iterator[shops.Server]:
    environment = {"SHOPKEEPER_HOME": str(home), "SHOPKEEPER_LOG_LEVEL": "error", "PORT": str(_PEER_PORT)}
    url = f"http://127.0.0.1:{_PEER_PORT}"
    with running([sys.executable, str(_PEER)], environment, folder) as process:
        until(process, lambda: alive(f"{url}/openapi.json"))
        yield shops.Server(psutil.Process(process.pid), url)


if __name__ == "__main__":
    main()
