"""Pages of a list: an opaque cursor that says where the next one begins, and the pattern of a search."""

from __future__ import annotations

import base64
import binascii

from shopkeeper.core.errors import Invalid


def cursor_after(key: str) -> str:
    """The cursor of the page that begins behind `key`."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(cursor: str | None) -> str | None:
    """The key inside a cursor. Raises Invalid for one that was not given out here."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor") from error


def containing(text: str) -> str:
    """The LIKE pattern (escape character `\\`) of values that contain `text`."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
