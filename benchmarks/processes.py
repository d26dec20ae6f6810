"""Servers that benchmarks start and end: by process, in folders of their own, never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own session; interrupted at the end, and killed with its children when it does not listen."""
    with (folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def sample_shop(folder: Path) -> Iterator[str]:
    """An empty shop with the sample model `xgb`, ready to serve: its address. The home is `folder`/home."""
    environment = {"SHOPKEEPER_HOME": str(folder / "home"), "SHOPKEEPER_LOG_LEVEL": "error"}
    shopkeeper = str(Path(sys.executable).with_name("shopkeeper"))
    command = [shopkeeper, "up", "--shop", "empty", "--no-console", "--port", "0"]
    with running(command, environment, folder) as process:
        url: str = until(process, lambda: json.loads((folder / "home" / "server.json").read_text())["url"])
        until(process, lambda: ready(f"{url}/v2/models/xgb/ready"))
        yield url


def until(process: subprocess.Popen[bytes], look: Callable[[], Any], seconds: float = 180.0) -> Any:
    """What `look` first gives. Ends the benchmark when the process has gone, or time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if seen := look():
                return seen
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"{process.args!r} does not serve (exit status {process.poll()})")


def ask(url: str, body: Any = None, method: str | None = None) -> Any:
    """The JSON answer. Raises OSError (urllib's HTTPError is one) for every other."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def alive(url: str) -> bool:
    """Whether anything answers, be it an error. Raises OSError when nothing does."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True


def ready(url: str) -> bool:
    """Whether it answers with success. Raises OSError when it does not."""
    with urllib.request.urlopen(url, timeout=5):
        return True
