"""What a child says: bounded, spaced, in order; and how many cores it may use."""

import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.lifecycle.cores import thread_caps, usable_cores
from shopkeeper.lifecycle.reporting import Channel, Reporter, within


class Pipe:
    """Reads all that is written, on a thread of its own."""

    def __init__(self):
        self._reader, writer = os.pipe()
        self.channel = Channel(writer)
        self._writer = writer
        self._read = b""
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self):
        while chunk := os.read(self._reader, 65536):
            self._read += chunk

    def messages(self):
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)
        return [json.loads(line) for line in self._read.splitlines()]


def test_a_thousand_reports_in_a_moment_become_few_and_the_last_one_is_among_them():
    pipe = Pipe()
    report = Reporter(pipe.channel, threading.Event())
    for step in range(1, 1001):
        report(step, 1000, {"loss": 1 / step})
    told = pipe.messages()
    assert len(told) < 100
    assert told[-1]["data"]["percent"] == 100.0


def test_every_epoch_is_told_and_nan_is_left_out():
    pipe = Pipe()
    report = Reporter(pipe.channel, threading.Event())
    for step in range(1, 6):
        report(step, 5, {"loss": float("nan"), "auc": 0.5}, epoch=True)
    assert [(m["type"], m["data"]["step"], m["data"]["metrics"]) for m in pipe.messages()] == [
        ("epoch", step, {"auc": 0.5}) for step in range(1, 6)
    ]


def test_a_report_raises_when_the_job_was_asked_to_stop():
    pipe, stop = Pipe(), threading.Event()
    report = Reporter(pipe.channel, stop)
    stop.set()
    with pytest.raises(Cancelled):
        report(1, 2)
    with pytest.raises(Cancelled):
        report.within(0, 50)(1, 2)
    assert pipe.messages() == []


@given(lo=st.floats(0, 100), hi=st.floats(0, 100), step=st.integers(-5, 200), of=st.integers(-1, 100))
def test_a_part_stays_within_its_part(lo, hi, step, of):
    lo, hi = sorted((lo, hi))
    pipe = Pipe()
    Reporter(pipe.channel, threading.Event()).within(lo, hi)(step, of, epoch=True)
    (told,) = pipe.messages()
    assert lo - 0.06 <= told["data"]["percent"] <= hi + 0.06


def test_parts_of_a_report_that_has_none():
    assert within(silent, 0, 50) is silent


def test_a_message_that_is_no_json_or_too_long_is_refused():
    pipe = Pipe()
    with pytest.raises(Invalid, match="plain JSON"):
        pipe.channel.send({"data": object()})
    with pytest.raises(Invalid, match="at most"):
        pipe.channel.send({"data": "x" * 2_000_000})
    assert pipe.messages() == []


def test_threads_do_not_mix_their_lines():
    pipe = Pipe()
    threads = [
        threading.Thread(target=lambda n=n: [pipe.channel.send({"n": n, "pad": "x" * 9000}) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = pipe.messages()
    assert sorted(m["n"] for m in told) == sorted(list(range(4)) * 50)


@pytest.mark.parametrize(
    ("text", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("x", None), ("max 100000", None)]
)
def test_cores_follow_the_quota(tmp_path, text, expected):
    (tmp_path / "cpu.max").write_text(text)
    cores = usable_cores(tmp_path / "cpu.max")
    assert cores == (expected or usable_cores(tmp_path / "absent"))


def test_caps_cover_every_library():
    caps = thread_caps(3)
    assert caps.pop("OMP_WAIT_POLICY") == "PASSIVE"
    assert set(caps.values()) == {"3"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"} <= set(thread_caps(0))
