"""Requests a second and latencies of the hot doors, at 1, 16 and 64 connections, on the bundled shop."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.load import Load, measure, request
from benchmarks.processes import ready

_SECONDS = 5.0
_ROUNDS = 3
_CONNECTIONS = (1, 16, 64)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as home:
        server = _serve(home)
        try:
            rows = _measure_all(server)
        finally:
            server.process.send_signal(signal.SIGINT)
            server.process.wait(60)
    record.write(
        "serving",
        "Serving",
        "`shopkeeper up` with the bundled shop and its first models, one process, the live stream off; the load "
        f"generator (`benchmarks/load.py`) runs on the same two cores. {_SECONDS:.0f} s a cell, median of {_ROUNDS} "
        "rounds by throughput. recommend: 10 items, scenario home, customers drawn evenly from all, no result cache: "
        "recall from five channels, filter, ranking by as-of features and xgboost, reasons. events: one new event a "
        "request, durable (fsync) before the answer. The naive baseline answers a constant of the same size from a "
        "bare ASGI application.",
        [
            {
                "title": "Requests per second and latency",
                "columns": ["door", "connections", "requests/s", "P50 ms", "P99 ms", "errors"],
                "rows": rows,
            }
        ],
    )


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port


def _serve(home: str) -> Server:
    shopkeeper = Path(sys.executable).with_name("shopkeeper")
    environment = {**os.environ, "SHOPKEEPER_HOME": home, "SHOPKEEPER_LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [str(shopkeeper), "up", "--no-console", "--port", "0", "--speed", "0"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        try:
            url = json.loads((Path(home) / "server.json").read_text())["url"]
            ready(f"{url}/readyz")
            ready(f"{url}/v2/models/xgb/ready")  # the last of the first trainings: nothing else runs any more
            return Server(process, int(url.rsplit(":", 1)[1]))
        except (OSError, ValueError, TypeError, AttributeError):
            time.sleep(0.2)
    raise SystemExit(f"shopkeeper up ended with {process.returncode}")


def _measure_all(server: Server) -> list[list[Any]]:
    users = _ids(server.port, "users", "user_id")
    items = _ids(server.port, "items", "item_id")
    draw = random.Random(42)
    doors = {
        "recommend": [
            request(
                "/api/v1/personalization/recommend",
                json.dumps({"user_id": user, "scenario": "home", "use_cache": False}).encode(),
            )
            for user in draw.sample(users, min(2000, len(users)))
        ],
        "feedback": [
            request(
                "/api/v1/personalization/feedback",
                json.dumps({"user_id": draw.choice(users), "item_id": item, "feedback_type": "view"}).encode(),
            )
            for item in items[:2000]
        ],
        "events": [
            request(
                "/api/v1/events",
                json.dumps({"event_type": "view", "user_id": draw.choice(users), "item_id": item}).encode(),
            )
            for item in items[:2000]
        ],
        "predictions/home_ranker, 1 row": [request("/predictions/home_ranker", b'{"data":[{"hour":12.0}]}')],
    }
    rows = []
    for door, requests in doors.items():
        for connections in _CONNECTIONS:
            rows.append(
                [
                    door,
                    *_cells(_median([measure(server.port, requests, connections, _SECONDS) for _ in range(_ROUNDS)])),
                ]
            )
            print(rows[-1], flush=True)
    return rows + _baseline()


def _median(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda load: load.per_second)[len(loads) // 2]


def _cells(load: Load) -> list[Any]:
    return [load.connections, load.per_second, load.p50, load.p99, load.errors]


def _ids(port: int, noun: str, field: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{noun}?limit=1000{more}", timeout=30) as answer:
            page = json.load(answer)
        found += [one[field] for one in page["items"]]
        cursor = page["next_cursor"]
    return found


_CONSTANT = """
BODY = b"x" * 2000
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await receive()
    headers = [(b"content-length", b"2000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
"""


def _baseline() -> list[list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "constant.py").write_text(_CONSTANT)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "constant:app",
                "--port",
                "8399",
                "--log-level",
                "error",
                "--lifespan",
                "off",
            ],
            cwd=folder,
        )
        time.sleep(2)
        try:
            asked = [request("/", b"{}")]
            return [
                [
                    "(bare ASGI, constant answer)",
                    *_cells(_median([measure(8399, asked, n, _SECONDS) for _ in range(_ROUNDS)])),
                ]
                for n in _CONNECTIONS
            ]
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
