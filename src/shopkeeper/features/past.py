"""One user's events before a moment, and the windows read from them, exact to the event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR, MINUTE
from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.kinds import EventKinds, Role

WINDOWS: dict[str, int | None] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "all": None}
SESSION_GAP = 30 * MINUTE
"""A session goes on until so much time passes without an event."""


@dataclass
class Folded:
    """What is left of a user's events that are older than the kept ones. Amounts in micros, times in us, -1: none.

    `session_time` (us) is the time between events of one session, summed.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    orders: int = 0
    spend: int = 0
    pieces: int = 0
    returned: int = 0
    first_time: int = -1
    last_time: int = -1
    last_order: int = -1
    first_order: int = -1
    sessions: int = 0
    session_time: int = 0


NOTHING_FOLDED = Folded()


class Window(NamedTuple):
    """What a user did in a span of time. `orders` are baskets (distinct times), `lines` order events, `items` distinct
    items ordered; `spend` is the value of orders, `returned` that of returns whatever its sign, in currency."""

    events: int
    orders: int
    lines: int
    items: int
    pieces: float
    spend: float
    returned: float


class Past:
    """One user's events before a moment. Views into the live arrays: read at once, do not keep."""

    def __init__(
        self, times: NDArray[np.int64], rows: NDArray[np.void], folded: Folded, before: int, kinds: EventKinds
    ) -> None:
        self.times = times
        self.rows = rows
        self.folded = folded
        self.before = before
        self.roles = kinds.roles(rows["type"])
        self._kinds = kinds
        self._windows: dict[int | None, Window] = {}
        ordered = self.roles == Role.ORDER
        self.orders = times[ordered], rows[ordered]

    def start(self, span: int | None) -> int:
        """Position of the first event of the last `span` us; 0 for None."""
        return 0 if span is None else int(np.searchsorted(self.times, self.before - span))

    def window(self, span: int | None) -> Window:
        """The last `span` us, `before - span <= time < before`; None: everything."""
        found = self._windows.get(span)
        if found is None:
            found = self._windows[span] = self._read(span)
        return found

    def count(self, event_type: str, span: int | None) -> int:
        """Events of one type in the last `span` us."""
        row = self._kinds.row(event_type)
        if row is None:
            return 0
        kept = int(np.count_nonzero(self.rows["type"][self.start(span) :] == row))
        old = self.folded.counts
        return kept + (int(old[row]) if span is None and row < len(old) else 0)

    def last_of(self, event_type: str) -> int:
        """Time of the last kept event of a type, -1: none."""
        row = self._kinds.row(event_type)
        if row is None:
            return -1
        at = np.flatnonzero(self.rows["type"] == row)
        return int(self.times[at[-1]]) if len(at) else -1

    def kind(self, row: int) -> str:
        """The name of an event type."""
        return self._kinds.name(row)

    def counts(self, span: int | None) -> dict[str, int]:
        """Events by type in the last `span` us, most frequent first."""
        counted = np.bincount(self.rows["type"][self.start(span) :]).astype(np.int64)
        if span is None:
            counted = added(self.folded.counts, counted)
        rows = np.flatnonzero(counted)
        rows = rows[np.argsort(-counted[rows], kind="stable")]
        return {self._kinds.name(int(row)): int(counted[row]) for row in rows}

    @property
    def first_time(self) -> int:
        """Time of the first event, -1: none."""
        if self.folded.first_time >= 0:
            return self.folded.first_time
        return int(self.times[0]) if len(self.times) else -1

    @property
    def last_time(self) -> int:
        return int(self.times[-1]) if len(self.times) else self.folded.last_time

    @property
    def last_order(self) -> int:
        times = self.orders[0]
        return int(times[-1]) if len(times) else self.folded.last_order

    def recent_items(self, n: int, span: int | None, *, role: int | None = None) -> NDArray[np.int32]:
        """The last n distinct items of the span, newest first; of one role, or of orders and interest."""
        start = self.start(span)
        roles, items = self.roles[start:], self.rows["item"][start:]
        wanted = (roles == role) if role is not None else (roles == Role.ORDER) | (roles == Role.INTEREST)
        newest = items[wanted & (items >= 0)][::-1]
        found: dict[int, None] = {}
        for part in range(0, len(newest), 4 * n):
            found.update(dict.fromkeys(newest[part : part + 4 * n].tolist()))
            if len(found) >= n:
                break
        return np.array(list(found)[:n], dtype=np.int32)

    def _read(self, span: int | None) -> Window:
        times, rows = self.orders
        start = 0 if span is None else int(np.searchsorted(times, self.before - span))
        times, rows = times[start:], rows[start:]
        first = self.start(span)
        returned = int(np.abs(self.rows["value"][first:][self.roles[first:] == Role.RETURN]).sum())
        old = self.folded if span is None else NOTHING_FOLDED
        lines = len(times)
        return Window(
            events=len(self.times) - first + int(old.counts.sum()),
            orders=distinct(times) + old.orders - touches(old.last_order, times),
            lines=lines + self._folded_lines(old),
            items=_distinct_items(rows["item"]),
            pieces=(int(rows["quantity"].sum()) + old.pieces) / MICRO,
            spend=(int(rows["value"].sum()) + old.spend) / MICRO,
            returned=(returned + old.returned) / MICRO,
        )

    def _folded_lines(self, old: Folded) -> int:
        row = self._kinds.row("order") if len(old.counts) else None
        return int(old.counts[row]) if row is not None and row < len(old.counts) else 0


def distinct(sorted_times: NDArray[np.int64]) -> int:
    return int(np.count_nonzero(sorted_times[1:] != sorted_times[:-1])) + 1 if len(sorted_times) else 0


def _distinct_items(items: NDArray[np.int32]) -> int:
    if len(items) <= 100:
        return len(set(items.tolist()) - {-1})
    return int(np.count_nonzero(np.bincount(items + 1)[1:]))


def touches(last_order: int, times: NDArray[np.int64]) -> int:
    """1 when the folded part ends within the basket with which `times` begins: that one is counted already."""
    return int(len(times) > 0 and last_order == int(times[0]))


def sessions_after(last: int, times: NDArray[np.int64]) -> tuple[int, int]:
    """(sessions that begin, us within sessions) at sorted times that follow on `last`; -1: on nothing.

    What is older than `last` counts as part of the sessions before it.
    """
    times = times[times >= last]
    if not len(times):
        return 0, 0
    gaps = np.diff(times, prepend=times[0] if last < 0 else last)
    within = gaps <= SESSION_GAP
    return int(np.count_nonzero(~within)) + (last < 0), int(gaps[within].sum())


def earlier(a: int, b: int) -> int:
    """The earlier of two times of which either may be -1: none."""
    return max(a, b) if a < 0 or b < 0 else min(a, b)


def added(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.zeros(max(len(a), len(b)), dtype=np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total
