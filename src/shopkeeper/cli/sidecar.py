"""The console's process, beside the server's: started and ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from shopkeeper.core.errors import Conflict

_GRACE_S = 5.0


def free_port(host: str, port: int) -> int:
    """`port`, or a free one for 0. Raises Conflict when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"the console cannot listen on {host}:{port} ({error.strerror}); give another port: --console-port 0 "
                "takes a free one, --no-console goes without",
                code="port_taken",
            ) from error
        found: int = probe.getsockname()[1]
        return found


def url_host(host: str) -> str:
    """How a listening address is written in a URL that people can open here."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


class Sidecar:
    """A child in a session of its own, so that Ctrl-C reaches it only through us."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        tether = [sys.executable, "-m", "shopkeeper.cli.tether", str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | environment,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """SIGTERM to the whole session, SIGKILL after a while. A second call does nothing."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, kind)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
