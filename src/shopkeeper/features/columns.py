"""Every user's windows at once, as columns: what rules and segments over all users read.

The same numbers as `Past.window` gives for one user, exactly: amounts are summed in whole micros in both.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.arrivals import MICRO
from shopkeeper.features.history import UserHistories
from shopkeeper.features.kinds import EventKinds, Role
from shopkeeper.features.past import NOTHING_FOLDED, WINDOWS, Folded
from shopkeeper.features.trails import Trail

NEVER = np.iinfo(np.int64).max
"""A time (us) that does not come."""

Rows: TypeAlias = NDArray[np.int64]


class Flat:
    """All kept events of the users `rows` (k,), user after user, each in order of time.

    Shapes (n,); `starts` (k + 1,). `user` is a place in `rows`, not a row.
    """

    def __init__(self, histories: UserHistories, kinds: EventKinds, rows: Rows) -> None:
        known = [(place, histories.get(row)) for place, row in enumerate(rows.tolist())]
        found = [(place, history) for place, history in known if history is not None]
        sizes = np.zeros(len(rows) + 1, dtype=np.int64)
        for place, history in found:
            sizes[place + 1] = history.size
        self.starts = np.cumsum(sizes)
        self.user = np.repeat(np.arange(len(rows), dtype=np.int32), sizes[1:])
        self.folded = [(place, history.folded) for place, history in found if history.folded is not NOTHING_FOLDED]
        self.time = _joined([history.times for _, history in found], np.int64)
        for name, dtype in (("value", np.int64), ("quantity", np.int64), ("item", np.int32), ("type", np.int32)):
            setattr(self, name, _joined([history.rows[name] for _, history in found], dtype))
        self.role = kinds.roles(self.type)

    value: NDArray[np.int64]
    quantity: NDArray[np.int64]
    item: NDArray[np.int32]
    type: NDArray[np.int32]


class UserColumns:
    """Windows of the users `rows` (k,) up to and including `now`. `days` may be any number; None: ever.

    `now` is one moment (us), or int64 (k,): one for each user.
    """

    def __init__(
        self, histories: UserHistories, kinds: EventKinds, now: int | NDArray[np.int64], rows: Rows, flat: Flat | None
    ) -> None:
        self.now = now
        self.rows = rows
        self.users = len(rows)
        self._kinds = kinds
        self.flat = Flat(histories, kinds, rows) if flat is None else flat
        self._now: Any = now if isinstance(now, int) else now[self.flat.user]  # by event
        self._past = self.flat.time <= self._now
        self._orders = self._past & (self.flat.role == Role.ORDER)

    def next_change(self, days: float, role: int | None = None) -> NDArray[np.int64]:
        """When (us) the window of so many days loses its oldest event of a role, for each user; NEVER: it is empty."""
        kept = self._within(self._past if role is None else self._past & (self.flat.role == role), days)
        return self._first(kept, int(days * DAY))

    def next_arrival(self) -> NDArray[np.int64]:
        """When (us) the next event that is dated after `now` comes to count, for each user; NEVER: there is none."""
        return self._first(~self._past, 0)

    def _first(self, where: NDArray[np.bool_], later: int) -> NDArray[np.int64]:
        times = np.full(self.users, NEVER, dtype=np.int64)
        at = np.flatnonzero(where)[::-1]  # numpy assigns repeated positions in order: the first event stays
        times[self.flat.user[at]] = self.flat.time[at] + later
        return times

    def events(self, days: float | None = None, event_type: str | None = None) -> NDArray[np.int64]:
        """Events (users,), of one type or of all."""
        where = self._within(self._past, days)
        row = None if event_type is None else self._kinds.row(event_type)
        if event_type is not None:
            where = where & (self.flat.type == (-1 if row is None else row))
        counted = self._count(where)
        for user, old in self._folded(days):
            if event_type is None:
                counted[user] += int(old.counts.sum())
            elif row is not None and row < len(old.counts):
                counted[user] += int(old.counts[row])
        return counted

    def lines(self, days: float | None = None) -> NDArray[np.int64]:
        """Order events (users,)."""
        return self.events(days, "order")

    def orders(self, days: float | None = None) -> NDArray[np.int64]:
        """Baskets (users,): distinct times of order events."""
        at = np.flatnonzero(self._within(self._orders, days))
        user, time = self.flat.user[at], self.flat.time[at]
        first = np.ones(len(at), dtype=np.bool_)
        first[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
        counted = self._bins(user[first])
        for number, old in self._folded(days):
            mine = time[user == number]
            counted[number] += old.orders - int(len(mine) > 0 and mine[0] == old.last_order)
        return counted

    def distinct_items(self, days: float | None = None) -> NDArray[np.int64]:
        """Distinct items ordered (users,)."""
        user, last = self._last_bought
        if days is None:
            return self._bins(user)
        now = self.now if isinstance(self.now, int) else self.now[user]
        return self._bins(user[last > now - int(days * DAY)])

    def spend(self, days: float | None = None) -> NDArray[np.float64]:
        """Value of orders (users,), currency."""
        return self._sum(self._within(self._orders, days), self.flat.value, days, "spend")

    def pieces(self, days: float | None = None) -> NDArray[np.float64]:
        """Pieces ordered (users,)."""
        return self._sum(self._within(self._orders, days), self.flat.quantity, days, "pieces")

    def returned(self, days: float | None = None) -> NDArray[np.float64]:
        """Value sent back (users,), currency, >= 0."""
        where = self._within(self._past & (self.flat.role == Role.RETURN), days)
        return self._sum(where, np.abs(self.flat.value), days, "returned")

    def days_since_event(self) -> NDArray[np.float64]:
        """Days since the last event (users,), NaN: none."""
        return self._days_since(self._past, "last_time")

    def days_since_order(self) -> NDArray[np.float64]:
        """Days since the last order (users,), NaN: none."""
        return self._days_since(self._orders, "last_order")

    def tenure_days(self) -> NDArray[np.float64]:
        """Days since the first event (users,), NaN: none."""
        return self._days_since(self._past, "first_time", first=True)

    def all(self) -> dict[str, NDArray[Any]]:
        """Every column by name, see `FeatureState.user_columns`."""
        columns: dict[str, NDArray[Any]] = {}
        for name, span in WINDOWS.items():
            days = None if span is None else span / DAY
            for read in (
                self.events, self.orders, self.lines, self.distinct_items, self.pieces, self.spend, self.returned,
            ):  # fmt: skip
                columns[f"{read.__name__}_{name}"] = read(days)
        for recency in (self.days_since_event, self.days_since_order, self.tenure_days):
            columns[recency.__name__] = recency()
        return columns

    def trail(self) -> Trail:
        """The kept events themselves."""
        flat, past = self.flat, self._past
        return Trail(
            rows=self.rows,
            now=np.broadcast_to(np.asarray(self.now, dtype=np.int64), (self.users,)),
            user=flat.user[past],
            time=flat.time[past],
            role=flat.role[past],
            item=flat.item[past],
            value=flat.value[past],
            quantity=flat.quantity[past],
            folded=flat.folded,
        )

    @cached_property
    def _last_bought(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """(users, times), one entry for each user and distinct item: when it was last ordered."""
        at = np.flatnonzero(self._orders & (self.flat.item >= 0))
        pair = (self.flat.user[at].astype(np.int64) << 32) | self.flat.item[at]
        order = np.argsort(pair, kind="stable")
        pair = pair[order]
        newest = np.ones(len(pair), dtype=np.bool_)
        newest[:-1] = pair[1:] != pair[:-1]
        chosen = at[order[newest]]
        return self.flat.user[chosen], self.flat.time[chosen]

    def _within(self, where: NDArray[np.bool_], days: float | None) -> NDArray[np.bool_]:
        return where if days is None else where & (self.flat.time > self._now - int(days * DAY))

    def _folded(self, days: float | None) -> list[tuple[int, Folded]]:
        return self.flat.folded if days is None else []

    def _count(self, where: NDArray[np.bool_]) -> NDArray[np.int64]:
        return self._bins(self.flat.user[where])

    def _bins(self, users: NDArray[Any]) -> NDArray[np.int64]:
        return np.bincount(users, minlength=self.users).astype(np.int64)

    def _sum(
        self, where: NDArray[np.bool_], amounts: NDArray[np.int64], days: float | None, name: str
    ) -> NDArray[np.float64]:
        total = np.concatenate([[0], np.cumsum(np.where(where, amounts, 0))])
        sums = np.diff(total[self.flat.starts])
        for user, old in self._folded(days):
            sums[user] += getattr(old, name)
        return sums / MICRO

    def _days_since(self, where: NDArray[np.bool_], name: str, *, first: bool = False) -> NDArray[np.float64]:
        at = np.flatnonzero(where)
        if first:
            at = at[::-1]
        # numpy assigns repeated positions in order: the last (or, backwards, the first) event of a user stays.
        times = np.full(self.users, -1, dtype=np.int64)
        times[self.flat.user[at]] = self.flat.time[at]
        for user, old in self.flat.folded:
            known = getattr(old, name)
            if known >= 0 and (first or times[user] < 0):
                times[user] = known
        return np.where(times < 0, np.nan, (self.now - times) / DAY)


def _joined(parts: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
