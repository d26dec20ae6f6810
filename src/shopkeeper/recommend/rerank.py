"""The last order of a slate: objectives and their weights, boosts, what the user is fond of, and variety.

A value for each candidate: the weighted mean of the objectives (relevance alone without any), times the factors of the
boosts that hold, times what the user's fondness adds. With diversity each next item is the one whose value, less what
it resembles those before it, is highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import VectorSpace
from shopkeeper.recommend.boosts import factors
from shopkeeper.recommend.diversity import Vectors, diversified
from shopkeeper.recommend.eligible import Shelf
from shopkeeper.recommend.itemcolumns import ItemColumns
from shopkeeper.recommend.itemrules import ItemRules
from shopkeeper.recommend.objectives import OBJECTIVES, OF_ITEMS, READS, RELEVANCE, REVENUE, revenue, scaled
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.recommend.tastes import LIKED_FACTOR, Tastes

_NO_TASKS: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
_KEPT = 64
_POOL = 4
"""Variety is sought among so many times the wanted items, and 64 at least."""
_LEAST_POOL = 64
_CATEGORY = frozenset({"category"})
_COVER = frozenset({"cover_days"})


@dataclass(frozen=True)
class Ranked:
    """`places` int64 (m,) among the candidates, best first; `told` of each, when asked for: what made its value."""

    places: NDArray[np.int64]
    told: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class _Standing:
    """What a scenario makes of items whoever asks: `goal` (n,) the weighted sum of the facts among its objectives,
    `factor` (n,) of its boosts; None where there are none."""

    goal: NDArray[np.float64] | None
    factor: NDArray[np.float64] | None


class Reranker:
    """Used on the thread that owns the feature state."""

    def __init__(
        self,
        shelf: Shelf,
        columns: ItemColumns,
        rules: ItemRules,
        *,
        tastes: Tastes | None = None,
        space: VectorSpace | None = None,
    ) -> None:
        self._shelf = shelf
        self._columns = columns
        self._rules = rules
        self._tastes = tastes
        self._vectors = Vectors(space)
        self._kept: dict[tuple[str, int], tuple[object, Scenario, _Standing]] = {}
        self._codes: tuple[object, NDArray[np.int32], dict[str, int]] | None = None

    def rerank(
        self,
        scenario: Scenario,
        items: NDArray[np.int32],
        strength: NDArray[np.float32],
        n: int,
        *,
        user: int,
        now: int,
        diversity: float | None = None,
        tell: bool = False,
        tasks: Mapping[str, NDArray[np.float32]] = _NO_TASKS,
        spare: int = 0,
    ) -> Ranked:
        """The n best of the candidates `items` (k,), which have their rows in the catalogue; `strength` (k,) is a
        ranker's or, without one, that of the fusion; `tasks` (k,) each is what it tells beside, by name. `diversity` of
        the request wins over the scenario's. `spare` more come after the n, in the order in which they would be
        next."""
        weight = scenario.diversity if diversity is None else diversity
        taste = None if self._tastes is None or user < 0 else self._tastes.of(user)
        liked = frozenset[str]() if taste is None else taste.liked
        shaped = bool(scenario.objectives or scenario.boosts or liked)
        if not len(items) or n <= 0 or not (shaped or weight > 0):
            places = np.argsort(-strength, kind="stable")[: max(n + spare, 0)]
            return Ranked(places, self._plain(strength, places) if tell else None)
        standing = self._standing(scenario, now)
        value, parts = self._value(scenario, standing, items, strength, tasks)
        factor = np.ones(len(items)) if standing.factor is None else standing.factor[items]
        fond = self._fond(items, liked)
        if fond is not None:
            factor = factor * fond
        value = value * factor
        if weight > 0:
            places, likeness = self._varied(value, items, weight, n, spare)
        else:
            places, likeness = np.argsort(-value, kind="stable")[: n + spare], None
        if not tell:
            return Ranked(places)
        told = _told(places, parts, factor, value, likeness)
        return Ranked(places, told)

    def _value(
        self,
        scenario: Scenario,
        standing: _Standing,
        items: NDArray[np.int32],
        strength: NDArray[np.float32],
        tasks: Mapping[str, NDArray[np.float32]],
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """(the weighted mean of the objectives (k,), the objectives that depend on the candidates)."""
        relevance = scaled(strength)
        weights = scenario.objectives
        parts = {RELEVANCE: relevance}
        if not weights:
            return relevance, parts
        own = weights.get(RELEVANCE, 0.0)
        value = own * relevance
        if REVENUE in weights:
            parts[REVENUE] = revenue(strength, self._shelf.price[items])
            value += weights[REVENUE] * parts[REVENUE]
        for name, weight in weights.items():
            if name not in OBJECTIVES and (name in tasks or weight > 0):  # relevance stands for what nobody tells
                parts[name] = scaled(tasks[name]) if name in tasks else relevance
                value += weight * parts[name]
        if standing.goal is not None:
            parts["items"] = standing.goal[items]
            value += parts["items"]
        value /= sum(abs(one) for one in weights.values())
        low = float(value.min(initial=0.0))
        return value - low if low < 0 else value, parts

    def _varied(
        self, value: NDArray[np.float64], items: NDArray[np.int32], weight: float, n: int, spare: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        best = np.argsort(-value, kind="stable")[: max(_POOL * n, _LEAST_POOL, n + spare)]
        rows = items[best]
        codes, _ = self._categories()
        top = float(value[best[0]])
        share = value[best] / top if top > 0 else value[best]
        chosen, likeness = diversified(share, codes[rows], self._vectors.unit(rows), weight, n + spare)
        return best[chosen], likeness

    def _standing(self, scenario: Scenario, now: int) -> _Standing:
        """Kept until what it was made of has changed."""
        facts = [name for name in scenario.objectives if name in OF_ITEMS]
        names = frozenset[str]().union(*(READS[name] for name in facts), _COVER if scenario.boosts else ())
        rules = tuple(boost.rule for boost in scenario.boosts)
        token = (self._columns.token(names, now), self._rules.token(rules, now) if rules else None)
        key = scenario.name, scenario.version
        kept = self._kept.get(key)
        if kept is None or kept[0] != token or kept[1] is not scenario:
            self._kept.pop(key, None)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[key] = (token, scenario, self._stand(scenario, facts, now))
        return kept[2]

    def _stand(self, scenario: Scenario, facts: list[str], now: int) -> _Standing:
        n = len(self._shelf)
        goal = None
        for name in facts:
            share = scenario.objectives[name] * OF_ITEMS[name](self._columns, n, now)
            goal = share if goal is None else goal + share
        if not scenario.boosts:
            return _Standing(goal, None)
        return _Standing(goal, factors(scenario.boosts, self._rules, self._columns.cover, n, now))

    def _categories(self) -> tuple[NDArray[np.int32], dict[str, int]]:
        """(the code of each item's category (n_items,), -1: none; the codes by name)."""
        token = self._columns.token(_CATEGORY, 0)
        if self._codes is None or self._codes[0] != token:
            column = self._columns.texts("category")
            self._codes = (token, column.codes, {word: code for code, word in enumerate(column.words)})
        return self._codes[1], self._codes[2]

    def _fond(self, items: NDArray[np.int32], liked: frozenset[str]) -> NDArray[np.float64] | None:
        """The factor of each candidate by what the user is fond of; None: of nothing that is sold here."""
        if not liked:
            return None
        codes, places = self._categories()
        wanted = [places[name] for name in liked if name in places]
        if not wanted:
            return None
        return np.where(np.isin(codes[items], wanted), LIKED_FACTOR, 1.0)

    @staticmethod
    def _plain(strength: NDArray[np.float32], places: NDArray[np.int64]) -> list[dict[str, Any]]:
        relevance = scaled(strength)
        return [{"value": round(float(relevance[place]), 6)} for place in places.tolist()]


def _told(
    places: NDArray[np.int64],
    parts: dict[str, NDArray[np.float64]],
    factor: NDArray[np.float64],
    value: NDArray[np.float64],
    likeness: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    told = []
    for at, place in enumerate(places.tolist()):
        one: dict[str, Any] = {name: round(float(part[place]), 6) for name, part in parts.items()}
        one["factor"] = round(float(factor[place]), 6)
        one["value"] = round(float(value[place]), 6)
        if likeness is not None:
            one["likeness"] = round(float(likeness[at]), 6)
        told.append(one)
    return told
