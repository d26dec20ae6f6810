"""Rows whose person was erased: nothing finds them any more, and an id of theirs that comes again is somebody new."""

from __future__ import annotations

from collections.abc import Iterable

from shopkeeper.stores.redirects import Redirects

PREFIX = "\1"  # no id may hold a control character: nothing that is looked up begins like this


class Erasures:
    """Takes part in the writes as a vocabulary does: staged inside a write, shown to readers after the commit.

    `ids` and `rows` are the vocabulary's own, `redirects` beside them; what is shown here is taken out of them.
    """

    def __init__(self, ids: list[str], rows: dict[str, int], redirects: Redirects) -> None:
        self._ids = ids
        self._rows = rows
        self._redirects = redirects
        self._staged: list[tuple[int, str, frozenset[str]]] = []

    def hides(self, key: str) -> bool:
        """Whether this transaction takes a key away."""
        return any(key in keys for _, _, keys in self._staged)

    # -- inside a write, on the writer's thread

    def stage(self, row: int, key: str, dead: Iterable[str]) -> None:
        """From the commit on the row is called `key`, and the `dead` keys do not lead to it."""
        self._staged.append((row, key, frozenset(dead)))

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        del self._staged[mark:]

    def publish(self) -> None:
        gone = {row for row, _, _ in self._staged}
        for row, key, dead in self._staged:
            self._ids[row] = key
            self._redirects.forget(row)
            for one in dead:
                if self._rows.get(one) in gone:  # else the id came again in the same transaction
                    del self._rows[one]
        self._staged.clear()
