"""Swaps of a live model under continuous clients: what fails, who is sent back, and what it does to the latency."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import urllib.error
from dataclasses import dataclass, field
from http.client import HTTPConnection
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.processes import ask, sample_shop

_SWAPS = 100
_ROUNDS = 5
_CLIENTS = 2
_ROW = {"item_ctr": 0.05, "item_cvr": 0.02, "item_price": 30.0, "user_age": 35, "user_gender": 1}


@dataclass
class Seen:
    """What one client saw: seconds of each answer with their time, failures, and how often the version changed."""

    at: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    changes: int = 0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder, sample_shop(Path(folder)) as url:
        _train_more(url, Path(folder) / "home")
        rounds = [_round(url, Path(folder), number) for number in range(_ROUNDS)]
    steady = median(one["steady"] for one in rounds)
    swapping = median(one["swapping"] for one in rounds)
    record.write(
        "swap",
        "Swaps under load",
        f"{_CLIENTS} clients, each one person (`X-User-ID`) on a connection of its own, ask `/predictions/xgb` for one "
        f"row without a pause, on the same two cores. In each of {_ROUNDS} rounds {_SWAPS} promotions over HTTP, one "
        "every 50 ms, switch between two versions; among them one with an overwritten file and one with the files of "
        "another version (both must be refused), a model of many deep trees that takes long to load, and a training "
        "whose process is killed with SIGKILL. Steady: the same clients for as long before it. A client was sent back "
        "when it saw more changes of the version than there were swaps.",
        [
            {
                "title": "By round",
                "columns": ["round", "requests", "failed", "swaps", "refused", "sent back", "P99 steady ms", "P99 ms"],
                "rows": [
                    [
                        at + 1,
                        one["requests"],
                        one["failed"],
                        one["swaps"],
                        one["refused"],
                        one["back"],
                        one["steady"],
                        one["swapping"],
                    ]
                    for at, one in enumerate(rounds)
                ],
            },
            {
                "title": "In all",
                "columns": ["requests", "failed", "P99 steady ms", "P99 swapping ms", "ratio"],
                "rows": [
                    [
                        sum(one["requests"] for one in rounds),
                        sum(one["failed"] for one in rounds),
                        steady,
                        swapping,
                        swapping / steady,
                    ]
                ],
            },
        ],
    )


def _train_more(url: str, home: Path) -> None:
    """Version 2 beside the sample's first, and version 3 with many deep trees."""
    for params in ({"trees": 60}, {"trees": 3000, "depth": 12, "min_child_weight": 0, "patience": 1000}):
        _train(url, home, params)


def _train(url: str, home: Path, params: dict[str, Any]) -> int:
    """A further version of the sample model: its number."""
    job = ask(f"{url}/api/v1/models/xgb/train", _form(home, params))["job_id"]
    while (seen := ask(f"{url}/api/v1/jobs/{job}"))["status"] in ("queued", "running"):
        time.sleep(0.05)
    if seen["status"] != "done":
        raise SystemExit(f"a training ended as {seen['status']}: {seen['error']}")
    return int(seen["result"]["version"])


def _form(home: Path, params: dict[str, Any]) -> dict[str, Any]:
    source = {"kind": "file", "path": str(home / "sources" / "train_data.csv")}
    return {"algorithm": "xgb", "params": params, "source": source, "promote": False}


def _round(url: str, folder: Path, number: int) -> dict[str, Any]:
    home = folder / "home"
    bad = [_bad_version(url, home, what) for what in ("overwritten", "exchanged")]
    context = multiprocessing.get_context("spawn")
    stop: Event = context.Event()
    with context.Pool(_CLIENTS, initializer=_remember, initargs=(stop,)) as pool:
        clients = [pool.apply_async(_ask_on, (url, f"person-{number}-{n}")) for n in range(_CLIENTS)]
        time.sleep(1.0)
        began = time.time()
        time.sleep(_SWAPS * 0.05)
        middle = time.time()
        swaps, refused = _swap(url, home, bad)
        ended = time.time()
        stop.set()
        seen = [client.get(60) for client in clients]
    done = {
        "requests": sum(len(one.took) for one in seen),
        "failed": sum(len(one.failed) for one in seen),
        "swaps": swaps,
        "refused": refused,
        "back": sum(one.changes > swaps for one in seen),
        "steady": _p99(seen, began, middle),
        "swapping": _p99(seen, middle, ended),
    }
    print(done, [one.failed[:3] for one in seen if one.failed], flush=True)
    return done


def _swap(url: str, home: Path, bad: list[int]) -> tuple[int, int]:
    """Promotes in turn; (how often the champion changed, how many promotions were refused)."""
    done = refused = 0
    for swap in range(_SWAPS):
        began = time.monotonic()
        if swap == 20:
            done += _promoted(url, 3)
        if swap == 40:
            _kill_a_training(url, home)
        if swap in (60, 80):
            refused += not _promoted(url, bad[swap == 80])
        done += _promoted(url, swap % 2 + 1)
        time.sleep(max(0.0, 0.05 - (time.monotonic() - began)))
    return done, refused


def _promoted(url: str, version: int) -> bool:
    try:
        moved = ask(f"{url}/api/v1/models/xgb/promote", {"version": version, "force": True, "reason": "benchmark"})
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
        return False
    return bool(moved["old_version"] != moved["new_version"])


def _bad_version(url: str, home: Path, what: str) -> int:
    """A freshly trained version that is then spoiled behind the registry's back."""
    version = _train(url, home, {"trees": 20})
    folder = home / "artifacts" / "xgb" / "all" / f"v{version}"
    if what == "overwritten":
        (folder / "trees.ubj").write_bytes(b"{}")
    else:
        shutil.copytree(home / "artifacts" / "xgb" / "all" / "v1", folder, dirs_exist_ok=True)
    return version


def _kill_a_training(url: str, home: Path) -> None:
    job = ask(f"{url}/api/v1/models/xgb/train", _form(home, {"trees": 5000, "patience": 1000}))["job_id"]
    noted = home / "jobs" / job / "process.json"
    while not noted.exists():
        time.sleep(0.005)
    os.kill(int(json.loads(noted.read_text())["pid"]), signal.SIGKILL)


_stop: Event


def _remember(stop: Event) -> None:
    global _stop
    _stop = stop


def _ask_on(url: str, person: str) -> Seen:
    """Asks until `_stop`; runs in a process of its own."""
    seen, body, version = Seen(), json.dumps({"data": [_ROW]}), None
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    headers = {"Content-Type": "application/json", "X-User-ID": person}
    while not _stop.is_set():
        began = time.perf_counter()
        try:
            connection.request("POST", "/predictions/xgb", body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except OSError as error:
            seen.failed.append(repr(error))
            connection.close()
            continue
        seen.took.append(time.perf_counter() - began)
        seen.at.append(time.time())
        if answer.status != 200:
            seen.failed.append(f"{answer.status} {told[:200]!r}")
        said = answer.headers.get("X-Model-Version")
        seen.changes += version is not None and said != version
        version = said
    return seen


def _p99(seen: list[Seen], begin: float, end: float) -> float:
    """Milliseconds, of the answers that came between two moments."""
    took = [took for one in seen for at, took in zip(one.at, one.took, strict=True) if begin <= at < end]
    return float(np.percentile(took, 99) * 1000)


if __name__ == "__main__":
    main()
