"""Pages of lists that are held in memory: the cursor is the place where the next page begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from shopkeeper.api.door import Page
from shopkeeper.api.errors import FieldProblem, Malformed

T = TypeVar("T")


def cut(items: Sequence[T], limit: int, cursor: str | None) -> Page[T]:
    """The page of `items` that begins at the cursor. Raises Malformed for a cursor that is no place."""
    start = place(cursor)
    end = start + limit
    return Page(list(items[start:end]), str(end) if end < len(items) else None, len(items))


def place(cursor: str | None) -> int:
    """The number that a cursor stands for; 0 without one. Raises Malformed."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        text = "is not one that this list gave out"
        raise Malformed(f"cursor {text}", code="bad_cursor", errors=[FieldProblem("cursor", text)])
    return int(cursor)
