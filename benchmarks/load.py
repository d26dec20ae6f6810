"""A bounded load generator for loopback: N keep-alive connections, each sends again when the last was answered.

Runs in a process of its own (`measure`), so that it competes with the server for cores but not for an interpreter.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass
from typing import cast

import numpy as np


@dataclass(frozen=True)
class Load:
    """Latencies in milliseconds as the client saw them; `errors` counts answers that were not 2xx."""

    connections: int
    requests: int
    errors: int
    per_second: float
    p50: float
    p99: float


def request(path: str, body: bytes, *, host: str = "127.0.0.1") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measure(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    """Drives `requests` round robin for `seconds` (after a tenth of that as warm-up)."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_drive, (port, requests, connections, seconds))


def _drive(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    import uvloop

    return uvloop.run(_run(port, requests, connections, seconds))


async def _run(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + seconds * 0.1
    end = begin + seconds
    clients = [_Client(requests[i:] + requests[:i], begin, end) for i in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    taken = np.concatenate([np.array(client.latencies) for client in clients]) * 1000
    return Load(
        connections=connections,
        requests=len(taken),
        errors=sum(client.errors for client in clients),
        per_second=len(taken) / seconds,
        p50=float(np.percentile(taken, 50)) if len(taken) else float("nan"),
        p99=float(np.percentile(taken, 99)) if len(taken) else float("nan"),
    )


class _Client(asyncio.Protocol):
    """One connection. Reads just enough HTTP: the status and Content-Length."""

    def __init__(self, requests: list[bytes], begin: float, end: float) -> None:
        self.requests, self.begin, self.end = requests, begin, end
        self.latencies: list[float] = []
        self.errors = 0
        self.sent = 0
        self.buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_event_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self.started = time.perf_counter()
        if self.started >= self.end:
            self.transport.close()
            return
        self.transport.write(self.requests[self.sent % len(self.requests)])
        self.sent += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.lower().find(b"content-length:")
        length = int(self.buffer[at + 15 : self.buffer.index(b"\r\n", at)])
        if len(self.buffer) < head + 4 + length:
            return
        now = time.perf_counter()
        if now >= self.begin:
            self.latencies.append(now - self.started)
            self.errors += not self.buffer.startswith(b"HTTP/1.1 2")
        self.buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.errors += exc is not None
        if not self.done.done():
            self.done.set_result(None)
