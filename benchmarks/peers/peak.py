"""How much memory a process has needed since a moment (Linux)."""

from __future__ import annotations

from pathlib import Path


def peak_from_now() -> float:
    """Forgets the peak until now, that of reading the data; MB now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def peak_mb() -> float:
    """Most MB that lay in memory since `peak_from_now`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
