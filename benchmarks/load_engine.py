"""The sender of the load benchmarks: one thread over epoll and plain sockets, so that it is never what is measured.

Closed loop: every connection asks again when it was answered. Open loop: requests fall due at moments drawn before, and
a latency counts from the moment that a request was due, also where it had to wait for a free connection: a server that
stalls cannot hide the requests that the stall kept from being sent (coordinated omission).
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 18
_PATIENCE_S = 10.0
_SLEEP_S = 0.05
_SAMPLES = 3


class Wire(Protocol):
    """How messages follow each other on a connection."""

    def open(self, connection: socket.socket) -> None:
        """Whatever comes before the first request, on a blocking socket."""

    def whole(self, data: bytes) -> int:
        """Bytes of the first message in `data`, 0 while it is not complete."""

    def outcome(self, data: bytes) -> str:
        """`ok`, `shed`, or `error`."""


@dataclass(frozen=True)
class Plan:
    """`order` int32 (n,): which payload the n-th request sends, round and round. `due` float64 (n,): seconds after the
    begin at which it is due, None for a closed loop. `kinds` int8 (payloads,): what the summary keeps apart. `mark`
    comes before `t`rue or `f`alse near the end of an answer."""

    port: int
    payloads: list[bytes]
    order: NDArray[np.int32]
    connections: int
    seconds: float
    wire: Wire
    warm_s: float = 0.0
    due: NDArray[np.float64] | None = None
    kinds: NDArray[np.int8] | None = None
    mark: bytes = b""


@dataclass
class Taken:
    """`milliseconds` float64 (m,) of every good answer after the warm-up and `kinds` int8 (m,); `outcomes` counts all
    answers: ok, shed, error, lost; `hits`, `misses` by the
    plan's mark; `unanswered` were due and never answered; `busy` is the share of the time that the sender worked;
    `seconds` are those that were measured; `answers` are all, with those of the warm-up."""

    milliseconds: NDArray[np.float64]
    kinds: NDArray[np.int8]
    outcomes: dict[str, int]
    hits: int
    misses: int
    unanswered: int
    busy: float
    seconds: float
    answers: int = 0
    samples: list[str] = field(default_factory=list)


class _Run:
    def __init__(self, plan: Plan, stopped: Callable[[], bool]) -> None:
        self.plan, self.stopped = plan, stopped
        self.seconds, self.cut = plan.seconds, False
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.buffers: dict[int, bytes] = {}
        self.asked: dict[int, int] = {}  # by connection, the number of the request on its way
        self.started: dict[int, float] = {}
        self.numbers: list[int] = []
        self.latencies: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self.hits = self.misses = self.next = self.answers = 0
        self.slept = 0.0
        self.samples: list[str] = []

    def connect(self) -> None:
        for _ in range(self.plan.connections):
            self._connect()

    def _connect(self) -> int:
        connection = socket.create_connection(("127.0.0.1", self.plan.port), timeout=_PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.plan.wire.open(connection)
        connection.setblocking(False)
        at = connection.fileno()
        self.sockets[at], self.buffers[at] = connection, b""
        self.poll.register(at, select.EPOLLIN)
        return at

    def send(self, at: int, since: float) -> None:
        """Sends the next request; its latency counts from `since`."""
        plan = self.plan
        number = self.next
        self.next += 1
        while True:
            self.asked[at], self.started[at] = number, since
            try:
                self.sockets[at].sendall(plan.payloads[plan.order[number % len(plan.order)]])
                return
            except OSError:
                at = self._lost(at)

    def _lost(self, at: int) -> int:
        """Another connection in the place of one that the server has closed: a failure of the request on its way."""
        self.outcomes["lost"] += self.asked.pop(at, None) is not None
        self.poll.unregister(at)
        self.sockets.pop(at).close()
        del self.buffers[at]
        return self._connect()

    def answered(self, at: int, begin: float) -> int:
        """Reads what has come. The connection that is free for the next request, -1 while there is none."""
        try:
            data = self.sockets[at].recv(_CHUNK)
        except BlockingIOError:
            return -1
        except OSError:
            data = b""
        if not data:
            return self._lost(at)
        if self.buffers[at]:
            data = self.buffers[at] + data
        size = self.plan.wire.whole(data)
        self.buffers[at] = data[size:]
        if not size or at not in self.asked:  # not all of it yet, or a message that nobody asked for
            return -1
        number, now = self.asked.pop(at), time.perf_counter()
        self.answers += 1
        if self.started[at] >= begin:
            self._note(number, now - self.started[at], data[:size])
        return at

    def _note(self, number: int, seconds: float, answer: bytes) -> None:
        outcome = self.plan.wire.outcome(answer)
        self.outcomes[outcome] += 1
        if outcome != "ok":
            if len(self.samples) < _SAMPLES:
                self.samples.append(repr(answer[:400]))
            return
        self.numbers.append(number)
        self.latencies.append(seconds)
        mark = self.plan.mark
        if mark and (at := answer.rfind(mark)) >= 0:
            hit = answer[at + len(mark)] == 0x74  # t of true
            self.hits += hit
            self.misses += not hit

    def closed(self) -> float:
        """Until the time is over; the seconds it took."""
        origin = time.perf_counter()
        begin = origin + self.plan.warm_s
        end = begin + self.plan.seconds
        for at in list(self.sockets):
            self.send(at, time.perf_counter())
        while self.asked and (now := time.perf_counter()) < end + _PATIENCE_S:
            found = self.poll.poll(_SLEEP_S)
            self.slept += time.perf_counter() - now
            for at, _ in found:
                free = self.answered(at, begin)
                if free >= 0 and (now := time.perf_counter()) < end:
                    self.send(free, now)
        return time.perf_counter() - origin

    def open(self, due: NDArray[np.float64]) -> float:
        """Until everything that fell due is answered, or nobody can wait for it any longer; the seconds it took."""
        origin = time.perf_counter()
        begin = origin + self.plan.warm_s
        moments = (due + origin).tolist()
        idle, last, looked = list(self.sockets), moments[-1], origin
        while (now := time.perf_counter()) < last + _PATIENCE_S and (self.next < len(moments) or self.asked):
            while idle and self.next < len(moments) and moments[self.next] <= now:
                self.send(idle.pop(), moments[self.next])
            wait = min(_SLEEP_S, moments[self.next] - now) if idle and self.next < len(moments) else _SLEEP_S
            before = time.perf_counter()
            # select waits microseconds where epoll waits whole milliseconds.
            select.select([self.poll.fileno()], [], [], max(wait, 0.0))
            self.slept += time.perf_counter() - before
            for at, _ in self.poll.poll(0):
                free = self.answered(at, begin)
                if free >= 0:
                    idle.append(free)
            if now - looked > _SLEEP_S and self.next < len(moments):
                looked = now
                if self.stopped():
                    del moments[self.next :]
                    last, self.seconds = now, now - begin
                    self.cut = True
        self.seconds = max(self.seconds, time.perf_counter() - begin)  # a backlog is worked off after the last was due
        return time.perf_counter() - origin

    def taken(self, whole_s: float) -> Taken:
        plan = self.plan
        kinds = np.zeros(len(plan.payloads), dtype=np.int8) if plan.kinds is None else plan.kinds
        sent = plan.order[np.array(self.numbers, dtype=np.int64) % len(plan.order)]
        never = 0 if plan.due is None or self.cut else len(plan.due) - self.next
        return Taken(
            milliseconds=np.array(self.latencies) * 1000,
            kinds=kinds[sent],
            outcomes=dict(self.outcomes),
            hits=self.hits,
            misses=self.misses,
            unanswered=never + len(self.asked),
            busy=1 - self.slept / max(whole_s, 1e-9),
            seconds=self.seconds,
            answers=self.answers,
            samples=self.samples,
        )

    def close(self) -> None:
        for one in self.sockets.values():
            one.close()
        self.poll.close()


def drive(plan: Plan, stopped: Callable[[], bool] = lambda: False) -> Taken:
    """Runs a plan in this process; an open loop ends early when `stopped`. Raises OSError when nobody listens."""
    run = _Run(plan, stopped)
    try:
        run.connect()
        whole = run.closed() if plan.due is None else run.open(plan.due)
        return run.taken(whole)
    finally:
        run.close()
