"""Lists of servers that a keeper allows: names, addresses or patterns with `*`, with or without a port."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"[0-9*]+(\.[0-9*]+)+")
_PORT = re.compile(r"(?P<host>[^:]*|\[.*\]):(?P<port>\d{1,5})")


def matches(server: str, pattern: str) -> bool:
    """Whether `server` (`host:port`) is one that the pattern means: `db.shop`, `db.shop:3306`, `*.shop`, `10.0.0.*`."""
    host, _, port = server.rpartition(":")
    wanted = pattern.strip().lower().rstrip(".")
    if (found := _PORT.fullmatch(wanted)) is not None:
        if found["port"] != port:
            return False
        wanted = found["host"]
    parts = map(re.escape, wanted.strip("[]").split("*"))
    some = "[0-9]*" if _NUMBERS.fullmatch(wanted) else ".*"  # 10.0.0.* is no name such as 10.0.0.example.com
    return re.fullmatch(some.join(parts), host.strip("[]").lower().rstrip(".")) is not None
