"""Who bought what, how often and when last: an accumulator and the features of (user, candidate) that read it.

Writes: one entry of 16 bytes for each (user, item) that was ever ordered; no window, nothing is forgotten.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.arrivals import Arrivals, run_starts
from shopkeeper.features.base import Accumulator, Ask, Reading, grown
from shopkeeper.features.kinds import EventKinds

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

NEVER_DAYS = 3650.0


class Basket:
    """One user's purchases by item: `items` int32 (n,) sorted, `times` int32 (n,) order lines, `last` int64 (n,) us."""

    __slots__ = ("items", "last", "times")

    def __init__(self) -> None:
        self.items = np.empty(0, dtype=np.int32)
        self.times = np.empty(0, dtype=np.int32)
        self.last = np.empty(0, dtype=np.int64)

    def copy(self) -> Basket:
        copied = Basket()
        copied.items, copied.times, copied.last = self.items.copy(), self.times.copy(), self.last.copy()
        return copied

    def find(self, items: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(positions, found), both (n,); the position of an item that is not found is 0."""
        if not len(self.items):
            return np.zeros(len(items), dtype=np.int64), np.zeros(len(items), dtype=np.bool_)
        at = np.searchsorted(self.items, items)
        at[at == len(self.items)] = 0
        return at, self.items[at] == items

    def add(self, items: NDArray[np.int32], times: NDArray[np.int32], last: NDArray[np.int64]) -> NDArray[np.int32]:
        """Adds lines of distinct sorted items; gives how often each was bought before, (n,)."""
        if not len(self.items):
            self.items, self.times, self.last = items.copy(), times.copy(), last.copy()
            return np.zeros(len(items), dtype=np.int32)
        at, found = self.find(items)
        before = np.zeros(len(items), dtype=np.int32)
        if found.any():
            known = at[found]
            before[found] = self.times[known]
            self.times[known] += times[found]
            self.last[known] = np.maximum(self.last[known], last[found])
        if not found.all():
            new = ~found
            all_items = np.concatenate([self.items, items[new]])
            order = all_items.argsort(kind="stable")
            self.items = all_items[order]
            self.times = np.concatenate([self.times, times[new]])[order]
            self.last = np.concatenate([self.last, last[new]])[order]
        return before


class Purchases:
    """Baskets by user row; buyers and repeat buyers by item row."""

    def __init__(self, _kinds: EventKinds, /) -> None:
        self._users: MutableMapping[int, Basket] = {}
        self._nobody = Basket()
        self.buyers = np.zeros(0, dtype=np.int32)
        self.repeaters = np.zeros(0, dtype=np.int32)

    def apply(self, events: Arrivals, _state: FeatureState, /) -> None:
        sold = (events.is_order & (events.user >= 0) & (events.item >= 0)).nonzero()[0]
        if not len(sold):
            return
        user, item, time = events.user[sold], events.item[sold], events.time[sold]
        if len(sold) == 1:
            self._add(user, item, np.ones(1, dtype=np.int32), time)
            return
        order = np.lexsort((time, item, user))
        user, item, time = user[order], item[order], time[order]
        changed = np.empty(len(user), dtype=np.bool_)
        changed[0] = True
        changed[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        first = np.flatnonzero(changed)
        after = np.append(first[1:], len(user))
        self._add(user[first], item[first], (after - first).astype(np.int32), time[after - 1])

    def merge(self, source: int, target: int, events: Arrivals, state: FeatureState, /) -> None:
        for user in (source, target):
            self.forget(user, state)
        self.apply(replace(events, user=np.full(len(events), target, dtype=np.int32)), state)

    def forget(self, user: int, _state: FeatureState, /) -> None:
        basket = self._users.pop(user, self._nobody)
        self.buyers[basket.items] -= 1
        self.repeaters[basket.items[basket.times >= 2]] -= 1

    def fork(self, user: int, kinds: EventKinds, /) -> Purchases:
        forked = Purchases(kinds)
        mine = {user: self._users[user].copy()} if user in self._users else {}
        forked._users = ChainMap(mine, self._users)
        forked.buyers, forked.repeaters = self.buyers.copy(), self.repeaters.copy()
        return forked

    def of(self, user: int) -> Basket:
        """What a user has bought; empty for one that nobody has met."""
        return self._users.get(user, self._nobody)

    def _add(
        self, user: NDArray[np.int32], item: NDArray[np.int32], times: NDArray[np.int32], last: NDArray[np.int64]
    ) -> None:
        before = np.empty(len(user), dtype=np.int32)
        starts = run_starts(user)
        for a, b in zip(starts, [*starts[1:], len(user)], strict=True):
            basket = self._users.setdefault(int(user[a]), Basket())
            before[a:b] = basket.add(item[a:b], times[a:b], last[a:b])
        top = int(item.max()) + 1
        self.buyers, self.repeaters = grown(self.buyers, top), grown(self.repeaters, top)
        np.add.at(self.buyers, item[before == 0], 1)
        np.add.at(self.repeaters, item[(before < 2) & (before + times >= 2)], 1)


def _bought(ask: Ask) -> tuple[Basket, NDArray[np.int64], NDArray[np.bool_]]:
    """The user's basket, and where the candidates lie in it: see `Basket.find`."""
    basket = ask.state.part(Purchases).of(ask.user)
    return basket, *basket.find(ask.items)


@dataclass(frozen=True)
class BoughtBefore:
    """1 when the user has ordered the candidate before."""

    name: str = "pair_bought_before"
    group: str = "behavioral"
    of: str = "pair"
    unit: str = "0 or 1"
    default: float = 0.0
    version: int = 1
    help: str = "whether the user has ordered this item before"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (Purchases,)

    def read(self, ask: Ask) -> Reading:
        return ask.once(_bought)[2].astype(np.float32)


@dataclass(frozen=True)
class TimesBought:
    """Order lines of the user for the candidate, all time."""

    name: str = "pair_times_bought"
    group: str = "behavioral"
    of: str = "pair"
    unit: str = "order lines"
    default: float = 0.0
    version: int = 1
    help: str = "how often the user has ordered this item"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (Purchases,)

    def read(self, ask: Ask) -> Reading:
        basket, at, found = ask.once(_bought)
        result = np.zeros(len(found), dtype=np.float32)
        result[found] = basket.times[at[found]]
        return result


@dataclass(frozen=True)
class DaysSinceBought:
    """Days since the user last ordered the candidate."""

    name: str = "pair_days_since_bought"
    group: str = "temporal"
    of: str = "pair"
    unit: str = "days"
    default: float = NEVER_DAYS
    version: int = 1
    help: str = "days since the user last ordered this item; 3650: never"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (Purchases,)

    def read(self, ask: Ask) -> Reading:
        basket, at, found = ask.once(_bought)
        result = np.full(len(found), self.default, dtype=np.float32)
        result[found] = (ask.time - basket.last[at[found]]) / DAY
        return result


BOUGHT_BEFORE = BoughtBefore()
TIMES_BOUGHT = TimesBought()
DAYS_SINCE_BOUGHT = DaysSinceBought()
