"""Graphics processors, as the driver tells of them: no library has to be imported, and none has to be there."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

_MIB = 1024 * 1024


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`, in bytes."""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Busy(ctypes.Structure):
    """`nvmlUtilization_t`, in percent."""

    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


@cache
def cuda_available() -> bool:
    """Whether CUDA has a device that this process may use."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def gpu() -> dict[str, Any] | None:
    """The first graphics processor of this machine: `{name, count, memory_used_mb, memory_total_mb, percent}`, of all
    that use it; None without one."""
    manager = _manager()
    if manager is None:
        return None
    count, handle = ctypes.c_uint(0), ctypes.c_void_p()
    if manager.nvmlDeviceGetCount_v2(ctypes.byref(count)) or not count.value:
        return None
    if manager.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None
    name, memory, busy = ctypes.create_string_buffer(96), _Memory(), _Busy()
    if manager.nvmlDeviceGetName(handle, name, 96) or manager.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
        return None
    told = manager.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(busy)) == 0
    return {
        "name": name.value.decode(errors="replace"),
        "count": count.value,
        "memory_used_mb": round(memory.used / _MIB, 1),
        "memory_total_mb": round(memory.total / _MIB, 1),
        "percent": float(busy.gpu) if told else None,
    }


@cache
def _manager() -> Any:
    """NVIDIA's management library, begun once; None where it is not installed or finds no driver."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None
