"""One user's events before a moment, and the windows read from them, exact to the event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR, MINUTE
from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.kinds import EventKinds, Role
from shopkeeper.features.windows import OrderLines, order_sums, sums_from

WINDOWS: dict[str, int | None] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "all": None}
SESSION_GAP = 30 * MINUTE
"""A session goes on until so much time passes without an event."""
LATEST = 1_000
"""Of so many of the newest events the present visit is made."""
SPANS = tuple(WINDOWS.values())
LENGTHS = np.array([span or 0 for span in SPANS], dtype=np.int64)
assert SPANS[-1] is None
_PLACES = {span: at for at, span in enumerate(SPANS)}


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


class Known(NamedTuple):
    """What was read of a user's events together with those of others: by event (m,) types and roles; of each of SPANS
    where it starts; by type the time of the last event, that of the last order, -1: none; `sums`: see `Past._made`."""

    types: NDArray[np.int32]
    roles: NDArray[np.int8]
    starts: list[int]
    last: list[int]
    last_order: int
    sums: Sequence[Sequence[int]]


class Past:
    """One user's events before a moment. Views into the live arrays: read at once, do not keep."""

    def __init__(
        self,
        times: NDArray[np.int64],
        rows: NDArray[np.void],
        folded: Folded,
        before: int,
        kinds: EventKinds,
        known: Known | None = None,
    ) -> None:
        self.times = times
        self.rows = rows
        self.folded = folded
        self.before = before
        self._kinds = kinds
        self._windows: dict[int | None, Window] = {}
        if known is None:
            self.types: NDArray[np.int32] = np.ascontiguousarray(rows["type"])
            self.roles: NDArray[np.int8] = kinds.roles(self.types)
        else:
            self.types, self.roles, self._starts, self._last, last_order, sums = known
            self.last_order = last_order if last_order >= 0 else folded.last_order
            self._windows.update(zip(SPANS, self._made(SPANS, sums), strict=True))

    @cached_property
    def orders(self) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        """Times and rows of the order lines."""
        where = self._ordered
        return self.times[where], self.rows[where]

    def start(self, span: int | None) -> int:
        """Position of the first event of the last `span` us; 0 for None."""
        at = _PLACES.get(span)
        if at is not None:
            return self._starts[at]
        return int(np.searchsorted(self.times, self.before - span)) if span is not None else 0

    def window(self, span: int | None) -> Window:
        """The last `span` us, `before - span <= time < before`; None: everything. Those of WINDOWS are read at once."""
        found = self._windows.get(span)
        if found is None:
            spans = SPANS if span in _PLACES else (span,)
            self._windows.update(zip(spans, self._read(spans), strict=True))
            found = self._windows[span]
        return found

    def count(self, event_type: str, span: int | None) -> int:
        """Events of one type in the last `span` us."""
        row = self._kinds.row(event_type)
        if row is None:
            return 0
        kept = int(np.count_nonzero(self.types[self.start(span) :] == row))
        old = self.folded.counts
        return kept + (int(old[row]) if span is None and row < len(old) else 0)

    def last_of(self, event_type: str) -> int:
        """Time of the last kept event of a type, -1: none."""
        row = self._kinds.row(event_type)
        last = self._last
        return last[row] if row is not None and row < len(last) else -1

    def kind(self, row: int) -> str:
        """The name of an event type."""
        return self._kinds.name(row)

    def counts(self, span: int | None) -> dict[str, int]:
        """Events by type in the last `span` us, most frequent first."""
        counted = np.bincount(self.types[self.start(span) :])
        if span is None:
            counted = added(self.folded.counts, counted)
        found = [(count, row) for row, count in enumerate(counted.tolist()) if count]
        found.sort(key=_count, reverse=True)  # those of equal counts stay in order
        return {self._kinds.name(row): count for count, row in found}

    @property
    def first_time(self) -> int:
        """Time of the first event, -1: none."""
        if self.folded.first_time >= 0:
            return self.folded.first_time
        return int(self.times[0]) if len(self.times) else -1

    @property
    def last_time(self) -> int:
        return int(self.times[-1]) if len(self.times) else self.folded.last_time

    @cached_property
    def last_order(self) -> int:
        where = self._ordered
        return int(self.times[where[-1]]) if len(where) else self.folded.last_order

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

    @cached_property
    def visit(self) -> slice:
        """Where the events of the present visit are, of the newest LATEST; empty when it is over."""
        times = self.times[-LATEST:]
        if not len(times) or self.before - int(times[-1]) > SESSION_GAP:
            return slice(len(self.times), None)
        breaks = np.flatnonzero(times[1:] - times[:-1] > SESSION_GAP)
        return slice(len(self.times) - len(times) + (int(breaks[-1]) + 1 if len(breaks) else 0), None)

    @cached_property
    def _ordered(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.roles == Role.ORDER)

    @cached_property
    def active_days(self) -> int:
        """Days (UTC) with events in the last 30 days."""
        days = self.times[self.start(30 * DAY) :] // DAY
        return int(np.count_nonzero(days[1:] != days[:-1])) + 1 if len(days) else 0

    @cached_property
    def _starts(self) -> list[int]:
        """Of SPANS."""
        starts: list[int] = np.searchsorted(self.times, self.before - LENGTHS).tolist()
        starts[-1] = 0
        return starts

    @cached_property
    def _last(self) -> list[int]:
        """Time of the last kept event by type, -1: none. numpy assigns repeated positions in order."""
        times = np.full(len(self._kinds), -1, dtype=np.int64)
        times[self.types] = self.times
        last: list[int] = times.tolist()
        return last

    def _read(self, spans: Sequence[int | None]) -> list[Window]:
        """All of them in one pass over the events."""
        starts = np.array([[self.start(span) for span in spans]])
        ends = np.array([[len(self.times)]])
        return self._made(spans, [sums[0].tolist() for sums in self._sums(starts, ends)])

    def _sums(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The numbers of `Window`, of what is kept, in its order, each (1, windows)."""
        ordered, (times, rows) = self._ordered, self.orders
        lines = OrderLines(None, times, rows["item"], rows["quantity"], rows["value"])
        sums = order_sums(lines, np.searchsorted(ordered, starts), np.array([[len(ordered)]]))
        back = np.flatnonzero(self.roles == Role.RETURN)
        return [ends - starts, *sums, sums_from(back, np.abs(self.rows["value"][back]), starts, ends)]

    def _made(self, spans: Sequence[int | None], sums: Sequence[Sequence[int]]) -> list[Window]:
        """Of sums of what is kept, in the order of `Window`; amounts in micros."""
        found = []
        for span, events, orders, lines, items, pieces, spend, returned in zip(spans, *sums, strict=True):
            if span is None and self.folded is not NOTHING_FOLDED:
                old = self.folded
                found.append(
                    Window(
                        events + int(old.counts.sum()),
                        orders + old.orders - touches(old.last_order, self.orders[0]),
                        lines + self._folded_lines(old),
                        items,
                        (pieces + old.pieces) / MICRO,
                        (spend + old.spend) / MICRO,
                        (returned + old.returned) / MICRO,
                    )
                )
            else:
                amounts = pieces / MICRO, spend / MICRO, returned / MICRO
                found.append(Window(events, orders, lines, items, *amounts))
        return found

    def _folded_lines(self, old: Folded) -> int:
        row = self._kinds.row("order") if len(old.counts) else None
        return int(old.counts[row]) if row is not None and row < len(old.counts) else 0


def _count(found: tuple[int, int]) -> int:
    return found[0]


def distinct(sorted_times: NDArray[np.int64]) -> int:
    return int(np.count_nonzero(sorted_times[1:] != sorted_times[:-1])) + 1 if len(sorted_times) else 0


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
