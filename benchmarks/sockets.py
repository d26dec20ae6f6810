"""WebSockets of the shop: a thousand clients that ask, and ten thousand that wait."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record, shops
from benchmarks.load import Load, Plan, measure, offered, run
from benchmarks.load_mix import MARK, SCENARIO, Asker
from benchmarks.load_wires import Frames, text_frame

_STREAM = "/api/v1/personalization/stream"
_QUICK = "--quick" in sys.argv[1:]  # a trial of a minute: prints, records nothing
_CLIENTS, _IDLE = 1000, 10_000
_SECONDS, _WARM_S, _ROUNDS = (1.0, 1.0, 1) if _QUICK else (5.0, 2.0, 3)
_HIT_RATES = (0.0, 0.95, 1.0)
_EACH_A_SECOND = (0.5, 1.0, 5.0)
_MOST = 60_000


def main() -> None:
    begun, loads = time.perf_counter(), [os.getloadavg()[0]]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server and the sender begin with the same
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as name:
        home = shops.trained(Path(name))
        with shops.serving(home, Path(name)) as server:
            users = shops.ids(server.url, "users", "user_id")
            shops.settle(server)
            asking = _asking(server.port, users)
            waiting = _waiting(server, users)
    loads.append(os.getloadavg()[0])
    if _QUICK:
        return
    record.write(
        "sockets",
        "WebSockets",
        "`shopkeeper up` with the bundled shop and its first models, one process; the sender on the same two cores. "
        f"**Asking**: {_CLIENTS:,} sockets, each of one customer, ask for 10 items of scenario home; that share of the "
        "requests that the cell says repeats the customer's question, each other one was never asked before. Closed "
        "loop: a client asks again when it was answered. Open loop: the clients together ask at random moments, at a "
        "rate set before, and a latency counts from the moment that a request was due. "
        f"{_SECONDS:.0f} s a cell after {_WARM_S:.0f} s, median of {_ROUNDS} rounds. **Waiting**: sockets that said "
        "who they are and then nothing; memory is the server's own, before and with them.",
        [
            {
                "title": f"{_CLIENTS:,} clients that ask",
                "columns": [
                    "hit rate set",
                    "loop",
                    "hit rate measured",
                    "answers/s",
                    "P50 ms",
                    "P99 ms",
                    "P99.9 ms",
                    "errors",
                ],
                "rows": asking,
            },
            {"title": "Clients that wait", "columns": ["what", "value"], "rows": waiting},
        ],
        [
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[-1]:.1f} at the end; the whole run "
            f"took {(time.perf_counter() - begun) / 60:.1f} minutes."
        ],
    )


def _asking(port: int, users: list[str]) -> list[list[Any]]:
    rows = []
    for hit_rate in _HIT_RATES:
        for each in (None, *(_EACH_A_SECOND if hit_rate == 0.95 else ())):
            rounds = [_round(port, users, hit_rate, each, turn) for turn in range(_ROUNDS)]
            load = sorted(rounds, key=lambda one: one.per_second)[_ROUNDS // 2]
            loop = "closed" if each is None else f"open, {each * _CLIENTS:,.0f}/s"
            rows.append([hit_rate, loop, load.hit_rate, load.per_second, load.p50, load.p99, load.p999, load.errors])
            print(rows[-1], *load.samples[:1], flush=True)
    return rows


def _round(port: int, users: list[str], hit_rate: float, each: float | None, turn: int) -> Load:
    draw = np.random.default_rng(turn)
    due = None if each is None else offered(each * _CLIENTS, _SECONDS + _WARM_S, seed=turn)
    payloads = [_question()] + [_question(f"{hit_rate} {each} {turn} {n}") for n in range(_MOST)]
    order = np.where(draw.random(_MOST) < hit_rate, 0, 1 + np.arange(_MOST)).astype(np.int32)
    wire = Frames(_STREAM, [json.dumps({"user_id": user}).encode() for user in users])
    return run(Plan(port, payloads, order, _CLIENTS, _SECONDS, wire, _WARM_S, due, mark=MARK))


def _question(page: str | None = None) -> bytes:
    asked = {
        "type": "request",
        "scenario": SCENARIO,
        "n_recommendations": 10,
        "context": {"page": page} if page else {},
    }
    return text_frame(json.dumps(asked).encode())


def _waiting(server: shops.Server, users: list[str]) -> list[list[Any]]:
    count = min(_IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    asked = Asker(users, ["-"]).hits(500).payloads
    measure(server.port, asked, 64, _SECONDS)
    alone = measure(server.port, asked, 64, _SECONDS)
    before = shops.private_mb(server.process)
    wire = Frames(_STREAM, [json.dumps({"user_id": user}).encode() for user in users])
    held: list[socket.socket] = []
    began = time.perf_counter()
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            wire.open(held[-1])
        opening = time.perf_counter() - began
        used = server.process.cpu_times()
        time.sleep(5.0)
        later = server.process.cpu_times()
        with_them = shops.private_mb(server.process)
        beside = measure(server.port, asked, 64, _SECONDS)
    finally:
        for one in held:
            one.close()
    rows = [
        ["sockets that wait", count],
        ["seconds to open them, one after the other", opening],
        ["memory of the server before, MB", before],
        ["memory with them, MB", with_them],
        ["kB a socket", (with_them - before) * 1000 / count],
        ["share of a core that they take", (later.user + later.system - used.user - used.system) / 5.0],
        ["recommend over HTTP, kept answers, 64 connections, before: requests/s", alone.per_second],
        ["the same: P99 ms", alone.p99],
        ["with them: requests/s", beside.per_second],
        ["the same: P99 ms ", beside.p99],
    ]
    print(rows, flush=True)
    return rows


if __name__ == "__main__":
    main()
