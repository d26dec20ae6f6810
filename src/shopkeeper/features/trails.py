"""What users did, event by event, as columns: sessions and baskets, for one user and for many by the same code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, MINUTE
from shopkeeper.features.kinds import Role
from shopkeeper.features.past import SESSION_GAP, Folded, Past, earlier


@dataclass(frozen=True)
class Baskets:
    """b orders, user after user, each in order of time; all (b,). Amounts in micros.

    `whole` false: older lines of the same moment are folded away, so the amounts are too small.
    """

    user: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.int64]
    whole: NDArray[np.bool_]


@dataclass(frozen=True)
class Trail:
    """The kept events of n users, each up to its own `now`: user after user, each in order of time; columns (m,).

    `rows`, `now` int64 (n,): user rows, and moments in us. `user` is a place in `rows`. Amounts in micros. `folded`:
    (place, what is left of events older than the kept ones).
    """

    rows: NDArray[np.int64]
    now: NDArray[np.int64]
    user: NDArray[np.int32]
    time: NDArray[np.int64]
    role: NDArray[np.int8]
    item: NDArray[np.int32]
    value: NDArray[np.int64]
    quantity: NDArray[np.int64]
    folded: Sequence[tuple[int, Folded]]

    @classmethod
    def of_one(cls, row: int, now: int, past: Past) -> Trail:
        return cls(
            rows=np.array([row], dtype=np.int64),
            now=np.array([now], dtype=np.int64),
            user=np.zeros(len(past.times), dtype=np.int32),
            time=past.times,
            role=past.roles,
            item=past.rows["item"],
            value=past.rows["value"],
            quantity=past.rows["quantity"],
            folded=[(0, past.folded)],
        )

    def __len__(self) -> int:
        return len(self.rows)

    # -- events ----------------------------------------------------------------------------------------------

    @cached_property
    def events(self) -> NDArray[np.int64]:
        """Events of every type (n,), the folded ones too."""
        counted = self._count(self.user)
        for place, old in self.folded:
            counted[place] += int(old.counts.sum())
        return counted

    @cached_property
    def first_time(self) -> NDArray[np.int64]:
        """Time (us) of the first event (n,), -1: none."""
        return self._first(self.user, self.time, "first_time")

    @cached_property
    def last_time(self) -> NDArray[np.int64]:
        return self._last(self.user, self.time, "last_time")

    # -- sessions --------------------------------------------------------------------------------------------

    def sessions(self, days: float | None = None) -> NDArray[np.float64]:
        """Sessions (n,) that began in the last `days`; None: ever."""
        begun = self._begins
        if days is not None:
            begun = begun & (self.time > self.now[self.user] - int(days * DAY))
        counted = self._count(self.user[begun])
        if days is None:
            for place, old in self.folded:
                counted[place] += old.sessions
        return counted.astype(np.float64)

    def session_minutes(self) -> NDArray[np.float64]:
        """Mean minutes from the first to the last event of a session (n,), NaN: no session."""
        total = np.concatenate([[0], np.cumsum(np.where(self._begins, 0, self._gaps))])
        within = total[self._ends] - total[self._starts]
        for place, old in self.folded:
            within[place] += old.session_time
        sessions = self.sessions()
        out = np.full(len(self), np.nan)
        np.divide(within / MINUTE, sessions, out=out, where=sessions > 0)
        return out

    @cached_property
    def _begins(self) -> NDArray[np.bool_]:
        """bool (m,): a session begins with this event."""
        return (self._gaps < 0) | (self._gaps > SESSION_GAP)

    @cached_property
    def _gaps(self) -> NDArray[np.int64]:
        """Time since the user's event before (m,), us, -1: this is the first."""
        gaps = np.full(len(self.time), -1, dtype=np.int64)
        same = self.user[1:] == self.user[:-1]
        gaps[1:][same] = np.diff(self.time)[same]
        for place, old in self.folded:
            at = self._starts[place]
            if old.last_time >= 0 and at < self._ends[place]:
                gaps[at] = self.time[at] - old.last_time
        return gaps

    # -- orders ----------------------------------------------------------------------------------------------

    @cached_property
    def baskets(self) -> Baskets:
        at = np.flatnonzero(self.role == Role.ORDER)
        user, time = self.user[at], self.time[at]
        first = np.ones(len(at), dtype=np.bool_)
        first[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
        begin = np.flatnonzero(first)
        value = np.add.reduceat(self.value[at], begin) if len(begin) else np.empty(0, dtype=np.int64)
        user, time = user[begin], time[begin]
        whole = np.ones(len(begin), dtype=np.bool_)
        for place, old in self.folded:
            whole &= (user != place) | (time != old.last_order)
        return Baskets(user, time, value, whole)

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """Baskets ever (n,)."""
        baskets = self.baskets
        counted = self._count(baskets.user)
        torn = self._count(baskets.user[~baskets.whole])
        for place, old in self.folded:
            counted[place] += old.orders - torn[place]
        return counted

    @cached_property
    def first_order(self) -> NDArray[np.int64]:
        """Time (us) of the first order (n,), -1: none."""
        return self._first(self.baskets.user, self.baskets.time, "first_order")

    @cached_property
    def last_order(self) -> NDArray[np.int64]:
        return self._last(self.baskets.user, self.baskets.time, "last_order")

    # -- inside ----------------------------------------------------------------------------------------------

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.user, np.arange(len(self)))

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.searchsorted(self.user, np.arange(len(self)), side="right")

    def _count(self, users: NDArray[Any]) -> NDArray[np.int64]:
        return np.bincount(users, minlength=len(self)).astype(np.int64)

    def _first(self, users: NDArray[np.int32], found: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        times = self._placed(users[::-1], found[::-1])
        for place, old in self.folded:
            times[place] = earlier(int(times[place]), getattr(old, name))
        return times

    def _last(self, users: NDArray[np.int32], found: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        times = self._placed(users, found)
        for place, old in self.folded:
            times[place] = max(int(times[place]), getattr(old, name))
        return times

    def _placed(self, users: NDArray[np.int32], found: NDArray[np.int64]) -> NDArray[np.int64]:
        """numpy assigns repeated positions in order: what comes last for a user stays."""
        times = np.full(len(self), -1, dtype=np.int64)
        times[users] = found
        return times
