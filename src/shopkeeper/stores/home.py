"""The home folder of one shop, and who is serving it.

shop.db  artifacts/  jobs/  imports/  logs/  spaces/  predictions/  server.lock  server.json
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from shopkeeper.core.errors import Conflict, Invalid

_TRIES, _AGAIN_S = 10, 0.03  # whoever only looks holds the lock for a moment


class ServerInfo(msgspec.Struct, kw_only=True):
    """Who holds the home: `url` of the API and `console`, null for a command that serves nothing."""

    pid: int
    url: str | None = None
    console: str | None = None


class Home:
    """Paths only; nothing is made before `make()`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).resolve()
        self.artifacts = self.path / "artifacts"
        self.jobs = self.path / "jobs"
        self.imports = self.path / "imports"
        self.logs = self.path / "logs"
        self.predictions = self.path / "predictions"
        self._lock_file = self.path / "server.lock"
        self._server_file = self.path / "server.json"

    @property
    def sql_url(self) -> str:
        from shopkeeper.stores.sql import sqlite_url  # brings SQLAlchemy: not for who only looks who is live

        return sqlite_url(self.path)

    @property
    def exists(self) -> bool:
        """A shop was opened here before."""
        return (self.path / "shop.db").exists()

    def make(self) -> Home:
        """Makes the folders that are missing, readable by their owner only. Raises Invalid where that cannot be."""
        try:
            for folder in (self.path, self.artifacts, self.jobs, self.imports, self.logs, self.predictions):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            text = f"no shop can be opened in {self.path} ({error.strerror}: {error.filename})"
            raise Invalid(f"{text}; give another home: --home PATH or SHOPKEEPER_HOME", code="bad_home") from error
        return self

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Makes this process the only one that writes here, until the block ends or the process dies.

        Raises Conflict (code `home_in_use`) naming the one that holds it.
        """
        self.make()
        with open(self._lock_file, "a") as lock:
            if not _take_soon(lock):
                raise Conflict(self._in_use(), code="home_in_use")
            self.announce(None)
            try:
                yield
            finally:
                self._server_file.unlink(missing_ok=True)

    def announce(self, url: str | None, console: str | None = None) -> None:
        """Writes who serves, at once and whole. Only the holder of the lock does this."""
        info = ServerInfo(pid=os.getpid(), url=url, console=console)
        fresh = self._server_file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(info))
        fresh.replace(self._server_file)

    def server(self) -> ServerInfo | None:
        """Who holds the home now; None when nobody does (a leftover file of a killed server counts as nobody)."""
        if not self._lock_file.exists():
            return None
        with open(self._lock_file) as lock:
            if _take(lock, shared=True):
                return None
        try:
            return msgspec.json.decode(self._server_file.read_bytes(), type=ServerInfo)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def live_url(self) -> str | None:
        """The URL of a server that is alive on this home, or None."""
        info = self.server()
        return info.url if info is not None else None

    def _in_use(self) -> str:
        info = self.server()
        if info is None:
            return f"another process uses {self.path}; wait until it has ended"
        at = f" serving {info.url}" if info.url else ""
        return f"process {info.pid}{at} uses {self.path}; stop it first, or give another home: SHOPKEEPER_HOME=PATH"


def _take_soon(lock: IO[str]) -> bool:
    for _ in range(_TRIES):
        if _take(lock):
            return True
        time.sleep(_AGAIN_S)
    return False


def _take(lock: IO[str], *, shared: bool = False) -> bool:
    """The lock belongs to the open file, so it ends with the process, however that ends. `shared`: only to look."""
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
