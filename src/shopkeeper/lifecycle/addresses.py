"""How a version is addressed: `name`, `name@champion`, `name/v3`, `name/3`, by label, or by a moment of its reign."""

from __future__ import annotations

import re
from datetime import datetime

from shopkeeper.core.clock import micros, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_name

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
_NUMBER = re.compile(r"v?([1-9][0-9]{0,8})")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def parse_address(text: str) -> tuple[str, str]:
    """(model name, ref) of `name`, `name@ref` or `name/ref`; without a ref the champion. Raises Invalid."""
    name, _, ref = text.replace("@", "/", 1).partition("/")
    return check_name(name, "model"), ref or CHAMPION


def version_number(ref: str) -> int | None:
    """The number that `v3` or `3` names; None for an alias or a time."""
    found = _NUMBER.fullmatch(ref)
    return int(found[1]) if found else None


def check_label(label: str) -> str:
    """A name that a person gives to a version. Raises Invalid for one that means something else already."""
    if not _LABEL.fullmatch(label) or label in (CHAMPION, CANDIDATE, PREVIOUS) or re.fullmatch("[vV]?[0-9]+", label):
        raise Invalid(
            f"version {label[:80]!r} is no name for one: up to 64 of A-Z a-z 0-9 _ . - beginning with a letter or a "
            "digit, no number, and no alias",
            code="bad_name",
            field="version",
        )
    return label


def label_at(us: int) -> str:
    """What a version is called that was made at `us` and was given no name: `20261126-142100` (UTC)."""
    return f"{moment(us):%Y%m%d-%H%M%S}"


def time_of(ref: str) -> int | None:
    """Microseconds of an RFC 3339 time stamp; None for anything else."""
    if not ref[:4].isdigit() or "-" not in ref:
        return None
    try:
        return micros(datetime.fromisoformat(ref))
    except ValueError as error:
        raise Invalid(f"{ref[:40]!r} is no time stamp like 2026-11-20T09:00:00Z", field="version") from error
