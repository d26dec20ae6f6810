"""Who belonged to which segment from when to when, as spans in SQL. At most one open span a user and segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database

_T = schema.segment_spans
_C = _T.c


@dataclass(frozen=True, slots=True)
class Change:
    """A user entered or left a segment at a time (us)."""

    segment: str
    user_row: int
    entered: bool
    time: int


@dataclass(frozen=True, slots=True)
class Span:
    """`left_at` None: still a member. Times in us."""

    segment: str
    user_row: int
    entered_at: int
    left_at: int | None


class SpanStore:
    """Reads are safe from any thread; `write` runs inside a write of the caller's."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def write(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Changes in the order in which they happened to each user."""
        opened: dict[tuple[str, int], dict[str, Any]] = {}
        new: list[dict[str, Any]] = []
        closed: list[dict[str, Any]] = []
        for change in changes:
            key = (change.segment, change.user_row)
            if change.entered:
                opened[key] = {
                    "segment": change.segment,
                    "user_row": change.user_row,
                    "entered_at": change.time,
                    "left_at": None,
                }
                new.append(opened[key])
            elif key in opened:
                opened.pop(key)["left_at"] = change.time
            else:
                closed.append({"of": change.segment, "who": change.user_row, "at": change.time})
        if closed:
            mine = (_C.segment == bindparam("of")) & (_C.user_row == bindparam("who")) & _C.left_at.is_(None)
            connection.execute(update(_T).where(mine).values(left_at=bindparam("at")), closed)
        if new:
            connection.execute(insert(_T), new)

    def open(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Segment -> (user rows, times of entry) of its members, both (k,)."""
        with self._db.read() as connection:
            return self.open_in(connection)

    def open_in(self, connection: Connection) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """`open` as a write of the caller's sees it."""
        query = select(_C.segment, _C.user_row, _C.entered_at).where(_C.left_at.is_(None))
        found: dict[str, tuple[list[int], list[int]]] = {}
        for segment, row, entered in connection.execute(query):
            rows, times = found.setdefault(segment, ([], []))
            rows.append(row)
            times.append(entered)
        return {
            segment: (np.array(rows, dtype=np.int64), np.array(times, dtype=np.int64))
            for segment, (rows, times) in found.items()
        }

    def latest(self) -> int | None:
        """The time of the newest change."""
        with self._db.read() as connection:
            newest = connection.execute(select(func.max(_C.entered_at), func.max(_C.left_at))).one()
        return max((time for time in newest if time is not None), default=None)

    def of_user(self, row: int) -> list[Span]:
        """A user's spans, newest first."""
        query = select(_T).where(_C.user_row == row).order_by(_C.entered_at.desc(), _C.position.desc())
        with self._db.read() as connection:
            return [_span(found) for found in connection.execute(query)]

    def members_at(self, segment: str, time: int, limit: int, after_row: int = -1) -> tuple[list[Span], int]:
        """(members at a time in order of row, at most `limit` after a row; how many there were in all)."""
        mine = _at(segment, time)
        page = select(_T).where(mine, _C.user_row > after_row).order_by(_C.user_row).limit(limit)
        with self._db.read() as connection:
            total = connection.execute(select(func.count()).select_from(_T).where(mine)).scalar_one()
            return [_span(found) for found in connection.execute(page)], total

    def between(self, segment: str, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(entries, exits) of the spans that touch [start, end]: sorted times (n,), (m,); exits of open spans are left
        out. Entries before `start` come as `start`."""
        touches = (_C.segment == segment) & (_C.entered_at <= end) & or_(_C.left_at.is_(None), _C.left_at > start)
        with self._db.read() as connection:
            rows = connection.execute(select(_C.entered_at, _C.left_at).where(touches)).all()
        entered = np.array([max(start, row.entered_at) for row in rows], dtype=np.int64)
        left = np.array([row.left_at for row in rows if row.left_at is not None and row.left_at <= end], dtype=np.int64)
        return np.sort(entered), np.sort(left)

    def moves(self, segment: str, start: int, end: int) -> tuple[int, int]:
        """How many entered and left after `start`, up to `end`."""
        count = select(func.count()).select_from(_T)
        with self._db.read() as connection:
            entered = count.where(_C.segment == segment, _C.entered_at > start, _C.entered_at <= end)
            left = count.where(_C.segment == segment, _C.left_at > start, _C.left_at <= end)
            return connection.execute(entered).scalar_one(), connection.execute(left).scalar_one()


def _at(segment: str, time: int) -> Any:
    return (_C.segment == segment) & (_C.entered_at <= time) & or_(_C.left_at.is_(None), _C.left_at > time)


def _span(row: Any) -> Span:
    return Span(row.segment, row.user_row, row.entered_at, row.left_at)
