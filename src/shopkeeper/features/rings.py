"""Rings of tiles: what happened in each of the last n spans of one width, for many users, in a few arrays.

A tile is all that happened within [k * width, (k + 1) * width), by UTC. Sums are of whole numbers, so a ring is the
same in whatever order its events came. Amounts are those of order lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND
from shopkeeper.features.base import grown
from shopkeeper.features.kinds import Role

QUARTER = 4
HALF = 1 << 32  # weights that are halved are whole parts of it: a float sums 2 million events exactly
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


class Counted(NamedTuple):
    """Events of a series summed: all; each times the number of its tile, from 1; each times HALF, halved with every
    quarter of the window since; those of the newest quarter, of the newer half; those that show interest; order lines.
    """

    events: float
    rising: float
    halved: float
    quarter: float
    newer: float
    interest: float
    lines: float


@dataclass(frozen=True)
class Series:
    """n tiles, oldest first. `counts` (3, n): of events, of those that show interest, of order lines; `amounts` (4, n):
    value in micros; its squares in cents squared, the bits of a float; the lowest and the highest, NO_LOW and NO_HIGH
    where nothing was ordered."""

    counts: NDArray[np.int32]
    amounts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.amounts[0])

    @property
    def events(self) -> NDArray[np.int32]:
        events: NDArray[np.int32] = self.counts[0]
        return events

    @property
    def squares(self) -> NDArray[np.float64]:
        return _squares(self.amounts)

    @cached_property
    def counted(self) -> Counted:
        """Whole numbers, so it does not matter in which order they are summed."""
        return _counted((self.counts.astype(np.float64) @ weights(len(self))).tolist())

    @cached_property
    def value(self) -> int:
        """Of all order lines, micros."""
        return int(self.amounts[0].sum()) if self.counted.lines else 0


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
        self._cells = _cells(slots, self.tiles)

    def grow(self, slots: int) -> None:
        """Room for at least so many."""
        if slots > len(self.head):
            self.head = grown(self.head, slots, -1)
            larger = _cells(len(self.head), self.tiles)
            larger.counts[: len(self._cells.counts)] = self._cells.counts
            larger.amounts[: len(self._cells.amounts)] = self._cells.amounts
            self._cells = larger

    def clear(self, slot: int) -> None:
        self.head[slot] = -1
        self._clear(slot, slice(None))

    def put(self, slot: int, happened: Happened) -> None:
        """Counts events of one user, in any order; what is older than the ring is passed over."""
        tile = happened.time // self.width
        if not len(tile):
            return
        self._turn(slot, int(tile.max()))
        fits = tile > self.head[slot] - self.tiles
        role, value, at = happened.role[fits], happened.value[fits], tile[fits] % self.tiles
        counts, amounts = self._cells.counts[slot], self._cells.amounts[slot]
        np.add.at(counts[0], at, 1)
        np.add.at(counts[1], at[role == Role.INTEREST], 1)
        sold = role == Role.ORDER
        if sold.any():
            at, value = at[sold], value[sold]
            np.add.at(counts[2], at, 1)
            np.add.at(amounts[0], at, value)
            np.add.at(_squares(amounts), at, np.rint(value / CENT) ** 2)
            np.minimum.at(amounts[2], at, value)
            np.maximum.at(amounts[3], at, value)

    def read(self, slot: int, last: int, n: int) -> Series:
        """The n tiles up to tile number `last`, which is not before the newest one."""
        first = last - n + 1
        known = min(int(self.head[slot]) - first + 1, n)  # later positions hold what was a whole turn ago
        if known <= 0:
            return _empty(n)
        at = _places(first % self.tiles, n, self.tiles)
        counts = self._cells.counts[slot].take(at, axis=1)
        amounts = self._cells.amounts[slot].take(at, axis=1)
        if known < n:
            counts[:, known:] = 0
            amounts[:, known:] = _NO_AMOUNTS
        return Series(counts, amounts)

    def read_many(self, slots: NDArray[np.int64], last: int, n: int) -> list[Series]:
        """The same of many slots."""
        first = last - n + 1
        known = np.minimum(self.head[slots] - first + 1, n)
        filled = np.flatnonzero(known > 0)
        found = [_empty(n)] * len(slots)
        if not len(filled):
            return found
        at = _places(first % self.tiles, n, self.tiles)
        counts = self._cells.counts[slots[filled, None], :, at].transpose(0, 2, 1)
        amounts = np.ascontiguousarray(self._cells.amounts[slots[filled, None], :, at].transpose(0, 2, 1))
        gone = (np.arange(n) >= known[filled, None])[:, None]
        counts = np.where(gone, 0, counts)
        amounts = np.where(gone, _NO_AMOUNTS, amounts)
        counted: list[list[list[float]]] = (counts.astype(np.float64) @ weights(n)).tolist()
        for number, (place, sums) in enumerate(zip(filled.tolist(), counted, strict=True)):
            series = found[place] = Series(counts[number], amounts[number])
            series.__dict__["counted"] = _counted(sums)
        return found

    def copy_slot(self, slot: int, other: Ring, place: int) -> None:
        """What `slot` holds here is at `place` of another ring of this width."""
        other.head[place] = self.head[slot]
        other._cells.counts[place] = self._cells.counts[slot]
        other._cells.amounts[place] = self._cells.amounts[slot]

    def bytes(self) -> int:
        return sum(cells.nbytes for cells in self._cells) + self.head.nbytes

    def _turn(self, slot: int, tile: int) -> None:
        """Makes `tile` the newest, unless there is a newer one: what was there a whole turn ago goes."""
        head = int(self.head[slot])
        if tile <= head:
            return
        if head >= 0:
            gone = np.arange(max(head + 1, tile - self.tiles + 1), tile + 1) % self.tiles
            self._clear(slot, gone)
        self.head[slot] = tile

    def _clear(self, slot: int, tiles: Any) -> None:
        self._cells.counts[slot][:, tiles] = 0
        self._cells.amounts[slot][:, tiles] = _NO_AMOUNTS


class _Cells(NamedTuple):
    """`counts` (slots, 3, tiles): events, interest, lines; `amounts` (slots, 4, tiles): value, squares (a float's
    bits), low, high."""

    counts: NDArray[np.int32]
    amounts: NDArray[np.int64]


_NO_AMOUNTS = np.array([[0], [0], [NO_LOW], [NO_HIGH]], dtype=np.int64)


def _cells(slots: int, tiles: int) -> _Cells:
    amounts = np.empty((slots, len(_NO_AMOUNTS), tiles), dtype=np.int64)
    amounts[:] = _NO_AMOUNTS
    return _Cells(np.zeros((slots, 3, tiles), dtype=np.int32), amounts)


def _squares(amounts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of amounts (4, n): the same memory, (n,)."""
    squares: NDArray[np.float64] = amounts[1].view(np.float64)
    return squares


def _counted(sums: list[list[float]]) -> Counted:
    """Of counts (3, n) times weights."""
    (events, rising, halved, quarter, newer), interest, lines = sums
    return Counted(events, rising, halved, quarter, newer, interest[0], lines[0])


@cache
def _places(first: int, n: int, tiles: int) -> NDArray[np.int64]:
    """Where in a ring the n tiles from `first` on are."""
    return np.arange(first, first + n) % tiles


@cache
def weights(n: int) -> NDArray[np.float64]:
    """Of n tiles, (n, 5): with these `Counted` sums them."""
    tile = np.arange(n)
    halved = np.rint(0.5 ** ((n - 1 - tile) * QUARTER / n) * HALF)
    summed = (np.ones(n), tile + 1, halved, tile >= n - n // QUARTER, tile >= n // 2)
    made: NDArray[np.float64] = np.array(summed, dtype=np.float64).T.copy()
    return made


@cache
def _empty(n: int) -> Series:
    """n tiles in which nothing happened; shared, so nobody may write to it."""
    nothing = _cells(1, n)
    for cells in nothing:
        cells.flags.writeable = False
    return Series(nothing.counts[0], nothing.amounts[0])
