"""ETags of records: the moment of their last change."""

from __future__ import annotations

from datetime import datetime

from shopkeeper.core.clock import micros
from shopkeeper.core.errors import Stale


def etag(updated_at: datetime | int | None) -> str:
    """The quoted tag of a record's `updated_at`."""
    at = updated_at if isinstance(updated_at, int) else micros(updated_at) if updated_at is not None else 0
    return f'"{at:x}"'


def check_match(if_match: str | None, updated_at: int | None, what: str) -> None:
    """Raises Stale when `if_match` names another state than the stored one (`updated_at` None: nothing is stored)."""
    check_tag(if_match, None if updated_at is None else etag(updated_at), what)


def check_tag(if_match: str | None, stored: str | None, what: str) -> None:
    """The same by the tag itself; None: there is nothing."""
    if if_match is None or (if_match.strip() == "*" and stored is not None):
        return
    if stored is None or stored not in [tag.strip().removeprefix("W/") for tag in if_match.split(",")]:
        raise Stale(f"{what} was changed meanwhile; read it again and repeat the change")


def later(now: int, before: int | None) -> int:
    """A time of change that differs from the one before, whatever the clock says."""
    return now if before is None else max(now, before + 1)
