"""Where candidates come from. A channel gives a number to every item row of the shop; 0: nothing speaks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.features.item_windows import SALES_TILE, ItemWindows
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.history import History
from shopkeeper.recommend.orders import freshness
from shopkeeper.recommend.recall.model import ReadsTraits, RecallModel, ordered
from shopkeeper.recommend.recall.traits import readable

AGAIN_HALF_LIFE_DAYS = 120.0
TRENDING_DAYS = 7
LIVE = ("again", "due", "new", "together", "trending")
"""Made of the live state; they need no model."""
OPTIONAL = ("als",)
"""Models that a shop trains by itself and does well without: while none serves, they bring nothing."""
DESCRIBED = ("content", "context", "query")
"""By what is said of items."""
MEANING = "meaning"
"""By what a search means, where the model `dssm` serves."""
SIMILAR, BASKET = "similar", "basket"
BLENDED = (SIMILAR, BASKET)
"""Several channels, asked about the newest item or the open basket (a page or the basket in an anchored scenario)."""
REPLAYED = ("again", "due", "ease", "item_knn", "new", "popularity", "trending")
"""Channels that a training can ask as of a past moment; a ranker reads their strength. The others bring candidates and
nothing else: vectors of today, say, know what came later, so no training may read them."""
OF_THE_BOUGHT = frozenset({"again", "due"})
"""Name nothing but what the user has bought before."""
GRAPH = "graph"
SPACE = "space:"
"""`space:NAME`: a space of vectors by its name. `graph` is the one of the graph model."""
SPACES = {GRAPH: "hgt"}


class Channel(Protocol):
    """`scores` is (n_items,), `because` the position in the history that speaks for each wanted item, or -1."""

    def scores(self, history: History, now: int, n_items: int) -> NDArray[np.float32]: ...

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]: ...


class Again:
    """What the user buys again and again: order lines, the recent ones counting more."""

    def scores(self, history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        result = np.zeros(n_items, dtype=np.float32)
        inside = history.items < n_items
        strength = history.lines * freshness(history.age_days, AGAIN_HALF_LIFE_DAYS)
        result[history.items[inside]] = strength[inside]
        return result

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)


class Trending:
    """What everybody buys these days, from the live windows: needs no model."""

    def __init__(self, state: FeatureState) -> None:
        self._state = state
        self._kept = Kept()

    def scores(self, _history: History, now: int, n_items: int) -> NDArray[np.float32]:
        return self._kept.scores((self._state.version, now // SALES_TILE, n_items), lambda: self._scores(now, n_items))

    def _scores(self, now: int, n_items: int) -> NDArray[np.float32]:
        result = np.zeros(n_items, dtype=np.float32)
        sold = self._state.part(ItemWindows).sales(TRENDING_DAYS, now + 1)[:n_items]
        result[: len(sold)] = sold
        return result

    def order(self) -> NDArray[np.int32]:
        """Of the newest scores, see `best`."""
        return self._kept.order()

    def because(self, _history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)


class Recalled:
    """A recall model, its own items mapped to the shop's rows."""

    def __init__(self, model: RecallModel, rows: NDArray[np.int32]) -> None:
        """`rows` (len(model.item_ids),): the shop's row of each of the model's items, -1: not in this shop."""
        self._model = model
        self._whole = np.array_equal(rows, np.arange(len(rows)))
        self._known = np.flatnonzero(rows >= 0)
        self._rows = rows[self._known]
        self._place = np.full(int(rows.max(initial=-1)) + 1, -1, dtype=np.int32)
        self._place[self._rows] = self._known
        self._kept = Kept() if getattr(model, "for_everybody", False) else None
        self._plain = getattr(model, "plain", model.scores)
        """Some models add what counts for beginners; a page or a basket is none."""
        self._traits = model if isinstance(model, ReadsTraits) else None
        self._features: Mapping[str, Any] = {}

    def of(self, features: Mapping[str, Any]) -> Recalled:
        """The same for somebody of whom these attributes are known; a model that reads none stays as it is."""
        if self._traits is None or not features:
            return self
        other = copy(self)
        other._features = readable({0: features}).get(0, {})
        return other

    def scores(self, history: History, _now: int, n_items: int) -> NDArray[np.float32]:
        if self._kept is not None:
            return self._kept.scores(n_items, lambda: self._scores(history, n_items))
        return self._scores(history, n_items)

    def order(self) -> NDArray[np.int32] | None:
        """Of scores that are the same for everybody, see `best`."""
        return None if self._kept is None else self._kept.order()

    def _scores(self, history: History, n_items: int) -> NDArray[np.float32]:
        _, items, weights = self._translated(history)
        result = np.zeros(n_items, dtype=np.float32)
        found = self._plain(items, weights) if history.given else self._found(items, weights)
        if self._whole and len(found) <= n_items:
            result[: len(found)] = found
            return result
        if len(self._known) < len(found):
            found = found[self._known]
        if len(self._place) <= n_items:
            result[self._rows] = found
        else:
            inside = self._rows < n_items
            result[self._rows[inside]] = found[inside]
        return result

    def _found(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._traits is not None and self._features:
            try:
                return self._traits.scores_for(self._features, items, weights)
            except Invalid:  # a record may hold what the training never saw there: a text for a number
                pass
        return self._model.scores(items, weights)

    def because(self, history: History, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
        places, items, weights = self._translated(history)
        target = self._of(wanted)
        result = np.full(len(wanted), -1, dtype=np.int32)
        known = np.flatnonzero(target >= 0)
        if len(items) and len(known):
            voter = self._model.because(items, weights, target[known])
            result[known] = np.where(voter >= 0, places[voter], -1)
        return result

    def _translated(self, history: History) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """(positions in the history that the model knows, their items in its vocabulary, their weights)."""
        items = self._of(history.items)
        places = np.flatnonzero(items >= 0)
        return places, items[places], history.weights(self._model.half_life_days)[places]

    def _of(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        inside = rows < len(self._place)
        return np.where(inside, self._place[np.where(inside, rows, 0)], -1) if len(self._place) else rows * 0 - 1


class Kept:
    """Scores that many ask for, and their order, made anew when what they were made of has changed."""

    def __init__(self) -> None:
        self._of: object = None
        self._scores = np.empty(0, dtype=np.float32)
        self._order: NDArray[np.int32] | None = None

    def scores(self, of: object, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        if self._of is None or self._of != of:
            self._scores, self._of, self._order = make(), of, None
            self._scores.flags.writeable = False
        return self._scores

    def order(self) -> NDArray[np.int32]:
        if self._order is None:
            self._order = ordered(self._scores)
        return self._order


def rows_in(item_ids: Sequence[str], shop: Sequence[str]) -> NDArray[np.int32]:
    """The shop's row of each id, -1 where the shop has none."""
    place = {id: row for row, id in enumerate(shop)}
    return np.array([place.get(id, -1) for id in item_ids], dtype=np.int32)
