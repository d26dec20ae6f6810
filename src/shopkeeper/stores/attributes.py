"""The free part of users and items."""

from __future__ import annotations

from typing import Any

import msgspec

from shopkeeper.core.errors import Invalid

_LIMIT = 64 * 1024


def check_attributes(attributes: dict[str, Any]) -> None:
    """Raises Invalid when they cannot be written as JSON of at most 64 KiB."""
    try:
        size = len(msgspec.json.encode(attributes))
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"attributes cannot be written as JSON: {error}", field="attributes") from error
    if size > _LIMIT:
        raise Invalid(f"attributes take {size} bytes, at most {_LIMIT} are kept", field="attributes")
