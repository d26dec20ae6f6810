"""Models that serve, bound to this shop: their items to its rows, their feature names to its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import ItemVectors, Served
from shopkeeper.core.records import Version
from shopkeeper.features.base import Ask
from shopkeeper.features.vector import FeatureSet
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.recommend.candidates import COLUMNS, FUSED, PREFIX, TOLD, Candidates
from shopkeeper.recommend.channels import Recalled, rows_in
from shopkeeper.recommend.content import Described
from shopkeeper.recommend.matching.model import Matcher
from shopkeeper.recommend.meaning import Meanings, reads_items
from shopkeeper.recommend.nearest import OwnVectors
from shopkeeper.recommend.ranking.model import Ranker
from shopkeeper.recommend.standing import Models, Standing


class BoundRanker:
    """Scores candidates: online features by name, recall columns beside them, in the model's order."""

    def __init__(self, model: Ranker) -> None:
        """Raises NotFound when the model needs a feature that does not exist any more."""
        self.model = model
        names = model.feature_names
        given = dict(zip(names, model.defaults.tolist(), strict=True))
        online = [name for name in names if name not in COLUMNS]
        self._features = FeatureSet(online, defaults=given)
        told = [each.channel for each in TOLD] if FUSED in names else []
        read = (name.removeprefix(PREFIX) for name in names if name in COLUMNS and name != FUSED)
        self.channels = tuple(dict.fromkeys((*told, *read)))
        self._recalled = [name for name in names if name in COLUMNS]
        have = {name: at for at, name in enumerate([*online, *self._recalled])}
        order = np.array([have[name] for name in names], dtype=np.int64)
        self._order = None if np.array_equal(order, np.arange(len(order))) else order

    def rows(self, ask: Ask, candidates: Candidates) -> NDArray[np.float32]:
        """(k, f) in the order of the model's feature names, column by column in memory: so it is filled, and so trees
        read it."""
        online = len(self._features.names)
        columns = np.empty((online + len(self._recalled), len(candidates)), dtype=np.float32)
        self._features.fill(columns[:online], ask)
        columns[online:] = candidates.columns(self._recalled).T
        return columns.T if self._order is None else columns[self._order].T

    def score(self, ask: Ask, candidates: Candidates) -> NDArray[np.float32]:
        """Probability (k,) that each candidate is taken."""
        return self.model.score(self.rows(ask, candidates))


class Binder:
    """Binds a version once and keeps it as long as that version serves. Used on one thread."""

    def __init__(self, models: Models, item_ids: Sequence[str], standing: Standing | None = None) -> None:
        """`item_ids` is the shop's live list: it grows while the shop runs."""
        self._models = models
        self._standing = Standing(models) if standing is None else standing
        self._item_ids = item_ids
        self._channels: dict[str, tuple[Served, int | None, Recalled]] = {}
        self._vectors: dict[str, tuple[Served, int | None, OwnVectors]] = {}
        self._rankers: dict[str, tuple[Served, BoundRanker]] = {}
        self._meanings: dict[str, tuple[Served, Meanings]] = {}

    def over(self, item_ids: Sequence[str]) -> Binder:
        """The same models over other items. Rankers stay as they are: they know no items."""
        other = Binder(self._models, item_ids, self._standing)
        other._rankers = self._rankers
        return other

    def channel(self, name: str) -> tuple[Recalled, Version] | None:
        """The champion of a recall model, or None when nothing serves."""
        served = self._models.peek(name)
        if served is None:
            return None
        size = len(self._item_ids)
        kept = self._channels.get(name)
        if kept is None or kept[0] is not served or kept[1] not in (None, size):
            rows = rows_in(served.model.item_ids, self._item_ids)
            kept = self._channels[name] = (served, _until(rows, size), Recalled(served.model, rows))
        return kept[2], served.version

    def vectors(self, name: str) -> tuple[OwnVectors, Version] | None:
        """The space of a champion that has vectors of items: all of one version, made when it is first asked for."""
        served = self._models.peek(name)
        if served is None or not isinstance(served.model, ItemVectors):
            return None
        size = len(self._item_ids)
        kept = self._vectors.get(name)
        if kept is None or kept[0] is not served or kept[1] not in (None, size):
            rows = rows_in(served.model.item_ids, self._item_ids)
            kept = self._vectors[name] = (served, _until(rows, size), _space(served, rows))
        return kept[2], served.version

    def meanings(self, name: str, shelf: Described) -> tuple[Meanings, Version] | None:
        """What texts mean to a champion that matches queries with items of this shop. None for one that reads numbers
        of a query, and for one that neither keeps vectors of named documents nor reads what the shop says of an
        item."""
        served = self._models.peek(name)
        if served is None or not isinstance(served.model, Matcher) or served.model.query_columns.numbers:
            return None
        if not served.model.item_ids and not reads_items(served.model):
            return None
        kept = self._meanings.get(name)
        if kept is None or kept[0] is not served:
            kept = self._meanings[name] = (served, Meanings(served.model, self._item_ids, shelf))
        return kept[1], served.version

    def ranker(self, name: str, *, explicit: bool = False) -> tuple[BoundRanker, Version] | None:
        """`name`, `name@ref` or `name/ref`. None when it is not in memory and was not made ready.

        An explicit wish raises NotFound, Unavailable, and Invalid for a model that does not rank.
        """
        served = self._models.get(*parse_address(name)) if explicit else self._standing.peek(name)
        if served is None:
            return None
        if not (hasattr(served.model, "score") and hasattr(served.model, "defaults")):
            raise Invalid(f"model {name!r} does not rank items; ask for a ranker", code="wrong_model", field="model")
        kept = self._rankers.get(name)
        if kept is None or kept[0] is not served:
            kept = self._rankers[name] = (served, BoundRanker(served.model))
            while len(self._rankers) > _KEPT:
                del self._rankers[next(iter(self._rankers))]
        return kept[1], served.version


def _space(served: Served, rows: NDArray[np.int32]) -> OwnVectors:
    """An index is asked where it is faster than looking at all, and ranks as the cosine does."""
    vectors = np.asarray(served.model.item_vectors, dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.maximum(length, 1e-9)).astype(np.float32)
    near: VectorIndex | None = getattr(served, "item_index", None)
    if near is not None and near.facts.kind != "exact" and _is_cosine(near, length):
        return OwnVectors(rows, vectors, near)
    known = rows >= 0
    return OwnVectors(rows[known], vectors[known])


def _is_cosine(near: VectorIndex, length: NDArray[np.float32]) -> bool:
    return near.facts.metric == "cosine" or bool((np.abs(length - 1) < _SAME_LENGTH).all())


def _until(rows: NDArray[np.int32], size: int) -> int | None:
    """How many items the shop has as long as these rows are right; None: for good, as the shop has them all."""
    return size if bool((rows < 0).any()) else None


_KEPT = 8
_SAME_LENGTH = 1e-3
