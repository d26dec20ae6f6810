"""Peak memory of the first trainings on the bundled shop, each in its own process."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import record
from benchmarks.opening import Run


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        run = Run(Path(folder), program=Path(sys.executable).with_name("shopkeeper"))
        run.until_answer()
        run.until_ready()
        jobs = run.trainings()
        resident = run.get("/api/v1/operations/metrics")["resources"]["memory_rss_mb"]
        run.stop()
    rows = [[job["params"]["model"], job["params"]["algorithm"], job["result"]["peak_memory_mb"]] for job in jobs[::-1]]
    record.write(
        "memory",
        "Memory of training and serving",
        "`shopkeeper up` on a new home; the kernel's high-water mark of each training's process, and the server's "
        "resident memory when all models serve. One run.",
        [
            {
                "title": "Peak memory",
                "columns": ["process", "algorithm", "MB"],
                "rows": [*rows, ["the server, seven models serving", "", resident]],
            }
        ],
    )


if __name__ == "__main__":
    main()
