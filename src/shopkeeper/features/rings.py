"""Rings of tiles: what happened in each of the last n spans of one width, for many users, in a few arrays.

A tile is all that happened within [k * width, (k + 1) * width), by UTC. Sums are of whole numbers, so a ring is the
same in whatever order its events came. Amounts are those of order lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND
from shopkeeper.features.base import grown
from shopkeeper.features.kinds import Role

CENT = 10_000  # micros: squares of whole cents are exact in a float, up to 9e15 of them summed
NO_LOW, NO_HIGH = np.iinfo(np.int64).max, np.iinfo(np.int64).min


class Width(NamedTuple):
    """`tiles` of `width` us."""

    width: int
    tiles: int


WIDTHS = (Width(5 * SECOND, 60), Width(MINUTE, 60), Width(15 * MINUTE, 96))
SPANS: dict[str, tuple[int, int]] = {"1m": (0, 12), "5m": (0, 60), "30m": (1, 30), "60m": (1, 60), "1d": (2, 96)}
"""Window -> (which of WIDTHS, how many tiles): the tile that `now` is in counts as a whole one."""
LONGEST = 24 * HOUR
assert max(one.width * one.tiles for one in WIDTHS) == LONGEST == DAY


class Happened(NamedTuple):
    """Events of one user, all (m,): time in us, role, value in micros."""

    time: NDArray[np.int64]
    role: NDArray[np.int8]
    value: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Series:
    """n tiles, oldest first, all (n,): counts of events, of those that show interest, of order lines; `value` in
    micros, `squares` in cents squared; `low` and `high` in micros, NO_LOW and NO_HIGH where nothing was ordered."""

    events: NDArray[np.int64]
    interest: NDArray[np.int64]
    lines: NDArray[np.int64]
    value: NDArray[np.int64]
    squares: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


_NOTHING = {"low": NO_LOW, "high": NO_HIGH}
_FIELDS = ("events", "interest", "lines", "value", "squares", "low", "high")


def series_of(happened: Happened, width: int, last: int, n: int) -> Series:
    """The n tiles up to tile number `last`, from the events themselves."""
    tile = happened.time // width - (last - n + 1)
    within = (tile >= 0) & (tile < n)
    ring = Ring(Width(width, n), 1)
    ring.put(0, Happened(happened.time[within], happened.role[within], happened.value[within]))
    return ring.read(0, last, n)


class Ring:
    """One width for `slots` users. `head` (slots,): the number of the newest tile, -1: nothing yet."""

    def __init__(self, width: Width, slots: int) -> None:
        self.width, self.tiles = width
        self.head = np.full(slots, -1, dtype=np.int64)
        self._cells = {name: self._empty(name, slots) for name in _FIELDS}

    def grow(self, slots: int) -> None:
        """Room for at least so many."""
        if slots > len(self.head):
            self.head = grown(self.head, slots, -1)
            for name, cells in self._cells.items():
                larger = self._empty(name, len(self.head))
                larger[: len(cells)] = cells
                self._cells[name] = larger

    def clear(self, slot: int) -> None:
        self.head[slot] = -1
        for name, cells in self._cells.items():
            cells[slot] = _NOTHING.get(name, 0)

    def put(self, slot: int, happened: Happened) -> None:
        """Counts events of one user, in any order; what is older than the ring is passed over."""
        tile = happened.time // self.width
        if not len(tile):
            return
        self._turn(slot, int(tile.max()))
        fits = tile > self.head[slot] - self.tiles
        role, value, at = happened.role[fits], happened.value[fits], tile[fits] % self.tiles
        cells = self._cells
        np.add.at(cells["events"][slot], at, 1)
        np.add.at(cells["interest"][slot], at[role == Role.INTEREST], 1)
        sold = role == Role.ORDER
        if sold.any():
            at, value = at[sold], value[sold]
            np.add.at(cells["lines"][slot], at, 1)
            np.add.at(cells["value"][slot], at, value)
            np.add.at(cells["squares"][slot], at, np.rint(value / CENT) ** 2)
            np.minimum.at(cells["low"][slot], at, value)
            np.maximum.at(cells["high"][slot], at, value)

    def read(self, slot: int, last: int, n: int) -> Series:
        """The n tiles up to tile number `last`, which is not before the newest one."""
        first = last - n + 1
        known = min(int(self.head[slot]) - first + 1, n)  # later positions hold what was a whole turn ago
        if known <= 0:
            return _empty(n)
        at = np.arange(first, first + n) % self.tiles
        found = {name: cells[slot].take(at) for name, cells in self._cells.items()}
        if known < n:
            for name, values in found.items():
                values[known:] = _NOTHING.get(name, 0)
        return Series(**found)

    def copy_slot(self, slot: int, other: Ring, place: int) -> None:
        """What `slot` holds here is at `place` of another ring of this width."""
        other.head[place] = self.head[slot]
        for name, cells in self._cells.items():
            other._cells[name][place] = cells[slot]

    def bytes(self) -> int:
        return sum(cells.nbytes for cells in self._cells.values()) + self.head.nbytes

    def _turn(self, slot: int, tile: int) -> None:
        """Makes `tile` the newest, unless there is a newer one: what was there a whole turn ago goes."""
        head = int(self.head[slot])
        if tile <= head:
            return
        if head >= 0:
            gone = np.arange(max(head + 1, tile - self.tiles + 1), tile + 1) % self.tiles
            for name, cells in self._cells.items():
                cells[slot, gone] = _NOTHING.get(name, 0)
        self.head[slot] = tile

    def _empty(self, name: str, slots: int) -> NDArray[Any]:
        return np.full((slots, self.tiles), _NOTHING.get(name, 0), dtype=_kind(name))


def _kind(name: str) -> type[np.generic]:
    if name == "squares":
        return np.float64
    return np.int32 if name in ("events", "interest", "lines") else np.int64


@cache
def _empty(n: int) -> Series:
    """n tiles in which nothing happened; shared, so nobody may write to it."""
    found: dict[str, Any] = {name: np.full(n, _NOTHING.get(name, 0), dtype=_kind(name)) for name in _FIELDS}
    for values in found.values():
        values.flags.writeable = False
    return Series(**found)
