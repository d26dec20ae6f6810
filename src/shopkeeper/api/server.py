"""uvicorn, run by us: our sockets, our signals, and streams that end when the server drains."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import uvicorn

from shopkeeper.api.app import Closing, create_app
from shopkeeper.api.grpc_server import GrpcServer
from shopkeeper.api.middleware import Gatehouse
from shopkeeper.api.sockets import SocketProtocol
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Conflict

_TURN_S = 0.0005
"""After so long a thread that computes hands Python back to the loop, if that has something to do. With the 5 ms that
are usual an answer waited longer for the thread that writes than it took to make."""


class Server(uvicorn.Server):
    """Serves one shop. `should_exit = True` drains: open streams end, running requests get `drain_s` to finish."""

    def __init__(self, shop: Shop, listener: socket.socket) -> None:
        self.closing = Closing()
        self.listener = listener
        self.drain_s = shop.settings.drain_s
        self.grpc = _grpc(shop, self.closing)
        app = create_app(shop, self.closing, manage=False)
        config = uvicorn.Config(
            app,
            http=_http(shop, app),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(shop.settings.drain_s)),
            ws=SocketProtocol,
            ws_max_size=1024 * 1024,
            ws_per_message_deflate=False,
        )
        super().__init__(config)

    async def run_until_stopped(self) -> None:
        """Returns after the last request was answered. Starting and stopping the shop is the caller's."""
        await self.serve([self.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.grpc is not None:
            await self.grpc.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.closing.set()
        stopping = [super().shutdown(sockets)]
        if self.grpc is not None:
            stopping.append(self.grpc.stop(self.drain_s))
        await asyncio.gather(*stopping)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the server."""
        yield


def _grpc(shop: Shop, closing: Closing) -> GrpcServer | None:
    """None while no port is set; its libraries are an extra."""
    settings = shop.settings
    if not settings.grpc_port:
        return None
    return GrpcServer(shop, settings.host, settings.grpc_port, closing.is_set)


def _http(shop: Shop, app: Gatehouse) -> Any:
    """What makes the protocol of a connection."""
    if find_spec("httptools") is None:
        return "auto"
    from shopkeeper.api.keptlane import HttpProtocol, KeptLane

    return partial(HttpProtocol, lane=KeptLane(shop, app))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs the server's main task on the fastest loop that is installed."""
    sys.setswitchinterval(_TURN_S)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (twice the requests a second), else asyncio's own."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises Conflict when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off (40 ms an answer) only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"cannot listen on {host}:{port} ({error.strerror}); give another port: --port 0 takes a free one",
            code="port_taken",
        ) from error
    listener.set_inheritable(False)
    return listener


def address(listener: socket.socket, host: str) -> str:
    """The URL at which people reach a listening socket."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
