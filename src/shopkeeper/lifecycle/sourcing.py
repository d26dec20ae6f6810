"""Which training data may be read here, with whose password, and where passwords are while a job waits: in memory.

access = SourceAccess(folder=home / "sources", hosts=("db.example:3306",), connections=settings.connection)
access.check(source)                     # Refused for other files and other servers
kept, ticket = access.keep(source)       # what may be stored, and a ticket for the rest
access.whole(kept, ticket)               # for the child: with the secrets, and what the environment knows
access.forget(ticket)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid, NotFound, Refused, Unavailable
from shopkeeper.core.hosts import matches
from shopkeeper.core.ids import ulid
from shopkeeper.sources.tables import kind_of, options_of, reach_of

Source: TypeAlias = Mapping[str, Any]
Connections: TypeAlias = Callable[[Source], Mapping[str, Any]]
"""What the server's environment says for a source: host, port, user, password; or endpoint, region, keys."""

SECRETS = ("password", "access_key", "secret_key", "session_token")
_PLACE = ("host", "port", "endpoint")
_STYLE = ("region", "addressing")
_WHO = ("user", *SECRETS)


class SourceAccess:
    """`folder`: the only one whose files may be read. `hosts`: the only servers beside those of the environment, as
    names, addresses or patterns with `*`, with or without a port. None: everything, as whoever may ask is the machine's
    user. Safe to share between threads.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        hosts: Sequence[str] | None = None,
        connections: Connections = lambda _: {},
    ) -> None:
        self._folder = folder
        self._hosts = hosts
        self._connections = connections
        self._kept: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    # -- what may be read

    def check(self, source: Source) -> None:
        """Raises Refused for a file or a server that is not allowed, Invalid for an option that the kind has not."""
        self.check_path(source.get("path"), str(source.get("kind")))
        if source.get("kind") not in plugins.names("table"):
            return
        filled = self._filled(source)
        options_of(filled)
        try:
            reach = reach_of(filled)
        except NotFound:
            return  # nothing there to refuse: the job says what is missing
        for path in reach.paths:
            self._check_file(Path(path))
        own = self._is_ours(source)
        for host in reach.hosts:
            if not own and not self._allowed(host):
                raise Refused(
                    f"training data may not be read from {host}; let the shop's keeper add it to "
                    "SHOPKEEPER_SOURCE_HOSTS",
                    code="source_not_allowed",
                )

    def check_path(self, path: Any, kind: str = "file") -> None:
        """Raises Refused for a path or a pattern that leads out of the folder."""
        if path is not None and kind != "oss":
            self._check_file(Path(str(path)))

    def _check_file(self, path: Path) -> None:
        if self._folder is None:
            return
        if "\0" in str(path) or not path.resolve().is_relative_to(self._folder.resolve()):
            raise Refused(
                f"a training may read files below {self._folder} only; put the file there", code="source_not_allowed"
            )

    def _allowed(self, server: str) -> bool:
        return self._hosts is None or any(matches(server, pattern) for pattern in self._hosts)

    # -- secrets

    def keep(self, source: Source) -> tuple[dict[str, Any], str | None]:
        """(the source without secrets, a ticket for them). Without a secret there is no ticket."""
        names = secrets_of(source)
        secret = {name: source[name] for name in names if source.get(name) is not None}
        public = {name: value for name, value in source.items() if name not in names}
        if not secret:
            return public, None
        ticket = ulid()
        with self._lock:
            self._kept[ticket] = secret
        return public, ticket

    def forget(self, ticket: str | None) -> None:
        with self._lock:
            self._kept.pop(ticket or "", None)

    def whole(self, source: Source, ticket: str | None) -> dict[str, Any]:
        """The source as its reader needs it. Raises Unavailable when its secrets went with an earlier process and the
        environment has none."""
        with self._lock:
            secret = self._kept.get(ticket or "", {})
        filled = self._filled({**source, **secret})
        if ticket is not None and not secret and not any(filled.get(name) for name in SECRETS):
            raise Unavailable(
                "the password that came with this training is gone, because the shop was restarted: it is kept in "
                "memory only. Ask for the training again, or set the password in the server's environment",
                code="secret_gone",
            )
        return filled

    def _filled(self, source: Source) -> dict[str, Any]:
        """With what the environment knows. Its password goes to its own server, and elsewhere only where whoever asks
        is the machine's user anyway; never beside a user or a key that the request names itself."""
        known = {name: value for name, value in self._connections(source).items() if value is not None}
        filled = dict(source)
        ours = _same(source, known, _PLACE)
        wanted: list[str] = []
        if ours:
            wanted += [*_PLACE, *_STYLE]
        elif source.get("host") is None:
            wanted += ["host"]
        alone = not any(source.get(name) is not None for name in SECRETS) and _same(source, known, ("user",))
        if alone and (ours or self._hosts is None):
            wanted += _WHO
        for name in wanted:
            if filled.get(name) is None and name in known:
                filled[name] = known[name]
        return filled

    def _is_ours(self, source: Source) -> bool:
        """Whether it is the environment's own server."""
        known = {name: value for name, value in self._connections(source).items() if value is not None}
        return any(name in known for name in (*_PLACE, *_WHO)) and _same(source, known, _PLACE)


def _same(source: Source, known: Mapping[str, Any], names: Sequence[str]) -> bool:
    return all(source.get(name) in (None, known.get(name)) for name in names)


def secrets_of(source: Source) -> tuple[str, ...]:
    """Names of what is secret: ours always, and those of the kind."""
    try:
        return (*SECRETS, *kind_of(source).secrets)
    except (Invalid, Unavailable):
        return SECRETS
