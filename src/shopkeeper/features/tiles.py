"""Accumulator: the last minutes, hour and day of users in tiled rings, for a bounded number of users.

A user has a slot from when somebody first asks; it is filled from the user's history, and events keep it right from
then on. While no slot is free, the one that was not asked for longest is given away. So what a slot says is what the
history says, only faster; but of a user with more events in a day than a history keeps (`KEPT`), the slot knows them
all. Such a one has a slot from its first event beyond on, and keeps it while the history could not fill another.

Memory: 9.5 KB a slot.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.arrivals import Arrivals
from shopkeeper.features.base import grown
from shopkeeper.features.history import KEPT, History, UserHistories, by_user
from shopkeeper.features.kinds import EventKinds
from shopkeeper.features.rings import LONGEST, SPANS, WIDTHS, Happened, Ring, Series, series_of

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

SLOTS = 5_000


class Tiles:
    """`slots`: how many users at most. `filled` and `given_away` count, since the start."""

    def __init__(self, kinds: EventKinds, /) -> None:
        self.slots = SLOTS
        self.filled = self.given_away = 0
        self._kinds = kinds
        self._rings = [Ring(width, 0) for width in WIDTHS]
        self._taken = np.zeros(0, dtype=np.int32)  # events by user row
        self._slot_of = np.full(0, -1, dtype=np.int32)
        self._newest = np.full(0, -1, dtype=np.int64)  # time of the newest event, by slot
        self._users: OrderedDict[int, int] = OrderedDict()  # user -> slot, the least recently asked for first
        self._full: set[int] = set()  # users of whom the history does not keep a whole day
        self._free: list[int] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._users)

    def bytes(self) -> int:
        return sum(ring.bytes() for ring in self._rings) + self._slot_of.nbytes + self._newest.nbytes

    def apply(self, events: Arrivals, state: FeatureState, /) -> None:
        """Before the histories take them."""
        known = events.user >= 0
        users = events.user if known.all() else events.user[known]
        if not len(users):
            return
        top = int(users.max()) + 1
        self._taken = grown(self._taken, top)
        self._slot_of = grown(self._slot_of, top, -1)
        np.add.at(self._taken, users, 1)
        if not ((self._slot_of[users] >= 0) | (self._taken[users] > KEPT)).any():
            return
        histories = state.part(UserHistories)
        for user, where in by_user(events):
            slot = self._slot(user)
            if self._taken[user] > KEPT:
                slot = self._fill(user, histories.get(user), state) if slot < 0 else slot
                self._full.add(user)
            if slot >= 0:
                self._put(slot, Happened(events.time[where], events.role[where], events.value[where]))

    def merge(self, source: int, target: int, events: Arrivals, state: FeatureState, /) -> None:
        for user in (source, target):
            self.forget(user, state)
        self._taken = grown(self._taken, target + 1)
        self._taken[target] = len(events)
        if len(events) > KEPT:
            slot = self._fill(target, None, state)
            self._full.add(target)
            self._put(slot, Happened(events.time, events.role, events.value))

    def forget(self, user: int, _state: FeatureState, /) -> None:
        slot = self._users.pop(user, -1)
        self._full.discard(user)
        if slot >= 0:
            self._slot_of[user] = -1
            self._free.append(slot)
        if 0 <= user < len(self._taken):
            self._taken[user] = 0

    def fork(self, user: int, kinds: EventKinds, /) -> Tiles:
        """Slots are filled when they are asked for; only what a history could not fill is taken along."""
        forked = Tiles(kinds)
        forked.slots, forked._taken = self.slots, self._taken.copy()
        if user in self._full:
            slot = self._slot(user)
            place = forked._take(user, None)
            for mine, other in zip(self._rings, forked._rings, strict=True):
                mine.copy_slot(slot, other, place)
            forked._newest[place] = self._newest[slot]
            forked._full.add(user)
        return forked

    def series(self, user: int, time: int, window: str, state: FeatureState) -> Series:
        """The tiles of one of SPANS that hold what a user did before `time`, us."""
        number, n = SPANS[window]
        ring = self._rings[number]
        last = (time - 1) // ring.width
        histories = state.part(UserHistories)
        history = histories.get(user)
        if history is None:
            return series_of(_NOTHING, ring.width, last, n)
        slot = self._slot(user)
        if slot < 0:
            slot = self._fill(user, history, state)
        else:
            self._users.move_to_end(user)
        if self._newest[slot] < time:
            return ring.read(slot, last, n)
        # Of a moment before the user's newest event the ring may not tell: the history does.
        return series_of(self._of(history, time - LONGEST - ring.width, time), ring.width, last, n)

    def series_of_many(self, users: list[int], time: int, window: str, state: FeatureState) -> list[Series]:
        """The same of many users: those that have slots are read together."""
        number, n = SPANS[window]
        ring = self._rings[number]
        slots = np.array([self._slot(user) for user in users], dtype=np.int64)
        together = np.flatnonzero(slots >= 0)
        together = together[self._newest[slots[together]] < time]
        read = dict(zip(together.tolist(), ring.read_many(slots[together], (time - 1) // ring.width, n), strict=True))
        for at in read:
            self._users.move_to_end(users[at])
        return [read[at] if at in read else self.series(user, time, window, state) for at, user in enumerate(users)]

    # -- inside

    def _slot(self, user: int) -> int:
        return int(self._slot_of[user]) if 0 <= user < len(self._slot_of) else -1

    def _put(self, slot: int, happened: Happened) -> None:
        for ring in self._rings:
            ring.put(slot, happened)
        self._newest[slot] = max(int(self._newest[slot]), int(happened.time.max()))

    def _fill(self, user: int, history: History | None, state: FeatureState) -> int:
        slot = self._take(user, state)
        self.filled += 1
        if history is not None and history.size:
            newest = int(history.times[-1])
            self._put(slot, self._of(history, newest - LONGEST - WIDTHS[-1].width, newest + 1))
        return slot

    def _take(self, user: int, state: FeatureState | None) -> int:
        """An empty slot."""
        if not self._free:
            if self._made < self.slots or state is None:
                self._free.append(self._made)
                self._made += 1
                for ring in self._rings:
                    ring.grow(self._made)
                self._newest = grown(self._newest, self._made, -1)
            else:
                self._give_away(state)
        slot = self._free.pop()
        for ring in self._rings:
            ring.clear(slot)
        self._newest[slot] = -1
        self._slot_of = grown(self._slot_of, user + 1, -1)
        self._slot_of[user] = slot
        self._users[user] = slot
        return slot

    def _give_away(self, state: FeatureState) -> None:
        """That of the user whom nobody has asked for longest, but for those that a history could not fill again; where
        all are such, then of one of those."""
        histories = state.part(UserHistories)
        for user in self._users:
            if user not in self._full or self._fillable(user, histories):
                break
        else:
            user = next(iter(self._users))
        self.given_away += 1
        self._full.discard(user)
        slot = self._users.pop(user)
        self._slot_of[user] = -1
        self._free.append(slot)

    def _fillable(self, user: int, histories: UserHistories) -> bool:
        history = histories.get(user)
        newest = int(self._newest[self._slot(user)])
        return history is None or history.folded.last_time < newest - LONGEST - WIDTHS[-1].width

    def _of(self, history: History, since: int, until: int) -> Happened:
        """The kept events in [since, until)."""
        times = history.times
        start, end = np.searchsorted(times, (since, until)).tolist()
        rows = history.rows[start:end]
        return Happened(times[start:end], self._kinds.roles(rows["type"]), rows["value"])


_NO: NDArray[np.int64] = np.empty(0, dtype=np.int64)
_NOTHING = Happened(_NO, np.empty(0, dtype=np.int8), _NO)
