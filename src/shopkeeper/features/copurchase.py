"""What is bought together: counts of pairs of items that one user ordered within 24 hours, and the score made of them.

Writes: one cell of a fixed table for each pair of order lines of a user at most 24 hours apart. Cells are exact for the
first 5,792 item rows; above that pairs share cells by hash, so a count can only be too high. Memory: 64 MiB for the
table, touched as pairs occur. A line is paired with at most 1,000 neighbours in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.arrivals import Arrivals
from shopkeeper.features.base import Accumulator, Ask, Reading, grown
from shopkeeper.features.history import UserHistories, by_user
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.kinds import EventKinds, Role

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

TOGETHER = DAY
NEIGHBOURS = 1000
RECENT_ITEMS = 8
RECENT = 30 * DAY
_CELLS = 1 << 24
_CHUNK = 1 << 20
_PIECE = 1 << 17  # pairs that a merge counts at a time: some ten milliseconds
_ONE = np.uint32(1)  # of the table's own type: numpy counts ten times as fast without a cast


class CoPurchases:
    """Must be applied before UserHistories: it pairs what arrives with what is there."""

    def __init__(self, kinds: EventKinds) -> None:
        self._kinds = kinds
        self._table = np.zeros(_CELLS, dtype=np.uint32)
        self._changes = 0
        self._changed = np.zeros(0, dtype=np.int64)

    def apply(self, events: Arrivals, state: FeatureState, /) -> None:
        sold = events.is_order & (events.user >= 0) & (events.item >= 0)
        if not sold.any():
            return
        histories = state.part(UserHistories)
        parts = [self._lines(user, where[sold[where]], events, histories) for user, where in by_user(events)]
        self._pair([part for part in parts if part is not None])

    def merge(self, source: int, _target: int, events: Arrivals, _state: FeatureState, /) -> Iterator[None]:
        """Counts the pairs of a line of the one and a line of the other, in pieces; the others are counted already."""
        sold = np.flatnonzero(events.is_order & (events.item >= 0))
        sold = sold[np.argsort(events.time[sold], kind="stable")]
        return self._pair_across(events.time[sold], events.item[sold], events.user[sold] == source)

    def forget(self, _user: int, _state: FeatureState, /) -> None:
        """Pairs bear no user: they stay until the next start."""

    def fork(self, _user: int, kinds: EventKinds, /) -> CoPurchases:
        return _Fork(self, kinds)

    def counts(self, items: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.uint32]:
        """How often items (n,) and others (m,) were ordered together, (n, m); 0 for an item with itself."""
        together = self._read(_cells(items[:, None], others[None, :]))
        together[items[:, None] == others[None, :]] = 0
        return together

    def row(self, item: int, size: int) -> NDArray[np.uint32]:
        """How often an item was ordered together with each of the first `size` items, (size,)."""
        found: NDArray[np.uint32] = self.counts(np.array([item], dtype=np.int32), np.arange(size, dtype=np.int32))[0]
        return found

    def changed(self, item: int) -> int:
        """A number that is another one as soon as a count of the item may be."""
        return int(self._changed[item]) if item < len(self._changed) else 0

    def _touch(self, items: NDArray[np.int32]) -> None:
        self._changes += 1
        self._changed = grown(self._changed, int(items.max()) + 1)
        self._changed[items] = self._changes

    def _lines(
        self, user: int, new: NDArray[np.int64], events: Arrivals, histories: UserHistories
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_]] | None:
        """(times, items, is new) of a user's new order lines and of the known ones near them, sorted by time."""
        if not len(new):
            return None
        times, items = events.time[new], events.item[new]
        history = histories.get(user)
        if history is None:
            return times, items, np.ones(len(times), dtype=np.bool_)
        known = history.times
        start, end = np.searchsorted(known, [times[0] - TOGETHER, times[-1] + TOGETHER + 1]).tolist()
        near = slice(start, end)
        rows = history.rows[near]
        keep = (self._kinds.roles(rows["type"]) == Role.ORDER) & (rows["item"] >= 0)
        all_times = np.concatenate([known[near][keep], times])
        order = np.argsort(all_times, kind="stable")
        is_new = order >= len(all_times) - len(times)
        return all_times[order], np.concatenate([rows["item"][keep], items])[order], is_new

    def _pair(self, parts: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_]]]) -> None:
        key = _side_by_side([times for times, _, _ in parts])
        if len(key) == 1:
            return
        items = np.concatenate([items for _, items, _ in parts])
        self._touch(items)
        new = np.concatenate([is_new for _, _, is_new in parts])
        first = np.maximum(np.searchsorted(key, key - TOGETHER), np.arange(len(key)) - NEIGHBOURS)
        number = np.arange(len(key)) - first
        for a, b in _chunks(np.cumsum(number)):
            count = number[a:b]
            right = np.repeat(np.arange(a, b), count)
            left = np.arange(len(right)) - np.repeat(np.cumsum(count) - count - first[a:b], count)
            counted = (new[left] | new[right]) & (items[left] != items[right])
            self._count(_cells(items[left[counted]], items[right[counted]]))

    def _pair_across(
        self, times: NDArray[np.int64], items: NDArray[np.int32], side: NDArray[np.bool_]
    ) -> Iterator[None]:
        """Lines (n,) in order of time, each on one of two sides."""
        few = np.flatnonzero(side if 2 * np.count_nonzero(side) <= len(side) else ~side)
        if not len(few):
            return
        first = np.maximum(np.searchsorted(times, times[few] - TOGETHER), few - NEIGHBOURS)
        after = np.minimum(np.searchsorted(times, times[few] + TOGETHER, "right"), few + NEIGHBOURS + 1)
        number = after - first
        for a, b in _chunks(np.cumsum(number), _PIECE):
            count = number[a:b]
            one = np.repeat(few[a:b], count)
            other = np.arange(len(one)) - np.repeat(np.cumsum(count) - count - first[a:b], count)
            counted = (side[one] != side[other]) & (items[one] != items[other])
            self._count(_cells(items[one[counted]], items[other[counted]]))
            self._touch(items)
            yield

    def _count(self, cells: NDArray[np.int64]) -> None:
        np.add.at(self._table, cells, _ONE)

    def _read(self, cells: NDArray[np.int64]) -> NDArray[np.uint32]:
        return self._table[cells]


class _Fork(CoPurchases):
    """Another's table, and beside it the pairs that only this one has counted: `_more` in each of `_where`, sorted."""

    def __init__(self, of: CoPurchases, kinds: EventKinds) -> None:
        self._kinds = kinds
        self._table = of._table
        self._changes, self._changed = of._changes, of._changed.copy()
        self._where = np.empty(0, dtype=np.int64)
        self._more = np.empty(0, dtype=np.uint32)
        if isinstance(of, _Fork):
            self._where, self._more = of._where, of._more  # replaced, never written to

    def _count(self, cells: NDArray[np.int64]) -> None:
        every = np.concatenate([np.repeat(self._where, self._more), cells])
        self._where, more = np.unique(every, return_counts=True)
        self._more = more.astype(np.uint32)

    def _read(self, cells: NDArray[np.int64]) -> NDArray[np.uint32]:
        found = self._table[cells]
        if len(self._where):
            at = np.minimum(np.searchsorted(self._where, cells), len(self._where) - 1)
            found += np.where(self._where[at] == cells, self._more[at], np.uint32(0))
        return found


def _side_by_side(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Users' times on one axis, so far apart that no two users are within 24 hours of each other."""
    if len(parts) == 1:
        return parts[0]
    spans = np.array([0] + [int(times[-1] - times[0]) + 2 * TOGETHER for times in parts[:-1]], dtype=np.int64)
    return np.concatenate([times - times[0] + offset for times, offset in zip(parts, np.cumsum(spans), strict=True)])


def _chunks(total: NDArray[np.int64], size: int = _CHUNK) -> list[tuple[int, int]]:
    """Ranges of lines with about `size` pairs each; `total` is the running number of pairs."""
    if total[-1] <= size:
        return [(0, len(total))]
    cuts = np.searchsorted(total, np.arange(size, int(total[-1]) + size, size), "left") + 1
    ends = np.unique(np.minimum(cuts, len(total))).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _cells(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int64]:
    high = np.maximum(a, b).astype(np.int64)
    low = np.minimum(a, b)
    cell = high * (high - 1) // 2 + low
    overflow = cell >> 24
    if overflow.any():
        cell = cell ^ (overflow * 0x9E3779B1)
    return cell & (_CELLS - 1)


@dataclass(frozen=True)
class CoPurchase:
    """How much the candidates go with what the user bought or looked at lately.

    Over the user's last 8 items of 30 days (orders and interest): sum of pairs / sqrt(lines of the one x of the other).
    """

    name: str = "pair_copurchase"
    group: str = "behavioral"
    of: str = "pair"
    unit: str = "cosine sum"
    default: float = 0.0
    version: int = 1
    help: str = "how often others bought the item with what the user bought or looked at lately"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (CoPurchases, UserHistories, ItemFacts)

    def read(self, ask: Ask) -> Reading:
        recent = ask.past.recent_items(RECENT_ITEMS, RECENT)
        if not len(recent) or not len(ask.items):
            return np.zeros(len(ask.items), dtype=np.float32)
        lines = ask.state.part(ItemFacts).lines
        together = ask.state.part(CoPurchases).counts(ask.items, recent).astype(np.float32)
        norm = np.sqrt(np.maximum(lines[recent], 1))
        own = np.sqrt(np.maximum(ask.gather(lines, 0.0), 1))
        return np.where(ask.items >= 0, (together / norm).sum(axis=1) / own, 0).astype(np.float32)


CO_PURCHASE = CoPurchase()
