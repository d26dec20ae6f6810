"""The channel `meaning`: items whose vectors lie near that of what is looked for, whatever words either of them uses.

The vectors are those of the model `dssm`, one version at a time. An item that came after its training gets its own from
what its record says, at most 64 at a question; one whose record has changed keeps the old one until the next training.
A model of a table that reads other columns knows the items it was trained with, and is asked about no others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.content import Described
from shopkeeper.recommend.history import History
from shopkeeper.recommend.matching.model import Matcher
from shopkeeper.recommend.matching.pairs import Side
from shopkeeper.recommend.matching.shop_pairs import DOC, described

MODEL = "dssm"
LEAST = 0.25
"""Cosine below which nothing speaks for an item."""
_MOST_NEW = 64


def reads_items(model: Matcher) -> bool:
    """Whether the model's documents are told by what a record of the shop says. One of other columns would read every
    item as an empty text, and all of them would lie at one place."""
    return not model.doc_columns.numbers and not set(model.doc_columns.texts).isdisjoint(DOC.texts)


class Meanings:
    """The vectors of the shop's items by one model, zero where it can tell nothing. Used on one thread."""

    def __init__(self, model: Matcher, item_ids: Sequence[str], shelf: Described) -> None:
        """`item_ids` and `shelf` are the shop's live lists."""
        self._model, self._shelf = model, shelf
        self._reads_items = reads_items(model)
        self._place = {name: at for at, name in enumerate(model.item_ids)}
        self._ids = item_ids
        self._rows = 0
        self._unread: list[int] = []
        self._vectors = np.zeros((0, model.output_size), dtype=np.float32)
        self._grow()

    def near(self, text: str, n_items: int) -> NDArray[np.float32]:
        """float32 (n_items,): the cosine with what the text means, 0 below LEAST."""
        self._grow()
        result = np.zeros(n_items, dtype=np.float32)
        asked = self._model.query_vectors(_one(text))[0]
        inside = min(n_items, len(self._vectors))
        found = self._vectors[:inside] @ asked
        result[:inside] = np.where(found >= LEAST, found, 0)
        return result

    def _grow(self) -> None:
        n = min(len(self._ids), len(self._shelf))
        if n > self._rows:
            more = np.zeros((n - self._rows, self._model.output_size), dtype=np.float32)
            for at, name in enumerate(self._ids[self._rows : n]):
                place = self._place.get(name)
                if place is not None:
                    more[at] = self._model.item_vectors[place]
                elif self._reads_items:
                    self._unread.append(self._rows + at)
            self._vectors, self._rows = np.concatenate([self._vectors, more]), n
        if self._unread:
            some, self._unread = self._unread[:_MOST_NEW], self._unread[_MOST_NEW:]
            shelf = self._shelf
            said = [described(shelf.names[row], shelf.category[row], shelf.attributes[row] or {}) for row in some]
            docs = self._model.doc_columns.read(said)
            heard = np.array([bool(text) for text in docs.texts])
            self._vectors[some] = np.where(heard[:, None], self._model.doc_vectors(docs), 0)


class Meaning:
    """For one question."""

    def __init__(self, meanings: Meanings, text: str) -> None:
        self._meanings = meanings
        self._text = text

    def scores(self, _history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        return self._meanings.near(self._text, n_items)

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)


def _one(text: str) -> Side:
    return Side((text,), np.zeros((1, 0), dtype=np.float32))
