"""What the driver tells of graphics processors is what torch finds, and a machine without one says so."""

import pytest

from shopkeeper.core.clock import SystemClock
from shopkeeper.telemetry.devices import cuda_available, gpu
from shopkeeper.telemetry.resources import snapshot


def test_cuda_is_there_for_us_when_it_is_for_torch():
    torch = pytest.importorskip("torch", reason="needs the extra deep")
    assert cuda_available() is torch.cuda.is_available()


def test_the_resources_tell_of_a_processor_or_of_none():
    told = snapshot(SystemClock())["gpu"]
    assert told == gpu() or told is not None
    if told is None:
        assert not cuda_available()
        return
    assert told["count"] >= 1
    assert 0 <= told["memory_used_mb"] <= told["memory_total_mb"]
