"""How long `make test` takes, how many tests that is, and how much of `src` they reach."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

from benchmarks import record


def main() -> None:
    begun = time.perf_counter()
    done = subprocess.run(["make", "test"], cwd=record.ROOT, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begun
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-1000:])
    passed = re.search(r"(\d+) passed", done.stdout)
    reached = json.loads((record.ROOT / "build" / "coverage.json").read_text())["summary"]
    rows = [
        ["`make test` (lint, import contract, types, tests with coverage), minutes", taken / 60],
        ["tests passed", int(passed[1]) if passed else 0],
        ["statements in `src`", reached["covered_lines"] + reached["missing_lines"]],
        ["coverage of `src`, %", reached["percent_covered"]],
    ]
    record.write(
        "tests",
        "Tests",
        "One run of `make test`, packages installed, two workers.",
        [{"title": "Test run", "columns": ["what", "value"], "rows": rows}],
    )


if __name__ == "__main__":
    main()
