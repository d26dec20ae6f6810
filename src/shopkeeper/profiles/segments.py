"""Segments as others see them: their members now and at any time, how their size went, where a user has been.

Used on the thread of the profiles; what reads SQL only (`members_at`, `history`, `spans_of`) may run on any.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from shopkeeper.core.clock import DAY, HOUR, MINUTE, Clock, micros, rfc3339
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Segment
from shopkeeper.profiles.segmentbook import SegmentBook
from shopkeeper.profiles.tracker import SegmentTracker
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.spans import SpanStore
from shopkeeper.stores.vocabulary import UserVocabulary

POINTS = 1000
_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE}
_STEP = re.compile(r"([1-9]\d{0,4})([dhm])")
_CSV_ROWS = 1000
_FIRST, _LAST = micros(datetime(1900, 1, 1, tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))


class Segments:
    """`tracker` knows who is inside now, `spans` who was."""

    def __init__(
        self,
        book: SegmentBook,
        tracker: SegmentTracker,
        users: UserVocabulary,
        clock: Clock,
        *,
        consents: ConsentStore | None = None,
    ) -> None:
        self._book = book
        self._tracker = tracker
        self._spans: SpanStore = tracker.spans
        self._users = users
        self._clock = clock
        self._consents = consents

    async def settle(self) -> None:
        """Await this first: what is read then is of now."""
        await self._tracker.settle()

    def all(self) -> list[Segment]:
        """By name, with their sizes."""
        sizes = self._tracker.sizes()
        return [_sized(segment, sizes.get(name, 0)) for name, (segment, _) in self._book.compiled().items()]

    def get(self, name: str) -> Segment:
        """With its size. Raises NotFound."""
        return _sized(self._book.get(name), self._tracker.sizes().get(name, 0))

    def members(
        self, name: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None, int]:
        """`([{user_id, entered_at}], next_cursor, total)` in the order in which the shop met its users.

        Raises NotFound, and Invalid for a cursor that was not given out here.
        """
        after = _row_of(key_of(cursor))
        rows, entered = self._members(name)
        first = int(np.searchsorted(rows, after, side="right"))
        page = slice(first, first + limit)
        items = [self._member(row, at) for row, at in zip(rows[page].tolist(), entered[page].tolist(), strict=True)]
        more = first + limit < len(rows)
        return items, cursor_after(str(rows[first + limit - 1])) if more else None, len(rows)

    def members_at(
        self, name: str, time: int, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None, int]:
        """Who belonged to it at a time (us), as it was known then; as `members`."""
        self._book.get(name)
        found, total = self._spans.members_at(name, time, limit + 1, _row_of(key_of(cursor)))
        items = [self._member(span.user_row, span.entered_at) for span in found[:limit]]
        return items, cursor_after(str(found[limit - 1].user_row)) if len(found) > limit else None, total

    def history(self, name: str, start: int | None, end: int | None, step: str = "1d") -> dict[str, Any]:
        """`{sizes: [{time, size}], entered, left}` from `start` to `end` (us; none: the last 30 days to now).

        Raises NotFound, and Invalid for a step that is none or too small for the span.
        """
        self._book.get(name)
        end = self._clock.now() if end is None else end
        start = end - 30 * DAY if start is None else start
        times = _times(start, end, step)
        entries, exits = self._spans.between(name, start, end)
        sizes = np.searchsorted(entries, times, side="right") - np.searchsorted(exits, times, side="right")
        entered, left = self._spans.moves(name, start, end)
        points = [{"time": rfc3339(int(t)), "size": int(n)} for t, n in zip(times, sizes, strict=True)]
        return {"sizes": points, "entered": entered, "left": left}

    def spans_of(self, row: int) -> list[dict[str, Any]]:
        """`[{segment, entered_at, left_at}]` of a user, newest first; `left_at` null: still inside."""
        return [
            {
                "segment": span.segment,
                "entered_at": rfc3339(span.entered_at),
                "left_at": None if span.left_at is None else rfc3339(span.left_at),
            }
            for span in self._spans.of_user(row)
        ]

    def export(self, name: str) -> Iterator[str]:
        """CSV lines `user_id, entered_at` in pieces, without those who refuse marketing. Raises NotFound at once."""
        rows, entered = self._members(name)
        silent = frozenset[int]() if self._consents is None else self._consents.refused("marketing")
        return self._lines([(r, at) for r, at in zip(rows.tolist(), entered.tolist(), strict=True) if r not in silent])

    def _lines(self, members: list[tuple[int, int]]) -> Iterator[str]:
        yield "user_id,entered_at\r\n"
        for start in range(0, len(members), _CSV_ROWS):
            piece = io.StringIO()
            writer = csv.writer(piece)
            writer.writerows((_cell(self._users.id(r)), rfc3339(at)) for r, at in members[start : start + _CSV_ROWS])
            yield piece.getvalue()

    def _members(self, name: str) -> Any:
        found = self._tracker.members(name)
        if found is None:
            raise NotFound(f"no segment {name!r}", code="unknown_segment")
        return found

    def _member(self, row: int, entered: int) -> dict[str, Any]:
        return {"user_id": self._users.id(row), "entered_at": rfc3339(entered)}


def _times(start: int, end: int, step: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The moments `end`, `end - step` ... down to `start`, ascending."""
    read = _STEP.fullmatch(step)
    if read is None:
        raise Invalid(f"step {step!r} is none; write a number and d, h or m, such as 1d or 6h", field="step")
    for field, time in (("to", end), ("from", start)):
        if not _FIRST <= time <= _LAST:
            raise Invalid(f"{field} lies outside of the years 1900 to 9999", field=field)
    if end < start:
        raise Invalid("from lies behind to; give the earlier one as from", field="from")
    every = int(read[1]) * _UNITS[read[2]]
    if (end - start) // every >= POINTS:
        raise Invalid(f"more than {POINTS} sizes between from and to; take a larger step than {step}", field="step")
    return np.arange(end, start - 1, -every, dtype=np.int64)[::-1]


def _cell(text: str) -> str:
    """A spreadsheet computes what begins like a formula: such an id is shown as text."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _sized(segment: Segment, size: int) -> Segment:
    return msgspec.structs.replace(segment, size=size)


def _row_of(key: str | None) -> int:
    if key is not None and not (key.isascii() and key.isdecimal() and len(key) <= 10):
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor")
    return -1 if key is None else int(key)
