"""From a fresh clone to the first answer, the second start, and what importing and training take."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import record

_LIMIT_S = 900
_BODY = json.dumps({"user_id": "17850", "scenario": "home"}).encode()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        clone = Path(folder) / "shopkeeper"
        started = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", str(record.ROOT), str(clone)], check=True)
        subprocess.run(["make", "setup"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
        installed = time.perf_counter() - started
        first = Run(clone)
        first_answer = first.until_answer()
        ready = first.until_ready()
        versions = first.trainings()
        all_trained = time.perf_counter() - first.begun
        events = first.get("/api/v1/operations/metrics")["ingestion"]["events"]
        stopped = first.stop()
        second = Run(clone)
        second_answer = second.until_answer()
        resident = second.get("/api/v1/operations/metrics")["resources"]["memory_rss_mb"]
        second.stop()
        opening = _opening(clone)
    tables = [
        {
            "title": "Opening the bundled shop",
            "columns": ["step", "seconds"],
            "rows": [
                ["clone and install (warm package cache)", installed],
                ["`shopkeeper up` on a new home to the first slate (import; the models train meanwhile)", first_answer],
                ["fresh clone to the first slate", installed + first_answer],
                ["`shopkeeper up` on a new home until it is ready: slates ranked, products forecast", ready],
                ["fresh clone until it is ready", installed + ready],
                [f"fresh clone until all {len(versions)} first models are trained", installed + all_trained],
                ["second start to the first slate", second_answer],
                ["stop (Ctrl-C to exit)", stopped],
            ],
        },
        {
            "title": "Import of the bundled shop alone (`--no-train`, new home)",
            "columns": ["what", "value"],
            "rows": [
                ["events in the log", events],
                ["seconds to clean, store and read them, to the first slate", opening],
                ["source rows per second (541,909 rows)", 541_909 / opening],
                ["memory of the server after a second start, MB", resident],
            ],
        },
        {
            "title": "Training jobs",
            "columns": ["model", "algorithm", "seconds"],
            "rows": _trainings(versions),
        },
        {"title": "Importing the package (median of 7)", "columns": ["command", "milliseconds"], "rows": _imports()},
    ]
    record.write(
        "opening",
        "From clone to first answer",
        "A fresh clone in a new folder, `make setup`, then `shopkeeper up --no-console`; the first slate is polled "
        "every 50 ms over HTTP. One run; the package cache is warm.",
        tables,
    )


class Run:
    """One `shopkeeper up` of the clone."""

    def __init__(self, clone: Path, *more: str, home: str = "var", program: Path | None = None) -> None:
        self.home = clone / home
        environment = {**os.environ, "SHOPKEEPER_HOME": str(self.home)}
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(
            [str(program or clone / ".venv" / "bin" / "shopkeeper"), "up", "--no-console", "--port", "0", *more],
            cwd=clone,
            env=environment,
            stdout=subprocess.DEVNULL,
        )

    def until_answer(self) -> float:
        """Seconds from the start until the first slate came back."""
        while time.perf_counter() - self.begun < _LIMIT_S:
            if self.process.poll() is not None:
                raise SystemExit(f"shopkeeper up ended with {self.process.returncode}")
            try:
                self._ask("/api/v1/personalization/recommend", _BODY)
            except (OSError, KeyError, ValueError, TypeError):  # not there yet, or nobody serves yet
                time.sleep(0.05)
            else:
                return time.perf_counter() - self.begun
        raise SystemExit("no answer in time")

    def until_ready(self) -> float:
        """Seconds from the start until every model served that a shop is not ready without."""
        while time.perf_counter() - self.begun < _LIMIT_S:
            try:
                self._ask("/readyz", None)
            except OSError:
                time.sleep(0.2)
            else:
                return time.perf_counter() - self.begun
        raise SystemExit("not ready in time")

    def trainings(self) -> list[dict[str, Any]]:
        """The training jobs, newest first, when all are finished: a model may serve before its job says `done`."""
        while True:
            jobs: list[dict[str, Any]] = self.get("/api/v1/jobs?kind=train&limit=100")["items"]
            if all(job["status"] == "done" for job in jobs):
                return jobs
            time.sleep(0.2)

    def get(self, path: str) -> Any:
        return self._ask(path, None)

    def stop(self) -> float:
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        return time.perf_counter() - begun

    def _ask(self, path: str, body: bytes | None) -> Any:
        url = json.loads((self.home / "server.json").read_text())["url"]
        request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def _opening(clone: Path) -> float:
    run = Run(clone, "--no-train", home="var-import")
    taken = run.until_answer()
    run.stop()
    return taken


def _trainings(jobs: list[dict[str, Any]]) -> list[list[Any]]:
    rows = []
    for job in reversed(jobs):
        taken = datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])
        rows.append([job["params"]["model"], job["params"]["algorithm"], taken.total_seconds()])
    return rows


def _imports() -> list[list[Any]]:
    bare = _milliseconds(sys.executable, "-c", "pass")
    package = _milliseconds(sys.executable, "-c", "import shopkeeper")
    command = _milliseconds(str(Path(sys.executable).with_name("shopkeeper")), "--help")
    return [
        ["python -c pass", bare],
        ["python -c 'import shopkeeper'", package],
        ["shopkeeper --help", command],
    ]


def _milliseconds(*command: str) -> float:
    taken = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
