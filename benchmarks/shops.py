"""Whole shops for the load benchmarks: the bundled one with its models, alone or with a crowd of synthetic users."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.processes import ask, ready, running, until

CROWD, ORDERS = 100_000, 5
GIVEN_HOME = "SHOPKEEPER_BENCH_HOME"
_DAYS = 60
_OPENING_S = 900.0
_SETTLING_S = 300.0
_IDLE = 0.05


@dataclass(frozen=True)
class Server:
    """A shop that serves: its process, its address."""

    process: psutil.Process
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


def trained(folder: Path) -> Path:
    """A home with the bundled shop and its first models, closed. A copy of SHOPKEEPER_BENCH_HOME where that is set."""
    home = folder / "trained"
    if given := os.environ.get(GIVEN_HOME):
        shutil.copytree(given, home, ignore=shutil.ignore_patterns("server.json", "*.lock"))
        return home
    with serving(home, folder) as server:
        settle(server)
    return home


@contextmanager
def serving(home: Path, folder: Path, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """`shopkeeper up` on a home, its live stream off, until every model that it trains serves."""
    shopkeeper = str(Path(sys.executable).with_name("shopkeeper"))
    command = [shopkeeper, "up", "--no-console", "--port", "0", "--speed", "0"]
    given = {"SHOPKEEPER_HOME": str(home), "SHOPKEEPER_LOG_LEVEL": "error", **(environment or {})}
    with running(command, given, folder) as process:
        url: str = until(process, lambda: json.loads((home / "server.json").read_text())["url"], _OPENING_S)
        until(process, lambda: ready(f"{url}/v2/models/xgb/ready"), _OPENING_S)  # the last of the first trainings
        yield Server(psutil.Process(process.pid), url)


def settle(server: Server) -> None:
    """Waits until no job runs or waits, and the server has nothing left to do by itself."""
    end = time.monotonic() + _SETTLING_S
    while time.monotonic() < end:
        unfinished = [job for job in ask(f"{server.url}/api/v1/jobs?limit=100")["items"] if _unfinished(job["status"])]
        used = server.process.cpu_times().user
        time.sleep(2.0)
        if not unfinished and (server.process.cpu_times().user - used) / 2.0 < _IDLE:
            return
    raise SystemExit(f"the shop is still busy after {_SETTLING_S:.0f} s")


def _unfinished(status: str) -> bool:
    return status in ("queued", "running")


def ids(url: str, noun: str, field: str) -> list[str]:
    """All ids of the shop's users or items."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ask(f"{url}/api/v1/{noun}?limit=1000{f'&cursor={cursor}' if cursor else ''}")
        found += [one[field] for one in page["items"]]
        cursor = page["next_cursor"]
    return found


def gather_crowd(server: Server, count: int = CROWD) -> list[str]:
    """`count` synthetic users with ORDERS order lines each within the last days, of items drawn as the shop's own
    customers bought them (by Zipf's law over its items); posted as events. Their ids."""
    draw, now = random.Random(42), datetime.now(UTC)
    items = ids(server.url, "items", "item_id")
    draw.shuffle(items)
    weights = [1 / (rank + 1) for rank in range(len(items))]
    users = [f"synthetic-{n}" for n in range(count)]
    batch = 1000 // ORDERS
    for at in range(0, count, batch):
        events = [
            {
                "event_type": "order",
                "user_id": user,
                "item_id": item,
                "quantity": draw.randint(1, 6),
                "unit_price": round(draw.uniform(0.5, 12.0), 2),
                "time": (now - timedelta(days=draw.uniform(0.1, _DAYS))).isoformat(),
            }
            for user in users[at : at + batch]
            for item in draw.choices(items, weights, k=ORDERS)
        ]
        told = ask(f"{server.url}/api/v1/events", events)
        if told["rejected"]:
            raise SystemExit(f"the shop refuses events of the crowd: {told['rejected'][:2]}")
    return users


def private_mb(process: psutil.Process) -> float:
    """Memory that a process has written, in MB. Not the files that it maps: whether it is alone with them hangs on
    what else runs."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    sizes = {words[0]: int(words[1]) for words in map(str.split, lines) if words[-1] == "kB"}
    return (sizes["Private_Dirty:"] + sizes["Private_Hugetlb:"] + sizes["Swap:"]) * 1024 / 1e6
