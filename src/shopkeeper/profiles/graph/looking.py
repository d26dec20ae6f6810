"""Nodes that are to be looked at: new ones, and after a start all, as what they were computed from may have changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.reads import NEVER, Marks

LOOK = 256
"""Nodes of one step: their attributes are read from SQL."""


class Looking:
    """Two queues of nodes, by type and from - to. What cannot be read stays where it stands."""

    def __init__(self) -> None:
        self._seen: dict[str, Marks] = {}
        self._new: deque[tuple[str, int, int]] = deque()
        self._old: deque[tuple[str, int, int]] = deque()

    def __len__(self) -> int:
        """Nodes that wait."""
        return sum(stop - start for queue in (self._new, self._old) for _, start, stop in queue)

    @property
    def first(self) -> bool:
        """Whether new nodes wait that come before everything else."""
        return bool(self._new)

    def add(self, name: str, start: int, stop: int) -> None:
        """New nodes: a few before all other work, many after it."""
        if stop > start:
            (self._new if stop - start <= LOOK else self._old).append((name, start, stop))

    def all(self, sizes: dict[str, int]) -> None:
        """Everything is looked at, as after a start."""
        self._old = deque((name, 0, n) for name, n in sizes.items() if n)

    def remember(self, name: str, marks: Marks) -> None:
        """From what (`reads.py`) the nodes of a type were computed."""
        self._seen[name] = marks

    def step(self, look: Callable[[str, Ints, Marks], None]) -> int:
        """Hands the next few to `look`, with the marks of what they were computed from; how many that was. Whatever it
        raises, they wait further."""
        queue = self._new or self._old
        if not queue:
            return 0
        name, start, stop = queue[0]
        end = min(start + LOOK, stop)
        look(name, np.arange(start, end, dtype=np.int64), self._marks(name, start, end, new=queue is self._new))
        queue.popleft()
        if end < stop:
            queue.appendleft((name, end, stop))
        elif not self._old:
            self._seen.clear()
        return end - start

    def forget(self, name: str, marks: Marks) -> None:
        """Writes NEVER where nodes of a type wait."""
        for _, start, stop in (part for queue in (self._new, self._old) for part in queue if part[0] == name):
            marks[start:stop] = NEVER

    def _marks(self, name: str, start: int, stop: int, *, new: bool) -> Marks:
        found = np.full(stop - start, NEVER, dtype=np.uint64)
        if not new and (seen := self._seen.get(name)) is not None:
            part = seen[start:stop]
            found[: len(part)] = part
        return found
