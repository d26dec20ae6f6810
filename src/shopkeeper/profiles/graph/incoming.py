"""The edges of one relation while they come: in any number, in any order of time, and some of them taken back.

Each destination has a run of places in one pool, old edges before new, with room to grow; a run that is full moves to
the end and leaves a hole. Edges of one moment stand in the order of the log, so a run is what `Edges` of the whole log
would hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.base import grown
from shopkeeper.profiles.graph.hetero import Edges

Ints = NDArray[np.int64]
_ROOM = 4
_HOLES = 100_000
_FEW = 64
"""Runs with late edges that are put in order one by one."""


def runs(start: Ints, count: Ints) -> Ints:
    """The numbers start[0], start[0] + 1, ... count[0] of them, then those of the next run, as one array."""
    before = np.cumsum(count) - count
    found: Ints = np.arange(int(count.sum()), dtype=np.int64) + np.repeat(start - before, count)
    return found


class Incoming:
    """Destinations are 0 ... n - 1; `grow` makes more of them. Sources are positions, times us; `order` is the place of
    the event in the log."""

    def __init__(self) -> None:
        self.n = 0
        self._start = np.empty(0, dtype=np.int64)
        self._size = np.empty(0, dtype=np.int64)
        self._room = np.empty(0, dtype=np.int64)
        self._source = np.empty(0, dtype=np.int32)
        self._time = np.empty(0, dtype=np.int64)
        self._order = np.empty(0, dtype=np.int64)
        self._used = 0
        self._count = 0

    def __len__(self) -> int:
        """Edges in all."""
        return self._count

    def grow(self, n: int) -> None:
        if n > self.n:
            self._start, self._size, self._room = (grown(one, n) for one in (self._start, self._size, self._room))
            self.n = n

    def degree(self, nodes: Ints | None = None) -> Ints:
        """int64 (k,): edges into these destinations, or into all."""
        return self._size[: self.n] if nodes is None else self._size[nodes]

    def of(self, node: int, start: int = 0, most: int | None = None) -> tuple[NDArray[np.int32], Ints, Ints]:
        """Sources, times and orders of one destination's edges, old first; from the `start`-th on at most `most`."""
        first = int(self._start[node]) + start
        left = max(int(self._size[node]) - start, 0)
        part = slice(first, first + (left if most is None else min(left, most)))
        return self._source[part], self._time[part], self._order[part]

    def copy_of(self, node: int) -> tuple[NDArray[np.int32], Ints, Ints]:
        """The same of all its edges, to keep while the run changes."""
        source, time, order = self.of(node)
        return source.copy(), time.copy(), order.copy()

    def all(self, nodes: Ints) -> tuple[NDArray[np.int32], Ints, Ints]:
        """Sources, times and orders of all edges into some destinations (k,), one run after another."""
        at = runs(self._start[nodes], self._size[nodes])
        return self._source[at], self._time[at], self._order[at]

    def newest(self, nodes: Ints | None, most: int) -> Edges:
        """Of each destination (k,), or of all, at most `most` edges."""
        start, size = self._of(nodes)
        kept = np.minimum(size, most)
        at = runs(start + size - kept, kept)
        indptr = np.zeros(len(kept) + 1, dtype=np.int64)
        np.cumsum(kept, out=indptr[1:])
        return Edges(indptr, self._source[at], self._time[at])

    def among_newest(self, nodes: Ints, time: Ints, order: Ints, most: int) -> NDArray[np.bool_]:
        """bool (m,): whether the edge of that time and order into each of `nodes` (m,) is one of its newest `most`."""
        full = self._size[nodes] > most
        found = np.ones(len(nodes), dtype=np.bool_)
        cut = (self._start[nodes] + self._size[nodes] - most)[full]
        late, same = self._time[cut], time[full]
        found[full] = (same > late) | ((same == late) & (order[full] >= self._order[cut]))
        return found

    def add(self, target: Ints, source: NDArray[np.int32], time: Ints, order: Ints) -> None:
        """Edges (m,) in any order."""
        if not len(target):
            return
        if self._used > 2 * self._count + _HOLES:
            self._close_up()
        at = np.lexsort((order, time, target))
        target, source, time, order = target[at], source[at], time[at], order[at]
        first = np.flatnonzero(np.concatenate(([True], target[1:] != target[:-1])))
        nodes = target[first]
        count = np.diff(np.append(first, len(target)))
        size = self._size[nodes]
        short = size + count > self._room[nodes]
        if short.any():
            self._move(nodes[short], (size + count)[short])
        into = runs(self._start[nodes] + size, count)
        self._source[into], self._time[into], self._order[into] = source, time, order
        self._size[nodes] = size + count
        self._count += len(target)
        last = self._start[nodes] + size - 1
        had = size > 0
        behind = np.zeros(len(nodes), dtype=np.bool_)
        was, now = self._time[last[had]], time[first[had]]
        behind[had] = (now < was) | ((now == was) & (order[first[had]] < self._order[last[had]]))
        if np.count_nonzero(behind) > _FEW:
            self._sort_all(nodes[behind])
            return
        for node, old, oldest in zip(nodes[behind], size[behind], time[first[behind]], strict=True):
            self._sort(int(node), int(old), int(oldest))

    def take(self, node: int, gone: NDArray[np.bool_]) -> None:
        """Takes back the edges of a mask over all edges of one destination."""
        start, size = int(self._start[node]), int(self._size[node])
        left = start + np.flatnonzero(~gone)
        run = slice(start, start + len(left))
        for column in (self._source, self._time, self._order):
            column[run] = column[left]
        self._size[node] = len(left)
        self._count -= size - len(left)

    def rename(self, node: int, old: int, new: int) -> None:
        """Edges from source `old` into one destination come from `new`."""
        source, _, _ = self.of(node)
        source[source == old] = new

    def _of(self, nodes: Ints | None) -> tuple[Ints, Ints]:
        if nodes is None:
            return self._start[: self.n], self._size[: self.n]
        return self._start[nodes], self._size[nodes]

    def _sort(self, node: int, old: int, oldest: int) -> None:
        """Brings late edges to their places: only what is newer than the oldest of them has to move."""
        start, stop = int(self._start[node]), int(self._start[node] + self._size[node])
        low = start + int(np.searchsorted(self._time[start : start + old], oldest, side="left"))
        part = slice(low, stop)
        at = low + np.lexsort((self._order[part], self._time[part]))
        for column in (self._source, self._time, self._order):
            column[part] = column[at]

    def _sort_all(self, nodes: Ints) -> None:
        """The same of many runs, from end to end."""
        size = self._size[nodes]
        at = runs(self._start[nodes], size)
        order = np.lexsort((self._order[at], self._time[at], np.repeat(np.arange(len(nodes)), size)))
        for column in (self._source, self._time, self._order):
            column[at] = column[at[order]]

    def _move(self, nodes: Ints, need: Ints) -> None:
        """Gives runs more room, at the end of the pool."""
        room = np.maximum(need + need // 2, _ROOM)
        start = self._used + np.cumsum(room) - room
        self._used += int(room.sum())
        self._source, self._time, self._order = (
            grown(one, self._used) for one in (self._source, self._time, self._order)
        )
        size = self._size[nodes]
        old, new = runs(self._start[nodes], size), runs(start, size)
        for column in (self._source, self._time, self._order):
            column[new] = column[old]
        self._start[nodes], self._room[nodes] = start, room

    def _close_up(self) -> None:
        """Without holes, and without room."""
        size = self._size[: self.n].copy()
        at = runs(self._start[: self.n], size)
        self._source, self._time, self._order = self._source[at], self._time[at], self._order[at]
        self._start[: self.n] = np.cumsum(size) - size
        self._room[: self.n] = size
        self._used = len(at)
