"""Where the shop may send what it tells: public addresses, and servers that the shop's keeper has named.

A name is looked up for every sending, all its addresses are judged, and the connection is made to one of them: a name
that answers differently a moment later gains nothing.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from shopkeeper.core.errors import Invalid
from shopkeeper.core.hosts import matches

URL_LENGTH = 2048
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>[/?][!-\"$-~]*)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAT64 = IPv6Network("64:ff9b::/96")
# What no release of the library, or not every one, counts as special: protocol use, relays, old site-local addresses,
# and the machine's own host that a cloud puts at a public address.
_SPECIAL = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "fec0::/10", "64:ff9b:1::/48", "2001::/23"))
)


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart. `host`: a name, or an address without brackets; `path` begins with a slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def server(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        usual = {"http": 80, "https": 443}[self.scheme] == self.port
        return self.server.rpartition(":")[0] if usual else self.server


class Destinations:
    """`hosts`: servers that may be reached whatever their address: names or patterns with `*`, with or without a port.
    `loopback`: this machine may be reached too. Safe to share between threads."""

    def __init__(self, hosts: Sequence[str] = (), *, loopback: bool = False) -> None:
        self._hosts = tuple(hosts)
        self._loopback = loopback

    def check(self, url: str) -> None:
        """Raises Invalid for what is no URL, for a name that nobody knows and for an address that is not allowed."""
        place = parse(url)
        if not self.named(place):
            self.addresses(place)

    def named(self, place: Place) -> bool:
        """Whether the keeper has named this server."""
        return any(matches(place.server, pattern) for pattern in self._hosts)

    def addresses(self, place: Place) -> list[str]:
        """The addresses of a server, all of them allowed. Waits for the name to be looked up. Raises Invalid."""
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Invalid(f"url: no server {place.host!r} is known here", code="unknown_host", field="url") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self.named(place):
            for address in addresses:
                if not self._allowed(address):
                    raise _refused(place.host)
        return addresses

    def _allowed(self, address: str) -> bool:
        judged = _real(ip_address(address.partition("%")[0]))
        return is_public(judged) or (self._loopback and judged.is_loopback)


def parse(url: str) -> Place:
    """Raises Invalid for all but `http(s)://host[:port][/path][?query]` in plain characters."""
    found = _URL.fullmatch(url) if len(url) <= URL_LENGTH else None
    if found is None:
        raise Invalid(
            "url must be http:// or https:// with a host, without user, password and fragment, in at most "
            f"{URL_LENGTH} plain ASCII characters",
            code="bad_url",
            field="url",
        )
    scheme, host = found["scheme"].lower(), found["host"].lower().rstrip(".")
    port = int(found["port"] or {"http": 80, "https": 443}[scheme])
    path = found["path"] or "/"
    place = Place(scheme, host.strip("[]"), port, path if path.startswith("/") else f"/{path}")
    if not 1 <= port <= 65535 or not _is_host(host):
        raise Invalid(
            f"url: {place.server[:80]!r} is no server; expected a name, or an address written as 203.0.113.7 or "
            "[2001:db8::7], and a port from 1 to 65535",
            code="bad_url",
            field="url",
        )
    return place


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Not private, shared, link-local, loopback, multicast or reserved: an address of the internet at large."""
    address = _real(address)
    special = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    return address.is_global and not special and not any(address in network for network in _SPECIAL)


def _real(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_host(host: str) -> bool:
    """A name, or an address in its usual form: `0x7f.1`, `2130706433` and `0177.0.0.1` are refused."""
    if not host or any(not 1 <= len(label) <= 63 for label in host.strip("[]").split(".")):
        return False
    if host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return (ip_address(host.strip("[]")).version == 6) == host.startswith("[")
        except ValueError:
            return False
    return True


def _refused(host: str) -> Invalid:
    return Invalid(
        f"url: {host} is at an address that nothing is sent to (this machine, a private network, or one for special "
        "use); let the shop's keeper add it to SHOPKEEPER_WEBHOOK_HOSTS",
        code="address_not_allowed",
        field="url",
    )
