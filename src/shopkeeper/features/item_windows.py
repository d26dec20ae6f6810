"""How often an item was sold, or looked at, lately: tiles of time by item, and the features that read them.

Writes: counts by (tile, item). A window of n tiles is the tile of the moment and the n - 1 before it: 24 hours are read
to the hour (23 to 24 hours), 7, 14 and 30 days to six hours. Tiles begin at multiples of their width in UTC.
Memory, int32: 32 hourly tiles for sales, 32 for interest, 128 of six hours for sales: 768 bytes an item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.features.arrivals import Arrivals, run_starts
from shopkeeper.features.base import Accumulator, Ask, ByItem, Reading, grown
from shopkeeper.features.kinds import EventKinds, Role

if TYPE_CHECKING:
    from shopkeeper.features.state import FeatureState

LONGEST_DAYS = 30
SALES_TILE = 6 * HOUR
_TOO_OLD = -(1 << 62)


class Tiles:
    """A ring of the newest `keep` tiles of `width` us, each counts (items,)."""

    def __init__(self, width: int, keep: int) -> None:
        self.width = width
        self.keep = keep
        self._counts = [np.zeros(0, dtype=np.int32) for _ in range(keep)]
        self._lent: set[int] = set()  # tiles that belong to the ring of which this one is a fork
        self._size = 0
        self._held = [_TOO_OLD] * keep
        self._newest = _TOO_OLD
        self._windows: dict[int, tuple[int, NDArray[np.int32]]] = {}

    def add(self, items: NDArray[np.int32], times: NDArray[np.int64]) -> None:
        """Counts one event for each (item, time), n > 0. What is older than the ring is dropped."""
        self._grow(int(items.max()) + 1)
        tiles = times // self.width
        if len(tiles) > 1:
            order = np.argsort(tiles, kind="stable")
            items, tiles = items[order], tiles[order]
        starts = run_starts(tiles)
        for a, b in zip(starts, [*starts[1:], len(tiles)], strict=True):
            self._add_tile(int(tiles[a]), items[a:b])

    def window(self, n: int, before: int) -> NDArray[np.int32]:
        """Counts (items,) in the n tiles that end with the one of the last moment before `before` (us)."""
        end = (before - 1) // self.width
        cached = self._windows.get(n)
        if cached is not None and cached[0] == end:
            return cached[1]
        if cached is not None and 0 < end - cached[0] < n:
            counts = self._moved(cached[1], cached[0], end, n)
        else:
            counts = np.zeros(self._size, dtype=np.int32)
            for tile in range(end - n + 1, end + 1):
                if self._holds(tile):
                    counts += self._counts[tile % self.keep]
        if cached is None or end > cached[0]:
            self._windows[n] = (end, counts)
        return counts

    def fork(self) -> Tiles:
        """Another ring with the same counts: a tile is copied when it is first written to."""
        forked = Tiles(self.width, self.keep)
        forked._counts, forked._size = self._counts.copy(), self._size
        forked._lent = set(range(self.keep))
        forked._held, forked._newest = self._held.copy(), self._newest
        forked._windows = {n: (end, counts.copy()) for n, (end, counts) in self._windows.items()}
        return forked

    def _add_tile(self, tile: int, items: NDArray[np.int32]) -> None:
        slot = tile % self.keep
        if tile <= self._newest - self.keep:
            return
        if slot in self._lent:
            self._lent.discard(slot)
            self._counts[slot] = self._counts[slot].copy()
        if self._held[slot] != tile:
            self._forget(self._held[slot])
            self._held[slot] = tile
            self._counts[slot][:] = 0
        self._newest = max(self._newest, tile)
        _count(self._counts[slot], items)
        for n, (end, counts) in self._windows.items():
            if end - n < tile <= end:
                _count(counts, items)

    def _forget(self, tile: int) -> None:
        """A tile leaves the ring: a sum that still holds it can no longer be moved on by subtracting it."""
        self._windows = {n: (end, counts) for n, (end, counts) in self._windows.items() if not end - n < tile <= end}

    def _moved(self, counts: NDArray[np.int32], old: int, end: int, n: int) -> NDArray[np.int32]:
        for tile in range(old + 1, end + 1):
            if self._holds(tile):
                counts += self._counts[tile % self.keep]
            if self._holds(tile - n):
                counts -= self._counts[(tile - n) % self.keep]
        return counts

    def _holds(self, tile: int) -> bool:
        return self._held[tile % self.keep] == tile and tile > self._newest - self.keep

    def _grow(self, size: int) -> None:
        have = self._size
        if size <= have:
            return
        room = self._size = max(size, 2 * have, 16)
        self._counts = [grown(counts, room) for counts in self._counts]
        self._lent.clear()
        self._windows = {n: (end, grown(sums, room)[:room]) for n, (end, sums) in self._windows.items()}


def _count(row: NDArray[np.int32], items: NDArray[np.int32]) -> None:
    if len(items) == 1:
        row[items[0]] += 1
    else:
        np.add.at(row, items, 1)


class ItemWindows(ByItem):
    """Sales (order lines) and interest (views, clicks, carts, likes ...) by item over the last hours and days."""

    def __init__(self, _kinds: EventKinds, /) -> None:
        self._hourly = Tiles(HOUR, 32)
        self._slow = Tiles(SALES_TILE, 128)
        self._interest = Tiles(HOUR, 32)

    def apply(self, events: Arrivals, _state: FeatureState, /) -> None:
        known = events.item >= 0
        sold = known & events.is_order
        if sold.any():
            items, times = events.item[sold], events.time[sold]
            self._hourly.add(items, times)
            self._slow.add(items, times)
        looked = known & (events.role == Role.INTEREST)
        if looked.any():
            self._interest.add(events.item[looked], events.time[looked])

    def fork(self, _user: int, kinds: EventKinds, /) -> ItemWindows:
        forked = ItemWindows(kinds)
        forked._hourly, forked._slow, forked._interest = (
            tiles.fork() for tiles in (self._hourly, self._slow, self._interest)
        )
        return forked

    def sales(self, days: int, before: int) -> NDArray[np.int32]:
        """Order lines (items,) of the last `days` before a moment; read only. Raises Invalid outside 1 to 30 days."""
        if not 1 <= days <= LONGEST_DAYS:
            raise Invalid(f"item windows reach from 1 to {LONGEST_DAYS} days, not {days}", code="bad_window")
        return self._hourly.window(24, before) if days == 1 else self._slow.window(4 * days, before)

    def interest(self, before: int) -> NDArray[np.int32]:
        """Signs of interest (items,) in the last 24 hours; read only."""
        return self._interest.window(24, before)


def _sales(days: int) -> Callable[[Ask], NDArray[np.float32]]:
    return lambda ask: ask.gather(ask.state.part(ItemWindows).sales(days, ask.time), 0.0)


def _interest(ask: Ask) -> NDArray[np.float32]:
    return ask.gather(ask.state.part(ItemWindows).interest(ask.time), 0.0)


def _trend(ask: Ask) -> NDArray[np.float32]:
    week, fortnight = _sales(7)(ask), _sales(14)(ask)
    return np.log((1 + week) / (1 + fortnight - week)).astype(np.float32)


@dataclass(frozen=True)
class ItemWindow:
    """One count of each candidate over a window of tiles."""

    name: str
    of_item: Callable[[Ask], NDArray[np.float32]]
    unit: str
    help: str
    group: str = "aggregated"
    default: float = 0.0
    of: str = "item"
    version: int = 1
    needs: ClassVar[tuple[type[Accumulator], ...]] = (ItemWindows,)

    def read(self, ask: Ask) -> Reading:
        return self.of_item(ask)


POPULARITY_24H = ItemWindow("item_popularity_24h", _sales(1), "order lines", "sold in the last 24 hours, to the hour")
POPULARITY_7D = ItemWindow("item_popularity_7d", _sales(7), "order lines", "sold in the last 7 days, to six hours")
POPULARITY_30D = ItemWindow("item_popularity_30d", _sales(30), "order lines", "sold in the last 30 days, to six hours")
INTEREST_24H = ItemWindow("item_interest_24h", _interest, "events", "views, clicks, carts, likes ... in 24 hours")
TREND_7D = ItemWindow("item_trend_7d", _trend, "log ratio", "sales of the last 7 days against the 7 days before")
