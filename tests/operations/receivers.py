"""A real receiver of webhooks on loopback, which answers as a test tells it."""

from __future__ import annotations

import json
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    path: str
    headers: dict[str, str]  # names in small letters
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)


class Receiver:
    """`got` fills as posts come. `answer(post, number)` gives status and headers; it may wait."""

    def __init__(self, answer: Callable[[Got, int], tuple[int, dict[str, str]]], port: int, tls: ssl.SSLContext | None):
        self.got: queue.Queue[Got] = queue.Queue()
        self.count = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                post = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.count += 1
                number = receiver.count
                receiver.got.put(post)
                status, headers = answer(post, number)
                self.send_response(status)
                for name, value in ({"content-length": "0"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/hook"

    def take(self, many: int, timeout: float = 30.0) -> list[Got]:
        return [self.got.get(timeout=timeout) for _ in range(many)]


@contextmanager
def receiving(
    answer: Callable[[Got, int], tuple[int, dict[str, str]]] = lambda *_: (204, {}),
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Receiver]:
    receiver = Receiver(answer, port, tls)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
