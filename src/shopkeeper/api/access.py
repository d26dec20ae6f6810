"""Who may come in: no key on loopback until one is set; then every door but the public ones asks for it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from shopkeeper.core.errors import Refused

Headers = Iterable[tuple[bytes, bytes]]

SCOPES = {
    "r": "read",
    "p": "predict",
    "o": "operate",
    "a": "admin",
    "-": "public",
}
ALL = frozenset(SCOPES)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_KEY_NAMES = (b"api_key=", b"apikey=", b"api-key=", b"x-api-key=", b"access_token=")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with scopes (letters of SCOPES). `name` stands in jobs and in the audit."""

    name: str
    scopes: frozenset[str]


ANYBODY = Caller("local", ALL)
NOBODY = Caller("nobody", frozenset("-"))


class Access:
    """Turns what a request carries into a caller. Holds only the hash of the key."""

    def __init__(self, key: str | None) -> None:
        self._digest = hashlib.sha256(key.encode()).digest() if key else None

    @property
    def open(self) -> bool:
        """No key is set: whoever reaches the loopback address may do everything."""
        return self._digest is None

    def caller(self, key: bytes | None, authorization: bytes | None) -> Caller:
        """Raises Refused for a key that is wrong; no key at all is NOBODY."""
        if self._digest is None:
            return ANYBODY
        given = key if key is not None else _from_authorization(authorization)
        if given is None:
            return NOBODY
        return self.by_key(given)

    def by_key(self, key: bytes) -> Caller:
        """The caller of one key. Raises Refused."""
        if self._digest is None:
            return ANYBODY
        if not hmac.compare_digest(hashlib.sha256(key).digest(), self._digest):
            raise Refused("this API key is not known; check it for missing characters", code="bad_key")
        return Caller("key", ALL)


def demand(caller: Caller, scope: str) -> None:
    """Raises Refused when the caller may not use a door of this scope."""
    if scope in caller.scopes:
        return
    if caller is NOBODY:
        raise Refused("this shop asks for an API key; send it as X-API-Key or as Bearer token", code="no_key")
    raise Refused(f"this key lacks the scope {SCOPES[scope]!r}; ask for one that has it", code="wrong_scope")


def key_in_url(query: bytes) -> bool:
    """A key in a URL ends up in logs and histories, so it is refused wherever it appears."""
    lowered = query.lower()
    return any(lowered.startswith(name) or b"&" + name in lowered for name in _KEY_NAMES)


@lru_cache(maxsize=256)
def from_this_machine(host: bytes | None, origin: bytes | None) -> bool:
    """While no key is set, a web page of another site must not reach the shop through the visitor's browser:
    the host asked for, and the page that asks, have to be this machine."""
    return (host is None or _name(b"//" + host) in _LOOPBACK) and (origin is None or _name(origin) in _LOOPBACK)


def _name(url: bytes) -> str | None:
    try:
        return urlsplit(url.decode("latin-1")).hostname
    except ValueError:
        return None


def _from_authorization(value: bytes | None) -> bytes | None:
    """The key in `Bearer <key>`, or the password in `Basic <base64 of user:key>`."""
    if value is None:
        return None
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error as error:
            raise Refused("the Basic credentials are not base64 of user:key", code="bad_key") from error
    raise Refused("Authorization must be Bearer or Basic", code="bad_key")
