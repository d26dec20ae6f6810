"""The channels `content`, `context` and `query`: items by what is said of them. Nobody need have bought them.

`context` and `query` bring the same: what is looked for, by words and categories. Where a scenario asks `query` and a
text is given, the slate is also narrowed to what matches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.history import History
from shopkeeper.recommend.recall.votes import Votes

QUERY = "query"
SEEDS = 20
HALF_LIFE_DAYS = 30.0
_LONGEST_QUERY = 200
_MOST_CATEGORIES = 20
_CLOSE = 0.5
"""Share of the best match that a match must reach."""
_NEARLY = 0.8
_SOLD = 0.05
"""What sells breaks ties between items of which a search says the same: x (1 + this x log(1 + order lines))."""


class Content:
    """Like what the user took lately: sum of likeness with the newest twenty items, fresh ones counting more."""

    def __init__(self, index: ContentIndex) -> None:
        self._index = index

    def scores(self, history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        return self._votes(history).tally(n_items)

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return self._votes(history).loudest(wanted)

    def _votes(self, history: History) -> Votes:
        return self._index.votes(history.items[:SEEDS].tolist(), history.weights(HALF_LIFE_DAYS)[:SEEDS])


@dataclass(frozen=True)
class Sought:
    """What `context` says is looked for: words of `query`, names of `category` and `categories`."""

    text: str
    categories: tuple[str, ...]

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> Sought | None:
        """None: nothing that is text. A query counts up to 200 characters."""
        given = context.get("categories")
        names = [context.get("category"), *(given[:_MOST_CATEGORIES] if isinstance(given, list) else ())]
        categories = tuple(name for name in names if isinstance(name, str) and name)
        text = context.get("query")
        text = text[:_LONGEST_QUERY].strip() if isinstance(text, str) else ""
        return cls(text, categories) if text or categories else None


class Query:
    """Items of which is said what is looked for."""

    def __init__(self, index: ContentIndex, state: FeatureState, sought: Sought) -> None:
        self._index = index
        self._state = state
        self._sought = sought

    def scores(self, _history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        found = self._index.matching(self._sought.text, n_items, self._sought.categories)
        lines = self._state.part(ItemFacts).lines[:n_items]
        found[: len(lines)] *= 1 + _SOLD * np.log1p(lines, dtype=np.float32)
        return found

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)


def narrowed(
    mask: NDArray[np.bool_], matches: NDArray[np.float32], meant: NDArray[np.float32] | None = None
) -> NDArray[np.bool_]:
    """What is allowed and matches at least half as well as the best of it. Where no word does: what is `meant` nearly
    as well as the best of it; all that is allowed when nothing is."""
    for found, share in ((matches, _CLOSE), (meant, _NEARLY)):
        best = 0.0 if found is None else float((found * mask).max(initial=0))
        if found is not None and best > 0:
            return mask & (found >= share * best)
    return mask
