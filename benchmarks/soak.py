"""An hour under load: what grows. `python -m benchmarks.soak 10` takes ten minutes instead and says so."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record, shops
from benchmarks.load import Load, Plan, offered, run
from benchmarks.load_mix import FEEDBACK, MARK, Asker
from benchmarks.load_wires import Http

_MINUTES = 60
_WARM_SHARE, _READING_SHARE = 1 / 6, 1 / 3
_OFFERED, _FEEDBACK = 500, 0.05
_MINUTE_S = 60.0
_ROWS = 12


def main() -> None:
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else _MINUTES
    warm, reading = max(1, round(minutes * _WARM_SHARE)), round(minutes * (1 - _READING_SHARE))
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as name:
        home = shops.trained(Path(name))
        with shops.serving(home, Path(name)) as server:
            asker = Asker(shops.ids(server.url, "users", "user_id"), shops.ids(server.url, "items", "item_id"))
            shops.settle(server)
            seen = [_state(server, home)]
            told: list[Load] = []
            for minute in range(minutes):
                told.append(_minute(server.port, asker, minute, _FEEDBACK if minute < reading else 0.0))
                seen.append(_state(server, home))
                print(minute + 1, round(told[-1].per_second), round(told[-1].p99, 1), *seen[-1], flush=True)
    loads.append(os.getloadavg()[0])
    record.write(
        "soak",
        f"{minutes} minutes under load",
        "`shopkeeper up` with the bundled shop and its first models, one process, the live stream off; the sender on "
        f"the same two cores. {_OFFERED} requests a second fall due (open loop), customers by Zipf's law, scenario "
        f"home. Until minute {reading} {_FEEDBACK:.0%} of them are feedback: events, which the shop keeps for good, in "
        "memory too as far as its windows, sums and graph reach; after that nothing is kept, and what grows then are "
        "caches or leaks. Once a minute: the memory that the server has written (not the files that it maps), its "
        "threads and open files, the size of its database, and of the slates that it keeps (64 MB at most). Growth: "
        "the slope of a line through the memory of the minutes of a part, over one hour, as a share of the memory at "
        "its begin; the first "
        f"{warm} minutes are left out."
        + (
            "" if minutes >= _MINUTES else f" **This run took {minutes} minutes and not the hour that it is made for.**"
        ),
        [
            {
                "title": "In all, after the warm-up",
                "columns": [
                    "part",
                    "requests",
                    "errors",
                    "hit rate",
                    "P50 ms",
                    "P99 ms, worst minute",
                    "growth an hour",
                    "bytes an event",
                ],
                "rows": [
                    ["events are kept", *_whole(told[warm:reading], [one[0] for one in seen[warm : reading + 1]])],
                    ["nothing is kept", *_whole(told[reading:], [one[0] for one in seen[reading:]])],
                ],
            },
            {
                "title": "By minute",
                "columns": [
                    "minute",
                    "answers/s",
                    "P50 ms",
                    "P99 ms",
                    "errors",
                    "memory MB",
                    "threads",
                    "open files",
                    "database MB",
                    "kept slates MB",
                ],
                "rows": [
                    [at + 1, told[at].per_second, told[at].p50, told[at].p99, told[at].errors, *seen[at + 1]]
                    for at in sorted({round(each) for each in np.linspace(0, minutes - 1, min(_ROWS, minutes))})
                ],
            },
        ],
        [f"Load average over one minute: {loads[0]:.1f} at the start, {loads[-1]:.1f} at the end."],
    )


def _minute(port: int, asker: Asker, seed: int, feedback: float) -> Load:
    began = time.monotonic()
    mix = asker.zipf(round(_OFFERED * _MINUTE_S), feedback=feedback)
    due = offered(_OFFERED, _MINUTE_S, seed)
    load = run(Plan(port, mix.payloads, mix.order, 128, _MINUTE_S, Http(), 0.0, due, mix.kinds, MARK))
    time.sleep(max(0.0, _MINUTE_S - (time.monotonic() - began)))
    return load


def _state(server: shops.Server, home: Path) -> tuple[float, int, int, float, float]:
    """MB of its own, threads, open files, MB of the database with its journal, MB of the slates that it keeps."""
    process = server.process
    size = sum(path.stat().st_size for path in home.glob("shop.db*")) / 1e6
    with urllib.request.urlopen(f"{server.url}/api/v1/personalization/cache/stats", timeout=30) as answer:
        kept = json.load(answer)["levels"]["local"]["bytes"] / 1e6
    return shops.private_mb(process), process.num_threads(), process.num_fds(), size, kept


def _whole(told: list[Load], memory: list[float]) -> list[Any]:
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0] if len(memory) > 1 else float("nan")
    events = sum(load.kinds[FEEDBACK][2] for load in told if FEEDBACK in load.kinds) / max(len(told), 1)
    return [
        sum(load.requests for load in told),
        sum(load.errors for load in told),
        float(np.mean([load.hit_rate for load in told])),
        float(np.median([load.p50 for load in told])),
        max(load.p99 for load in told),
        f"{slope * 60 / memory[0]:+.2%}",
        round(slope * 1e6 / events) if events else "",
    ]


if __name__ == "__main__":
    main()
