"""One request of the fast lane, as its handlers see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs

from shopkeeper.api.errors import Answer


@dataclass(frozen=True, slots=True)
class Call:
    """One hot request: what a handler may look at."""

    body: bytes
    query: bytes
    model: str = ""
    version: str | None = None
    headers: Iterable[tuple[bytes, bytes]] = ()

    def asked(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return parse_qs(self.query.decode("latin-1")).get(name, [None])[-1] if self.query else None

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes."""
        return (self.asked(name) or "").lower() in ("true", "1", "yes")

    def header(self, name: bytes) -> bytes | None:
        """A header by its name in lower case."""
        return next((value for key, value in self.headers if key == name), None)


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]
