"""What this process takes from the machine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.telemetry.devices import gpu

if TYPE_CHECKING:
    import psutil

_MIB = 1024 * 1024


def snapshot(clock: Clock) -> dict[str, Any]:
    """`{timestamp, cpu_percent, memory_rss_mb, memory_vms_mb, gpu, pid}`.

    `cpu_percent` is measured since the previous call (100 is one core; 0.0 at the first). `gpu` is null without one.
    """
    process = _process()
    memory = process.memory_info()
    return {
        "timestamp": rfc3339(clock.wall()),
        "cpu_percent": process.cpu_percent(),
        "memory_rss_mb": round(memory.rss / _MIB, 1),
        "memory_vms_mb": round(memory.vms / _MIB, 1),
        "gpu": gpu(),
        "pid": process.pid,
    }


@cache
def _process() -> psutil.Process:
    import psutil

    return psutil.Process()
