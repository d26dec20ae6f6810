"""Which model answers: the asked one as it is, else the champion of the narrowest scope that beats seasonal naive.

A product's question asks the models of that product, then of its category, of its store, and of everything. Where no
narrower one is better than seasonal naive, the shop's own `sales_daily` answers, unless its measures of what was asked
say that another of the same scope does better.

A total and a product are two questions: a model can win on one and lose on the other, so each is judged by its own
measures of the version's holdout, WAPE and quantile loss as in the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.outlook import ForecastModel
from shopkeeper.lifecycle.addresses import parse_address

DEFAULT_MODEL = "sales_daily"
FIRST_MODELS = (DEFAULT_MODEL, "sales_daily_ets", "sales_daily_naive")
"""What a shop trains for everything by itself: asked for where nobody can say which models there are."""
_FAMILY = "forecast"
_MEASURES = ("wape", "pinball")


class Loaded(Protocol):
    """What serving hands out: the version's record and the model."""

    @property
    def version(self) -> Any: ...

    @property
    def model(self) -> Any: ...


class ModelSource(Protocol):
    """lifecycle.serving.Serving, as far as it is used here. Raises NotFound or Unavailable when there is no model."""

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Any: ...


@runtime_checkable
class KnowsNames(Protocol):
    """A source of models that can say which of a family have a champion in a scope."""

    def names(self, family: str, scope: str = "all") -> Sequence[str]: ...


@dataclass(frozen=True)
class Chosen:
    """`beats_naive` and `loses_to_naive` by the version's own measures of what was asked; both false on a tie.

    `scope` of the model, which may be wider than the question's. `until`: the last day (ISO) that it has learned from,
    where its version says so. `fallback`: why it is not the model that one would expect.
    """

    name: str
    version: int
    model: ForecastModel
    beats_naive: bool = False
    loses_to_naive: bool = False
    fallback: str | None = None
    scope: Scope = ALL
    algorithm: str = SeasonalNaive.name
    until: str | None = None
    lead: float = 0.0
    """By how much it is better than naive: 1 - the mean ratio of the two measures to naive's."""


class Chooser:
    def __init__(self, serving: ModelSource) -> None:
        self._serving = serving
        self._built_in = Chosen(SeasonalNaive.name, 0, SeasonalNaiveModel(Calibration.unknown()))

    def choose(self, asked: str | None, scope: Scope = ALL, *, total: bool, category: str | None = None) -> Chosen:
        """The asked model (`name`, `name/3`, `name@alias`) whatever its measures; without one the best there is.

        `category` is that of the product asked for. An asked model is that of the narrowest scope that has it. Raises
        NotFound, Unavailable or Invalid for one that is not there or makes no forecasts.
        """
        scopes = holding(scope, category)
        if asked:
            return self._asked(asked, scopes, total)
        passed: list[str] = []
        for narrower in scopes[:-1]:
            found = self._champions(narrower, total)
            better = [one for one in found if one.beats_naive]
            if better:
                return replace(_best(better), fallback=None)
            passed += [f"{one.name} of {narrower} does not beat seasonal naive" for one in found[:1]]
        widest = self._of_everything(total)
        said = [*passed, *([widest.fallback] if widest.fallback else [])]
        return replace(widest, fallback="; ".join(said) or None)

    def built_in(self, fallback: str) -> Chosen:
        """Seasonal naive that needs no training: finite for every series."""
        return replace(self._built_in, fallback=fallback)

    def _asked(self, asked: str, scopes: Sequence[Scope], total: bool) -> Chosen:
        """Raises what the widest scope raises when no narrower one has it."""
        name, ref = parse_address(asked)
        for narrower in scopes[:-1]:
            try:
                return self._load(name, ref, narrower, total)
            except NotFound:
                continue
        return self._load(name, ref, scopes[-1], total)

    def _of_everything(self, total: bool) -> Chosen:
        champion = self._champion(DEFAULT_MODEL, ALL, total)
        if champion is not None and not (total and champion.loses_to_naive):
            return champion
        others = [one for one in self._champions(ALL, total) if one.name != DEFAULT_MODEL]
        naive = next((one for one in others if one.algorithm == SeasonalNaive.name), self._built_in)
        better = [one for one in others if one.beats_naive]
        why = f"{DEFAULT_MODEL} loses to seasonal naive on the total"
        if champion is None:
            why = f"no champion of {DEFAULT_MODEL} yet"
        return replace(_best(better) if better else naive, fallback=why)

    def _champions(self, scope: Scope, total: bool) -> list[Chosen]:
        """Every forecaster that serves in a scope, by name."""
        found = (self._champion(name, scope, total) for name in self._names(scope))
        return [one for one in found if one is not None]

    def _names(self, scope: Scope) -> Sequence[str]:
        if isinstance(self._serving, KnowsNames):
            try:
                return self._serving.names(_FAMILY, str(scope))
            except Unavailable:  # the database; what is in memory goes on answering
                pass
        return FIRST_MODELS if scope == ALL else ()

    def _champion(self, name: str, scope: Scope, total: bool) -> Chosen | None:
        try:
            return self._load(name, "champion", scope, total)
        except (NotFound, Unavailable):
            return None

    def _load(self, name: str, ref: str, scope: Scope, total: bool) -> Chosen:
        loaded: Loaded = self._serving.get(name, ref, str(scope))
        if not hasattr(loaded.model, "forecast"):
            raise Invalid(f"model {name!r} does not make forecasts", code="wrong_model", field="model")
        version = loaded.version
        until = version.data.get("cutoff", version.data.get("to"))  # what it was measured on it has not learned from
        chosen = Chosen(name, version.version, loaded.model, scope=scope, algorithm=version.algorithm, until=until)
        if version.algorithm == SeasonalNaive.name:  # the yardstick neither beats nor loses to itself
            return chosen
        beats, loses = against_naive(version.metrics, total=total)
        return replace(chosen, beats_naive=beats, loses_to_naive=loses, lead=_lead(version.metrics, total=total))


def holding(scope: Scope, category: str | None = None) -> tuple[Scope, ...]:
    """The scopes whose models may answer, narrowest first, the last is all: a product, its category, its store, all."""
    wider = scope.wider()
    if category is None or scope.kind != "product":
        return (scope, *wider)
    own = [one for one in (scope, *wider) if one.kind == "product"]
    rest = [one for one in wider if one.kind != "product"]
    of_store = [] if scope.store is None else [Scope("category", category, scope.store)]
    return (*own, *of_store, Scope("category", category), *rest)


def against_naive(metrics: Mapping[str, float], *, total: bool) -> tuple[bool, bool]:
    """(beats, loses) by WAPE and quantile loss: both lower; either higher. Neither where one was not measured."""
    known = _pairs(metrics, total)
    beats = len(known) == len(_MEASURES) and all(mine < theirs for mine, theirs in known)
    return beats, any(mine > theirs for mine, theirs in known)


def _pairs(metrics: Mapping[str, float], total: bool) -> list[tuple[float, float]]:
    own, naive = ("total_", "total_naive_") if total else ("", "naive_")
    pairs = [(metrics.get(own + name), metrics.get(naive + name)) for name in _MEASURES]
    return [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]


def _lead(metrics: Mapping[str, float], *, total: bool) -> float:
    ratios = [mine / theirs for mine, theirs in _pairs(metrics, total) if theirs > 0]
    return 1.0 - sum(ratios) / len(ratios) if ratios else 0.0


def _best(found: Sequence[Chosen]) -> Chosen:
    return max(found, key=lambda one: one.lead)
