"""How a version is addressed: `name`, `name@champion`, `name/v3`, `name/3`, or by a moment it was champion."""

from __future__ import annotations

import re
from datetime import datetime

from shopkeeper.core.clock import micros
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_name

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
_NUMBER = re.compile(r"v?([1-9][0-9]{0,8})")


def parse_address(text: str) -> tuple[str, str]:
    """(model name, ref) of `name`, `name@ref` or `name/ref`; without a ref the champion. Raises Invalid."""
    name, _, ref = text.replace("@", "/", 1).partition("/")
    return check_name(name, "model"), ref or CHAMPION


def version_number(ref: str) -> int | None:
    """The number that `v3` or `3` names; None for an alias or a time."""
    found = _NUMBER.fullmatch(ref)
    return int(found[1]) if found else None


def time_of(ref: str) -> int | None:
    """Microseconds of an RFC 3339 time stamp; None for anything else."""
    if not ref[:4].isdigit() or "-" not in ref:
        return None
    try:
        return micros(datetime.fromisoformat(ref))
    except ValueError as error:
        raise Invalid(f"{ref[:40]!r} is no time stamp like 2026-11-20T09:00:00Z", field="version") from error
