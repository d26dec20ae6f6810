"""Real Redis servers for tests: private instances on free loopback ports, in folders of their own, ended by pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_START_S = 20.0


@dataclass
class RedisServer:
    """`stop` and `start` it as often as a test likes; it comes back empty, on the same port."""

    program: Path
    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        keep = ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [str(self.program), *where, *keep, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()

    def stop(self) -> None:
        """As a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def command(self, *parts: str) -> bytes:
        """One command, the bytes of its answer."""
        text = f"*{len(parts)}\r\n" + "".join(f"${len(part.encode())}\r\n{part}\r\n" for part in parts)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(text.encode())
            return connection.recv(1 << 20)

    def _wait(self) -> None:
        until = time.monotonic() + _START_S
        while True:
            try:
                if self.command("PING") == b"+PONG\r\n":
                    return
            except OSError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.02)


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    found = shutil.which("redis-server")
    if found is None:
        reason = "needs a Redis server: apt-get install redis-server"
        if os.environ.get("SHOPKEEPER_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(found), Path(folder), port, options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
