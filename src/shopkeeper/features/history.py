"""Accumulator: each user's events in order of time, from which user windows are read exactly to the event.

Memory: 32 bytes an event plus about 400 bytes a user. A user keeps the newest `KEPT` events; older ones live on in
totals only, so "all" stays exact while a 30-day window counts at most `KEPT` events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.arrivals import Arrivals, run_starts
from shopkeeper.features.kinds import EventKinds, Role
from shopkeeper.features.past import (
    NOTHING_FOLDED,
    Folded,
    Past,
    added,
    distinct,
    earlier,
    sessions_after,
    touches,
)

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

KEPT = 8192
_ROW = np.dtype([("value", "i8"), ("quantity", "i8"), ("item", "i4"), ("type", "i4")])


class History:
    """One user: `times` (n,) sorted, ties in the order of arrival, `rows` (n,) beside it; both have spare room."""

    __slots__ = ("_rows", "_times", "folded", "size")

    def __init__(self) -> None:
        self._times: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._rows: NDArray[np.void] = np.empty(0, dtype=_ROW)
        self.size = 0
        self.folded = NOTHING_FOLDED

    @property
    def times(self) -> NDArray[np.int64]:
        return self._times[: self.size]

    @property
    def rows(self) -> NDArray[np.void]:
        return self._rows[: self.size]

    def add(self, times: NDArray[np.int64], rows: NDArray[np.void], kinds: EventKinds) -> None:
        """Takes events sorted by time. Late ones are put where they belong."""
        late = self.size > 0 and times[0] < self._times[self.size - 1]
        total = self.size + len(times)
        if total > len(self._times):
            room = total if self.size == 0 else max(total, 2 * self.size, 8)
            self._times = _moved(self._times, self.size, room)
            self._rows = _moved(self._rows, self.size, room)
        self._times[self.size : total] = times
        self._rows[self.size : total] = rows
        self.size = total
        if late:
            order = np.argsort(self.times, kind="stable")
            self._times[:total] = self.times[order]
            self._rows[:total] = self.rows[order]
        if total > KEPT:
            self._fold(total - KEPT, kinds)

    def copy(self) -> History:
        copied = History()
        copied._times, copied._rows = self.times.copy(), self.rows.copy()
        copied.size, copied.folded = self.size, self.folded  # what is folded is replaced, never written to
        return copied

    def _fold(self, count: int, kinds: EventKinds) -> None:
        old_times, old = self._times[:count], self._rows[:count]
        roles = kinds.roles(old["type"])
        is_order = roles == Role.ORDER
        before = self.folded
        order_times = old_times[is_order]
        begun, within = sessions_after(before.last_time, old_times)
        self.folded = Folded(
            counts=added(before.counts, np.bincount(old["type"])),
            orders=before.orders + distinct(order_times) - touches(before.last_order, order_times),
            spend=before.spend + int(old["value"][is_order].sum()),
            pieces=before.pieces + int(old["quantity"][is_order].sum()),
            returned=before.returned + int(np.abs(old["value"][roles == Role.RETURN]).sum()),
            first_time=int(old_times[0]) if before.first_time < 0 else min(before.first_time, int(old_times[0])),
            last_time=max(before.last_time, int(old_times[-1])),
            last_order=max(before.last_order, int(order_times[-1]) if len(order_times) else -1),
            first_order=earlier(before.first_order, int(order_times[0]) if len(order_times) else -1),
            sessions=before.sessions + begun,
            session_time=before.session_time + within,
        )
        self._times = self._times[count : self.size].copy()
        self._rows = self._rows[count : self.size].copy()
        self.size -= count


class UserHistories:
    """All users' histories by user row."""

    def __init__(self, kinds: EventKinds) -> None:
        self._kinds = kinds
        self._users: list[History | None] = []
        self._asked: tuple[int, int, Past] | None = None
        """The newest answer of `past` as (user, before, answer): one slate asks for it several times."""

    def __len__(self) -> int:
        """One more than the highest user row that an event has named."""
        return len(self._users)

    def apply(self, events: Arrivals, _state: FeatureState, /) -> None:
        self._asked = None
        for user, where in by_user(events):
            rows = np.empty(len(where), dtype=_ROW)
            rows["value"] = events.value[where]
            rows["quantity"] = events.quantity[where]
            rows["item"] = events.item[where]
            rows["type"] = events.type[where]
            self._at(user).add(events.time[where], rows, self._kinds)

    def merge(self, source: int, target: int, events: Arrivals, state: FeatureState, /) -> None:
        """The target's history is written anew: what was folded away could not be taken apart again."""
        for user in (source, target):
            self.forget(user, state)
        self.apply(replace(events, user=np.full(len(events), target, dtype=np.int32)), state)

    def forget(self, user: int, _state: FeatureState, /) -> None:
        self._asked = None
        if 0 <= user < len(self._users):
            self._users[user] = None

    def fork(self, user: int, kinds: EventKinds, /) -> UserHistories:
        forked = UserHistories(kinds)
        forked._users = self._users.copy()
        history = self.get(user)
        if history is not None:
            forked._users[user] = history.copy()
        return forked

    def get(self, user: int) -> History | None:
        return self._users[user] if 0 <= user < len(self._users) else None

    def past(self, user: int, before: int) -> Past:
        """The events of a user with time < `before` (us); an empty past for a user that nobody has met."""
        if self._asked is None or self._asked[:2] != (user, before):
            self._asked = user, before, self._past(user, before)
        return self._asked[2]

    def _past(self, user: int, before: int) -> Past:
        history = self.get(user)
        if history is None:
            return Past(_NO_TIMES, _NO_ROWS, NOTHING_FOLDED, before, self._kinds)
        end = int(np.searchsorted(history.times, before))
        return Past(history.times[:end], history.rows[:end], history.folded, before, self._kinds)

    def _at(self, user: int) -> History:
        if user >= len(self._users):
            self._users += [None] * (user + 1 - len(self._users))
        history = self._users[user]
        if history is None:
            history = self._users[user] = History()
        return history


def by_user(events: Arrivals) -> list[tuple[int, NDArray[np.int64]]]:
    """(user, positions in order of time, ties in order of arrival) for each known user of the events."""
    if len(events) == 1:
        user = int(events.user[0])
        return [(user, _FIRST)] if user >= 0 else []
    order = np.lexsort((events.time, events.user))
    users = events.user[order]
    starts = run_starts(users)
    runs = zip(starts, [*starts[1:], len(order)], strict=True)
    return [(int(users[a]), order[a:b]) for a, b in runs if users[a] >= 0]


_NO_TIMES = np.empty(0, dtype=np.int64)
_NO_ROWS = np.empty(0, dtype=_ROW)
_FIRST = np.zeros(1, dtype=np.int64)


def _moved(values: NDArray[Any], size: int, room: int) -> NDArray[Any]:
    larger = np.empty(room, dtype=values.dtype)
    larger[:size] = values[:size]
    return larger
