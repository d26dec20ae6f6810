"""What the cache says that it takes is what it takes, and it stays within that whatever is asked."""

import gc
import tracemalloc

import msgspec
import numpy as np
import pytest

from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.slates.entry import Entry
from shopkeeper.recommend.slates.keys import key_of
from shopkeeper.recommend.slates.local import Local
from shopkeeper.recommend.slates.window import Window

MIB = 1024 * 1024


def _kept(local: Local, number: int, tail: int, *, item_rows: int = 10) -> bytes:
    body = b'{"user_id":"user-%d","scenario":"home","context":{"page":%d}}' % (number, number)
    request = msgspec.json.decode(body, type=RecRequest)
    rows = tuple((number * 7 + k) % 4000 for k in range(item_rows))
    entry = Entry(
        key_of(request, number), request, slate_id=f"{number:026d}", tail=bytes(tail), scenario="home", rows=rows,
        until=1e9, renew_at=1e9,
    )  # fmt: skip
    local.put(entry)
    local.alias(entry, body)
    return body


@pytest.mark.parametrize("tail", [200, 4000])
def test_bytes_are_what_is_taken(tail: int) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        local = Local(8 * MIB)
        for number in range(20_000):
            _kept(local, number, tail)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert local.evicted > 0
    assert local.size <= 8 * MIB
    assert 0.5 * local.size < taken < 1.15 * local.size


def test_a_storm_of_different_questions_stays_within_bytes() -> None:
    local = Local(MIB)
    bodies = [_kept(local, number, 3000) for number in range(50_000)]
    largest = 0
    for number in range(50_000, 1_000_000):
        if number % 50 == 0:  # the rest would only take longer
            _kept(local, number, 3000)
            largest = max(largest, local.size)
    assert largest <= MIB
    assert len(local.by_body) == len(local) < 300
    assert all(body not in local.by_body for body in bodies)
    assert local.size == sum(entry.size for entry in local)
    assert len(local._showing) <= 10 * len(local)


def test_a_storm_of_changes_and_evictions_leaves_the_count_right() -> None:
    local = Local(200_000)
    draw = np.random.default_rng(7)
    for number in range(5_000):
        _kept(local, int(draw.integers(0, 300)), int(draw.integers(0, 3000)))
        if number % 7 == 0:
            local.drop_user(int(draw.integers(0, 300)))
        if number % 11 == 0:
            local.drop_item(int(draw.integers(0, 4000)))
    assert local.size == sum(entry.size for entry in local)
    assert {entry for found in local._of.values() for entry in found} == set(local)
    assert {entry for found in local._showing.values() for entry in found} == set(local)
    assert {body for entry in local for body in entry.bodies} == set(local.by_body)


def test_percentiles_are_those_of_all_answers_of_a_minute() -> None:
    window = Window(1000.0)
    draw = np.random.default_rng(3)
    ms = draw.lognormal(0, 1.5, 30_000)
    for second, part in enumerate(np.array_split(ms, 30)):
        for each in part:
            window.add(float(each))
        window.fold(1001.0 + second)
    speed = window.speed(1031.0)
    for share, told in ((50, speed.p50_latency_ms), (95, speed.p95_latency_ms), (99, speed.p99_latency_ms)):
        assert told == pytest.approx(np.percentile(ms, share), rel=0.03)
    assert speed.avg_latency_ms == pytest.approx(ms.mean(), rel=1e-3)
    assert speed.qps == pytest.approx(30_000 / 31, rel=0.01)
    assert window.speed(1031.0 + 61).p99_latency_ms == 0.0
    window.fail(1100.0)
    window.add(1.0)
    assert window.speed(1100.5).error_rate == 0.5


def test_a_clock_that_jumps_ahead_forgets_and_goes_on() -> None:
    window = Window(0.0)
    window.add(1.0)
    window.fold(1e6)
    window.add(2.0)
    assert window.speed(1e6 + 100).qps == pytest.approx(0.0, abs=0.1)
