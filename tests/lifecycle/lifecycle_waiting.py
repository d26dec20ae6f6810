"""Waiting for what other processes do, bounded and without a fixed sleep."""

import time
from collections.abc import Callable
from pathlib import Path


def eventually(condition: Callable[[], object], timeout_s: float = 30.0) -> object:
    """The first true value; fails the test when there is none in time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie that nobody has reaped does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
