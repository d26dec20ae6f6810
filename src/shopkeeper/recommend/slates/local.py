"""Slates of this process: bounded in bytes, the least recently used go first; found by request, body, user and item."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from shopkeeper.recommend.slates.entry import Entry
from shopkeeper.recommend.slates.keys import Key, Who

_K = TypeVar("_K")
_BODIES: Final = 4  # bodies that find one entry without being read
_BODY: Final = 200  # bytes that a body costs beside its own


class Local:
    """Used on one loop. `most` bytes; 0 keeps nothing."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self.evicted = self.expired = self.dropped = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self.by_body: dict[bytes, Entry] = {}
        self._of: dict[Who, set[Entry]] = {}
        self._showing: dict[int, set[Entry]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def used(self, entry: Entry) -> None:
        """It is the last to go from now on."""
        self._entries.move_to_end(entry.key)

    def put(self, entry: Entry) -> bool:
        """Instead of what was kept for the same request. False: it is larger than all that may be kept."""
        before = self._entries.get(entry.key)
        bodies: list[bytes] = []
        if before is not None:
            bodies = before.bodies.copy()
            self.remove(before)
        if entry.size > self.most:
            return False
        self._entries[entry.key] = entry
        self._of.setdefault(entry.key[0], set()).add(entry)
        for row in entry.rows:
            self._showing.setdefault(row, set()).add(entry)
        self.size += entry.size
        for body in bodies:
            self.alias(entry, body)
        self._make_room()
        return True

    def alias(self, entry: Entry, body: bytes) -> None:
        """Equal bodies find the entry from now on."""
        if body in self.by_body or self._entries.get(entry.key) is not entry:
            return
        if len(entry.bodies) == _BODIES:
            self._forget_body(entry, entry.bodies.pop(0))
        entry.bodies.append(body)
        self.by_body[body] = entry
        self._grow(entry, len(body) + _BODY)
        self._make_room()

    def remove(self, entry: Entry) -> None:
        if self._entries.pop(entry.key, None) is None:
            return
        for body in entry.bodies:
            del self.by_body[body]
        entry.bodies.clear()
        _leave(self._of, entry.key[0], entry)
        for row in entry.rows:
            _leave(self._showing, row, entry)
        self.size -= entry.size

    # -- dropping what is not right any more; each answers how many went

    def drop_user(self, who: Who) -> int:
        return self._drop(self._of.get(who))

    def drop_item(self, row: int) -> int:
        return self._drop(self._showing.get(row))

    def drop_scenario(self, name: str) -> int:
        return self._drop([entry for entry in self._entries.values() if entry.scenario == name])

    def drop_expired(self, now: float) -> int:
        old = [entry for entry in self._entries.values() if now >= entry.until]
        for entry in old:
            self.remove(entry)
        self.expired += len(old)
        return len(old)

    def clear(self) -> int:
        found = len(self._entries)
        self._entries.clear()
        self.by_body.clear()
        self._of.clear()
        self._showing.clear()
        self.size = 0
        self.dropped += found
        return found

    def most_met(self, n: int) -> list[Entry]:
        """Those that have answered most often, and more than once."""
        return heapq.nlargest(n, (e for e in self._entries.values() if e.met > 1), key=lambda entry: entry.met)

    def _drop(self, entries: Iterable[Entry] | None) -> int:
        found = list(entries) if entries else ()
        for entry in found:
            self.remove(entry)
        self.dropped += len(found)
        return len(found)

    def _forget_body(self, entry: Entry, body: bytes) -> None:
        del self.by_body[body]
        self._grow(entry, -len(body) - _BODY)

    def _grow(self, entry: Entry, by: int) -> None:
        entry.size += by
        self.size += by

    def _make_room(self) -> None:
        while self.size > self.most:
            self.remove(next(iter(self._entries.values())))
            self.evicted += 1


def _leave(index: dict[_K, set[Entry]], key: _K, entry: Entry) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(entry)
        if not found:
            del index[key]
