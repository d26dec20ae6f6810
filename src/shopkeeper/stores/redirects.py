"""Keys that stand for somebody else's row: anonymous ids bound to a user, ids of users merged into others."""

from __future__ import annotations

from collections.abc import Iterable


class Redirects:
    """Takes part in the writes as a vocabulary does: staged inside a write, shown to readers after the commit.

    `rows` is the vocabulary's map from key to row; what is shown here is written into it.
    """

    def __init__(self, rows: dict[str, int], known: Iterable[tuple[str, int]] = ()) -> None:
        self._rows = rows
        self._aimed: dict[int, list[str]] = {}
        self._staged: list[tuple[str, int]] = []
        self._staged_rows: dict[str, int] = {}
        for key, row in known:
            self._show(key, row)

    def to(self, row: int) -> list[str]:
        """The keys that are aimed at a row, staged ones included."""
        shown = [key for key in self._aimed.get(row, []) if key not in self._staged_rows]
        return [*shown, *(key for key, aim in self._staged_rows.items() if aim == row)]

    def forget(self, row: int) -> None:
        """On the writer's thread, after a commit in which the keys that were aimed at a row were taken away."""
        self._aimed.pop(row, None)

    # -- inside a write, on the writer's thread

    def aim(self, key: str, row: int) -> None:
        """From the commit on the key means this row."""
        self._staged.append((key, row))
        self._staged_rows[key] = row

    def staged_row(self, key: str) -> int | None:
        """Where this transaction aims a key; None: nowhere new."""
        return self._staged_rows.get(key)

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        del self._staged[mark:]
        self._staged_rows = dict(self._staged)

    def publish(self) -> None:
        for key, row in self._staged_rows.items():
            self._show(key, row)
        self._staged.clear()
        self._staged_rows.clear()

    def _show(self, key: str, row: int) -> None:
        before = self._aimed.get(self._rows.get(key, -1))
        if before is not None and key in before:
            before.remove(key)
        self._rows[key] = row
        self._aimed.setdefault(row, []).append(key)
