"""How fast the simulated shop is made, how much memory that takes, and the ends of the scale of its response model."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from benchmarks import record
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.responses import ResponseModel
from shopkeeper.sources.simulator.world import World
from shopkeeper.sources.simulator.yardstick import yardstick

SIZES = (
    SimConfig(),
    SimConfig(history_days=180, avg_events_per_user=120),
    SimConfig(user_count=100_000, product_count=25, app_count=30),
    SimConfig(user_count=100_000, product_count=1000, app_count=500),
)
SEEDS = (1, 2, 3)


def main() -> None:
    model = ResponseModel.version("v1")
    ends = [(seed, yardstick(model, seed=seed)) for seed in SEEDS]
    tables = [
        {
            "title": "Making a history",
            "columns": ["users", "days", "products, apps", "events", "seconds", "events/s", "peak memory, MB"],
            "rows": [_alone(place) for place in range(len(SIZES))],
        },
        {
            "title": "Response model v1: expected clicks on a slate of ten",
            "columns": ["seed of the trial", "random", "oracle"],
            "rows": [[str(seed), each.random, each.oracle] for seed, each in ends],
        },
    ]
    protocol = (
        "Each history is made day by day, on one thread, in a process of its own; memory is that of the whole process. "
        "Trials of the response model: 200 people every seven hours, 60 times."
    )
    record.write("simulator", "The simulated shop", protocol, tables)


def _alone(place: int) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulator", str(place)],
        cwd=record.ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    row: list[object] = json.loads(done.stdout)
    return row


def _made(config: SimConfig) -> list[object]:
    begun = time.perf_counter()
    world = World.make(config, 1, first_day=20_000)
    events = sum(world.day(n).height for n in range(config.history_days))
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    things = f"{config.product_count}, {config.app_count}"
    return [config.user_count, config.history_days, things, events, seconds, events / seconds, memory]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_made(SIZES[int(sys.argv[1])])))
    else:
        main()
