"""What users said about the slates that they want: the few stated preferences that slates obey, kept in memory.

`categories`: they are fond of these, whose items rise. `hidden_categories`, `hidden_items`: never shown to them. Each
is a text or a list of texts; everything else that a user may say is kept with the profile and changes no slate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LIKED_FACTOR = 1.25
KEYS = ("categories", "hidden_categories", "hidden_items")


@dataclass(frozen=True, slots=True)
class Taste:
    liked: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    hidden_items: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.liked or self.hidden or self.hidden_items)


class Tastes:
    """By user row, of those who said something. Readable from any thread; writes replace whole entries."""

    def __init__(self, tell: Callable[[int], None] = lambda _: None) -> None:
        """`tell(row)` hears of every row whose taste has changed."""
        self._of: dict[int, Taste] = {}
        self._tell = tell

    def of(self, user: int) -> Taste | None:
        return self._of.get(user)

    def load(self, stated: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """All (user row, stated fields)."""
        self._of = {row: taste for row, fields in stated if (taste := taste_of(fields))}

    def put(self, user: int, stated: Mapping[str, Any]) -> None:
        """What a user states now; nothing: it was taken back."""
        taste = taste_of(stated)
        if taste == self._of.get(user, Taste()):
            return
        if taste:
            self._of[user] = taste
        else:
            self._of.pop(user, None)
        self._tell(user)


def taste_of(stated: Mapping[str, Any]) -> Taste:
    return Taste(*(_texts(stated.get(key)) for key in KEYS))


def _texts(value: Any) -> frozenset[str]:
    given = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(text for text in given if isinstance(text, str))
