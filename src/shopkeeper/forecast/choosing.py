"""Which model answers: the asked one as it is, else the champion, unless its own measures say that another is better.

A total and a product are two questions: a model can win on one and lose on the other, so each is judged by its own
measures of the version's holdout, WAPE and quantile loss as in the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.outlook import ForecastModel
from shopkeeper.lifecycle.addresses import parse_address

DEFAULT_MODEL = "sales_daily"
ETS_MODEL = "sales_daily_ets"
NAIVE_MODEL = "sales_daily_naive"
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


@dataclass(frozen=True)
class Chosen:
    """`beats_naive` and `loses_to_naive` by the version's own measures of what was asked; both false on a tie."""

    name: str
    version: int
    model: ForecastModel
    beats_naive: bool = False
    loses_to_naive: bool = False
    fallback: str | None = None


class Chooser:
    def __init__(self, serving: ModelSource) -> None:
        self._serving = serving
        self._built_in = Chosen(SeasonalNaive.name, 0, SeasonalNaiveModel(Calibration.unknown()))

    def choose(self, asked: str | None, *, total: bool) -> Chosen:
        """The asked model (`name`, `name/3`, `name@alias`) whatever its measures; without one the best there is.

        Raises NotFound, Unavailable or Invalid for an asked model that is not there or makes no forecasts.
        """
        if asked:
            return self._load(asked, total)
        champion = self._champion(DEFAULT_MODEL, total)
        if champion is None:
            return replace(self._naive(total), fallback=f"no champion of {DEFAULT_MODEL} yet")
        if not (total and champion.loses_to_naive):
            return champion
        why = f"{DEFAULT_MODEL} loses to seasonal naive on the total"
        smoothing = self._champion(ETS_MODEL, total)
        better = smoothing if smoothing is not None and smoothing.beats_naive else self._naive(total)
        return replace(better, fallback=why)

    def built_in(self, fallback: str) -> Chosen:
        """Seasonal naive that needs no training: finite for every series."""
        return replace(self._built_in, fallback=fallback)

    def _naive(self, total: bool) -> Chosen:
        return self._champion(NAIVE_MODEL, total) or self._built_in

    def _champion(self, name: str, total: bool) -> Chosen | None:
        try:
            return self._load(name, total)
        except (NotFound, Unavailable):
            return None

    def _load(self, address: str, total: bool) -> Chosen:
        name, ref = parse_address(address)
        loaded: Loaded = self._serving.get(name, ref)
        if not hasattr(loaded.model, "forecast"):
            raise Invalid(f"model {address!r} does not make forecasts", code="wrong_model", field="model")
        version = loaded.version
        if version.algorithm == SeasonalNaive.name:  # the yardstick neither beats nor loses to itself
            return Chosen(name, version.version, loaded.model)
        beats, loses = against_naive(version.metrics, total=total)
        return Chosen(name, version.version, loaded.model, beats, loses)


def against_naive(metrics: Mapping[str, float], *, total: bool) -> tuple[bool, bool]:
    """(beats, loses) by WAPE and quantile loss: both lower; either higher. Neither where one was not measured."""
    own, naive = ("total_", "total_naive_") if total else ("", "naive_")
    pairs = [(metrics.get(own + name), metrics.get(naive + name)) for name in _MEASURES]
    known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    beats = len(known) == len(_MEASURES) and all(mine < theirs for mine, theirs in known)
    return beats, any(mine > theirs for mine, theirs in known)
