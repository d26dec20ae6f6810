"""Looking before opening: what would stop a shop from being served, told with the way out."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from shopkeeper.core.errors import Conflict, Refused

if TYPE_CHECKING:
    from shopkeeper.settings import Settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_GRPC = "--grpc-port"
_ROOM_MB = 300


def check_host(host: str, key: str | None) -> None:
    """Raises Refused when the shop would be open to others without a key."""
    if host not in _LOOPBACK and not key:
        raise Refused(
            f"listening on {host} without an API key would open the shop to everybody; set SHOPKEEPER_API_KEY first, "
            "or keep --host 127.0.0.1",
            code="open_to_everybody",
        )


def check_grpc(settings: Settings) -> None:
    """Raises Unavailable without the libraries, Conflict when the port is taken; port 0 is off."""
    if not settings.grpc_port:
        return
    from shopkeeper.api.grpc_server import check_installed

    check_installed()
    if settings.grpc_port in (settings.port, settings.console_port):
        raise Conflict(f"port {settings.grpc_port} is asked for twice; give gRPC its own: {_GRPC}", code="port_taken")
    if (problem := _port((_GRPC, settings.grpc_port))) is not None:
        raise Conflict(problem, code="port_taken")


def check_workers(workers: int) -> None:
    """Raises Refused for more than one."""
    if workers != 1:
        raise Refused(
            f"--workers {workers}: one process serves a shop on SQLite, because its profiles and windows live in its "
            "memory and follow one log; several workers need PostgreSQL and are not there yet. Leave --workers out",
            code="one_worker_only",
        )


def problems(settings: Settings) -> list[str]:
    """Everything that would stop `shopkeeper up` here and now."""
    return [text for text in (_home(settings.home), *map(_port, _ports(settings)), _disk(settings.home)) if text]


def _ports(settings: Settings) -> list[tuple[str, int]]:
    named = [("--port", settings.port), ("--console-port", settings.console_port), (_GRPC, settings.grpc_port)]
    return [(name, port) for name, port in named if port]


def _home(home: Path) -> str | None:
    existing = home.resolve()
    while not existing.exists():
        existing = existing.parent
    if existing.is_dir() and os.access(existing, os.W_OK):
        return None
    return f"{home} cannot be written ({existing}); choose another: --home PATH or SHOPKEEPER_HOME"


def _port(option: tuple[str, int]) -> str | None:
    name, port = option
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            way_out = "0 leaves gRPC off" if name == _GRPC else "0 takes a free one"
            return f"port {port} cannot be used ({error.strerror}); give another: {name} {way_out}"
    return None


def _disk(home: Path) -> str | None:
    from shutil import disk_usage

    existing = home.resolve()
    while not existing.exists():
        existing = existing.parent
    free = disk_usage(existing).free >> 20
    return f"only {free} MB are free at {existing}; a shop needs {_ROOM_MB}" if free < _ROOM_MB else None
