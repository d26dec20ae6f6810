"""Ids and names: what they may look like, and how new ones are made."""

from __future__ import annotations

import os
import re
import time

from shopkeeper.core.errors import Invalid

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RESERVED_MODEL_NAMES = frozenset({"status", "predict", "update", "types"})


def ulid(at_ms: int | None = None) -> str:
    """A 26-character id that sorts by time (https://github.com/ulid/spec)."""
    at_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    number = (at_ms << 80) | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


def check_id(value: str, field: str = "id") -> str:
    """1 to 128 characters, no control character, no slash. Raises Invalid."""
    if not 1 <= len(value) <= 128:
        raise Invalid(f"{field} has {len(value)} characters, expected 1 to 128", code="bad_id", field=field)
    if "/" in value or not value.isprintable():
        raise Invalid(f"{field} contains a slash or a control character; remove it", code="bad_id", field=field)
    return value


def check_name(value: str, field: str = "name") -> str:
    """Model, scenario, experiment and space names: `[a-z][a-z0-9_.-]{0,63}`. Raises Invalid."""
    if not _NAME.fullmatch(value):
        raise Invalid(
            f"{field} {value[:80]!r} must begin with a-z and go on with up to 63 of a-z 0-9 _ . -",
            code="bad_name",
            field=field,
        )
    return value


def check_label(value: str, field: str = "name") -> str:
    """Rule and segment names: 1 to 64 printable Unicode characters, no slash. Raises Invalid."""
    if not 1 <= len(value) <= 64 or "/" in value or not value.isprintable():
        raise Invalid(f"{field} must be 1 to 64 printable characters without a slash", code="bad_name", field=field)
    return value


def check_event_type(value: str) -> str:
    """`[a-z][a-z0-9_]{0,63}`. Raises Invalid."""
    if not _EVENT_TYPE.fullmatch(value):
        raise Invalid(
            f"event_type {value[:80]!r} must begin with a-z and go on with a-z 0-9 _",
            code="bad_event_type",
            field="event_type",
        )
    return value
