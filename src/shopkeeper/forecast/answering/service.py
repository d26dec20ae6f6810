"""One forecast for one question, always: the asked model, else the better one, and the answer says which it was.

The forecast starts today, or on a day in the past from which on nothing is known. What was sold today so far ends the
history, and today's forecast is never below it.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.records import QUANTILES, Analysis, Forecast, ForecastPoint, SalesExplanation
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.answering.analysis import analysed
from shopkeeper.forecast.answering.asking import FEWEST_DAYS, Asking, Question
from shopkeeper.forecast.answering.choosing import Chooser, Chosen, ModelSource
from shopkeeper.forecast.answering.explaining import GROUPS, explain, in_words
from shopkeeper.forecast.answering.newcomers import Accompanied
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.telemetry import metrics

_LOG = logging.getLogger(__name__)
_MODES = {"all": "global", "store": "store", "category": "category", "product": "product"}


@dataclass(frozen=True)
class Answer:
    """What a model says of one series: `said` has one row. `chosen.fallback`: why it is another than one would expect;
    `saw_it`: it was trained on days that it forecasts here."""

    question: Question
    chosen: Chosen
    said: Outlook
    saw_it: bool
    skipped: int = 0
    """Days from the question's first on that are left out."""

    @property
    def first_day(self) -> int:
        """Of `said`."""
        return self.question.first_day + self.skipped

    def after(self, days: int) -> Answer:
        """Without the first days."""
        said = Outlook(self.said.mean[:, days:], self.said.quantiles[:, days:], self.said.note)
        return replace(self, said=said, skipped=self.skipped + days)


class ForecastService:
    """`ask` on the panel's thread; `said` and `answer` on any."""

    def __init__(self, panel: SalesPanel, clock: Clock, serving: ModelSource) -> None:
        asking = Asking(panel, clock, serving)
        self.ask, self.first_day = asking.ask, asking.first_day
        self._models = Chooser(serving)

    def forecast(
        self,
        item_id: str | None,
        horizon: int = 28,
        history_days: int = 90,
        model: str | None = None,
        store_id: str | None = None,
    ) -> Forecast:
        """Of one item, or of everything (item_id None), in one store or all; asked and answered here and now."""
        return self.answer(self.ask(scope_of(item_id, store_id), horizon, history_days, model=model))

    def answer(self, question: Question) -> Forecast:
        """Raises NotFound or Unavailable for an explicitly asked model, Invalid for one that makes no forecasts."""
        return told(self.said(question))

    def said(self, question: Question) -> Answer:
        """The same as arrays."""
        began = time.perf_counter()
        chosen = self._models.choose(
            question.model,
            question.model_scope or question.scope,
            total=question.total,
            category=question.category,
        )
        reason = "simpler_model" if chosen.fallback else None
        said = self._tried(chosen, question)
        if isinstance(said, str):
            chosen, reason = self._models.built_in(said), "broken_model"
            said = _asked(chosen, replace(question, around=None))
        elif said.note is not None:
            chosen = replace(chosen, fallback="; ".join(filter(None, (chosen.fallback, said.note))))
            reason = "part_missing" if question.around is None else "new_product"
        elif not question.sold:
            day = "today" if not question.came else date_of(question.first_day).isoformat()
            chosen, reason = replace(chosen, fallback=f"no sales before {day}: little is known"), "no_sales"
        elif chosen.fallback is None and question.days_sold < FEWEST_DAYS:
            days = f"{question.days_sold} day{'' if question.days_sold == 1 else 's'}"
            chosen, reason = replace(chosen, fallback=f"{days} of sales are little"), "little_history"
        if reason is not None:
            metrics.forecast_fallback_total.labels(reason).inc()
        metrics.forecast_seconds.observe(time.perf_counter() - began)
        first = date_of(question.first_day).isoformat()
        saw_it = chosen.until is not None and chosen.until >= first
        return Answer(question, chosen, _at_least(said, question.so_far), saw_it)

    def _tried(self, chosen: Chosen, question: Question) -> Outlook | str:
        """What it says, or why that cannot be used."""
        try:
            said = _asked(chosen, question)
        except Exception as error:  # noqa: BLE001  a stranger's model may raise anything: an answer comes all the same
            _LOG.exception("%s v%d could not forecast", chosen.name, chosen.version)
            return f"{chosen.name} failed: {type(error).__name__}"
        return said if _finite(said) else f"{chosen.name} gave no finite number"

    def naive(self, question: Question) -> Outlook:
        """What seasonal naive says, the yardstick of all."""
        return _asked(self._models.built_in(""), replace(question, around=None))

    def explain(self, question: Question) -> SalesExplanation:
        """Of what `answer` says. Raises as `answer` does, and Unavailable where the model breaks at it."""
        return self.explained(self.said(question))

    def explained(self, answer: Answer) -> SalesExplanation:
        """What moved it, in pieces over the whole horizon of the question."""
        question, chosen = answer.question, answer.chosen
        try:
            found = (
                explain(
                    _accompanied(chosen, question),
                    question.series,
                    0,
                    question.horizon,
                    None if question.around is None else chosen.model,
                )
                if question.series.days
                else _nothing(question)
            )
        except Exception as error:
            _LOG.exception("%s v%d cannot be explained", chosen.name, chosen.version)
            raise Unavailable(
                f"{chosen.name} cannot be explained: {type(error).__name__}; the log has more", code="not_explained"
            ) from error
        forecast = told(answer)
        return msgspec.structs.replace(
            found,
            item_id=forecast.item_id,
            store_id=forecast.store_id,
            model=chosen.name,
            version=chosen.version,
        )

    def analyse(self, answer: Answer) -> Analysis:
        """Without what moved it where that cannot be said."""
        factors = None
        with suppress(Unavailable):
            factors = self.explained(answer)
        complete = answer.question.history[: -1 if answer.question.so_far else None]
        return analysed(np.array([point.y for point in complete]), answer.said, factors)


def scope_of(item_id: str | None, store_id: str | None = None, category: str | None = None) -> Scope:
    """What is asked for by an item, or a category, or neither; in one store or all. Raises Invalid for both."""
    if item_id is not None and category is not None:
        raise Invalid("give an item or a category, not both", code="two_scopes", field="category")
    if item_id is not None:
        return Scope("product", item_id, store_id)
    if category is not None:
        return Scope("category", category, store_id)
    return ALL if store_id is None else Scope("store", store_id)


def told(answer: Answer) -> Forecast:
    """An answer as the doors give it."""
    question, chosen = answer.question, answer.chosen
    scope = question.scope
    return Forecast(
        item_id=scope.id if scope.kind == "product" else None,
        model=chosen.name,
        version=chosen.version,
        history=list(question.history),
        forecast=points(answer.said, answer.first_day),
        beats_naive=chosen.beats_naive,
        scope=_MODES[scope.kind],
        store_id=scope.id if scope.kind == "store" else scope.store,
        fallback=chosen.fallback,
        category=scope.id if scope.kind == "category" else question.category,
        saw_it=answer.saw_it,
        assumed=question.assumed,
    )


def points(said: Outlook, first_day: int) -> list[ForecastPoint]:
    """The first row, day by day."""
    mean: NDArray[np.float64] = np.round(said.mean[0], 4)
    quantiles: NDArray[np.float64] = np.round(said.quantiles[0], 4)
    names = [f"{level:g}" for level in QUANTILES]
    return [
        ForecastPoint(
            ds=date_of(first_day + step).isoformat(),
            mean=float(mean[step]),
            quantiles=dict(zip(names, quantiles[step].tolist(), strict=True)),
        )
        for step in range(len(mean))
    ]


def _asked(chosen: Chosen, question: Question) -> Outlook:
    horizon = question.horizon
    if not question.series.days:
        return Outlook(np.zeros((1, horizon)), np.zeros((1, horizon, len(QUANTILES))))
    said: Outlook = _accompanied(chosen, question).forecast(question.series, horizon)
    return said


def _accompanied(chosen: Chosen, question: Question) -> ForecastModel:
    return chosen.model if question.around is None else Accompanied(chosen.model, question.around)


def _nothing(question: Question) -> SalesExplanation:
    """The shop has not begun to sell."""
    values = dict.fromkeys(GROUPS, 0.0)
    text = in_words(0.0, values, 0.0, question.horizon)
    return SalesExplanation(
        base_value=0.0, values=values, names=list(GROUPS), total=0.0, horizon=question.horizon, text=text
    )


def _finite(said: Outlook) -> bool:
    return bool(np.isfinite(said.mean).all() and np.isfinite(said.quantiles).all())


def _at_least(said: Outlook, so_far: float) -> Outlook:
    """Today cannot end below what it has sold."""
    mean, quantiles = said.mean.copy(), said.quantiles.copy()
    mean[:, 0] = np.maximum(mean[:, 0], so_far)
    quantiles[:, 0] = np.maximum(quantiles[:, 0], so_far)
    return Outlook(mean, quantiles)
