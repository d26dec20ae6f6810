"""A limit to how long a server may stay silent. Database libraries wait for as long as the connection stands."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Patience:
    """Ends a connection from outside when it is waited for too long: the waiting library then sees it lost."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self.over: float | None = None
        """The seconds that were waited in vain."""

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._end, (seconds,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Nothing more is wanted from the server, not even what it still has to send."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def _end(self, seconds: float) -> None:
        self.over = seconds
        self.cut()
