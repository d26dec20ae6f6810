"""What the events say, about one user or about all: the same questions, the same answers, arrays (n,) from both."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, SECOND
from shopkeeper.features.columns import UserColumns
from shopkeeper.features.kinds import EventKinds, Role
from shopkeeper.features.state import FeatureState
from shopkeeper.features.trails import Trail
from shopkeeper.profiles.rfm import moments
from shopkeeper.rules.vectors import MapColumn, Numbers

# Field of a rule -> name in features/columns.py and in features/history.py.
_READS = {
    "total_events": ("events", "events"),
    "orders": ("orders", "orders"),
    "order_lines": ("lines", "lines"),
    "distinct_items": ("distinct_items", "items"),
    "pieces": ("pieces", "pieces"),
    "spend": ("spend", "spend"),
    "returned": ("returned", "returned"),
}


# The role whose events a measure counts; None: those of every type.
_COUNTS = {"total_events": None, "event_counts": None, "sessions": None, "returned": Role.RETURN}


class Source(Protocol):
    """`n` users at one moment `now` (us). `days` None: ever. Times that never were are NaN."""

    n: int

    @property
    def now(self) -> int | NDArray[np.int64]: ...

    def measure(self, name: str, days: float | None) -> Numbers: ...

    def counts(self, days: float | None) -> MapColumn: ...

    def days_since(self, name: str) -> Numbers:
        """`days_since_event`, `days_since_order` or `tenure_days`."""
        ...

    def trail(self) -> Trail:
        """The kept events themselves."""
        ...


class Many:
    """Users as columns. `rows` int64 (n,) are their rows, each may have a `now` of its own."""

    def __init__(self, columns: UserColumns, kinds: EventKinds) -> None:
        self.n = columns.users
        self.now = columns.now
        self._columns = columns
        self._types = [kinds.name(row) for row in range(len(kinds))]

    @classmethod
    def everybody(cls, state: FeatureState, now: int, n: int) -> Many:
        """Users 0 to n - 1."""
        return cls(state.columns(now, n), state.kinds)

    @classmethod
    def some(cls, state: FeatureState, rows: NDArray[np.int64], now: int | NDArray[np.int64]) -> Many:
        return cls(state.columns_of(rows, now), state.kinds)

    def measure(self, name: str, days: float | None) -> Numbers:
        column: Numbers = getattr(self._columns, _READS[name][0])(days).astype(np.float64)
        return column

    def counts(self, days: float | None) -> MapColumn:
        keys = {name: self._columns.events(days, name).astype(np.float64) for name in self._types}
        return MapColumn({name: np.where(n > 0, n, np.nan) for name, n in keys.items()}, self.n)

    def days_since(self, name: str) -> Numbers:
        column: Numbers = getattr(self._columns, name)()
        return column

    def trail(self) -> Trail:
        return self._columns.trail()

    def next_change(self, name: str, days: float) -> NDArray[np.int64]:
        """When (us) a window of `name` next loses an event."""
        return self._columns.next_change(days, _COUNTS.get(name, Role.ORDER))

    def next_arrival(self) -> NDArray[np.int64]:
        """When (us) the next event that is dated in the future comes to count."""
        return self._columns.next_arrival()


class One:
    """One user by row, exact to the last event. Read at once: it looks into the live state."""

    def __init__(self, state: FeatureState, row: int, now: int) -> None:
        self.n = 1
        self.now = now
        self._row = row
        self._past = state.past(row, now)
        self._since = {
            "days_since_event": self._past.last_time,
            "days_since_order": self._past.last_order,
            "tenure_days": self._past.first_time,
        }

    def measure(self, name: str, days: float | None) -> Numbers:
        window = self._past.window(_span(days))
        return np.array([getattr(window, _READS[name][1])], dtype=np.float64)

    def counts(self, days: float | None) -> MapColumn:
        found = self._past.counts(_span(days))
        return MapColumn({name: np.array([float(n)]) for name, n in found.items()}, 1)

    def days_since(self, name: str) -> Numbers:
        time = self._since[name]
        return np.array([np.nan if time < 0 else (self.now - time) / DAY])

    def trail(self) -> Trail:
        return Trail.of_one(self._row, self.now, self._past)


def last_event_seconds(source: Source) -> Numbers:
    """Seconds since 1970 of the last event (n,)."""
    return moments(source.days_since("days_since_event"), source.now) / SECOND


def _span(days: float | None) -> int | None:
    return None if days is None else int(days * DAY)
