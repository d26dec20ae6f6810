"""HTTP/1.1 and WebSocket as the load generator speaks them: just enough, and cheap."""

from __future__ import annotations

import os
import socket
import struct
from base64 import b64encode

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def post(path: str, body: bytes, *, host: str = "127.0.0.1") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def text_frame(message: bytes) -> bytes:
    """A text message as a client sends it. Masked, as the protocol wants, with zeros: the bytes stay as they are."""
    size = len(message)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return head + b"\0\0\0\0" + message


class Http:
    """Keep-alive, answers with a Content-Length."""

    def open(self, connection: socket.socket) -> None:
        pass

    def whole(self, data: bytes) -> int:
        head = data.find(_END)
        if head < 0:
            return 0
        at = data.find(_LENGTH, 0, head)
        if at < 0:
            at = data[:head].lower().find(_LENGTH)
        end = head + 4 + (int(data[at + 15 : data.index(b"\r\n", at)]) if at >= 0 else 0)
        return end if len(data) >= end else 0

    def outcome(self, data: bytes) -> str:
        status = data[9:12]
        if status[:1] == b"2":
            return "ok"
        return "shed" if status in (b"503", b"429") else "error"


class Frames:
    """WebSockets at `path`, each says one of `hellos` first, in turn. An answer of the type error is an error."""

    def __init__(self, path: str, hellos: list[bytes]) -> None:
        self._path, self._hellos, self._opened = path, hellos, 0

    def open(self, connection: socket.socket) -> None:
        key = b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        data = b""
        while _END not in data:
            data += _more(connection)
        if not data.startswith(b"HTTP/1.1 101"):
            raise OSError(f"no WebSocket at {self._path}: {data[:200]!r}")
        connection.sendall(text_frame(self._hellos[self._opened % len(self._hellos)]))
        self._opened += 1
        data = data[data.index(_END) + 4 :]
        while not self.whole(data):
            data += _more(connection)
        if self.outcome(data) != "ok":
            raise OSError(f"the socket was not welcome: {data[:200]!r}")

    def whole(self, data: bytes) -> int:
        if len(data) < 2:
            return 0
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = (int.from_bytes(data[2:4], "big"), 4) if len(data) >= 4 else (1 << 62, 4)
        elif size == 127:
            size, at = (int.from_bytes(data[2:10], "big"), 10) if len(data) >= 10 else (1 << 62, 10)
        return at + size if len(data) >= at + size else 0

    def outcome(self, data: bytes) -> str:
        return "ok" if data[0] & 0x0F == 1 and b'"type":"error"' not in data[:64] else "error"


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise OSError("the server closed the connection")
    return data
