"""One forecast for one question, always: the asked model, else the better one, and the answer says which it was.

The forecast starts today. What was sold today so far ends the history, and today's forecast is never below it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import QUANTILES, Forecast, ForecastPoint, HistoryPoint
from shopkeeper.forecast.choosing import Chooser, ModelSource
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.panel import Names, SalesPanel

MAX_HORIZON = 365
MAX_HISTORY = 3650


class ForecastService:
    """Used on the panel's thread."""

    def __init__(self, panel: SalesPanel, clock: Clock, serving: ModelSource, stores: Names | None = None) -> None:
        self._panel = panel
        self._clock = clock
        self._models = Chooser(serving)
        self._stores = stores

    def forecast(
        self,
        item_id: str | None,
        horizon: int = 28,
        history_days: int = 90,
        model: str | None = None,
        store_id: str | None = None,
    ) -> Forecast:
        """Of one item, or of everything (item_id None), in one store or all.

        Raises NotFound for an unknown item, store or explicitly asked model; Invalid for days out of bounds.
        """
        _check("horizon", horizon, 1, MAX_HORIZON)
        _check("history_days", history_days, 0, MAX_HISTORY)
        store = self._store(store_id)
        today = self._panel.last_complete_day(self._clock.now()) + 1
        series = self._panel.dense(today - 1, [] if item_id is None else [item_id], store)
        chosen = self._models.choose(model, total=item_id is None)
        if not series.select(np.array([0])).y.any():
            chosen = replace(chosen, fallback="no sales before today: little is known")
        answer = _only(chosen.model.forecast(series, horizon) if series.days else _nothing(len(series), horizon), 0)
        if not (np.isfinite(answer.mean).all() and np.isfinite(answer.quantiles).all()):
            chosen = self._models.built_in(f"{chosen.name} gave no finite number")
            answer = _only(chosen.model.forecast(series, horizon), 0)
        history, so_far = self._history(item_id, store, today, history_days)
        return Forecast(
            item_id=item_id,
            model=chosen.name,
            version=chosen.version,
            history=history,
            forecast=_points(_at_least(answer, so_far), today),
            beats_naive=chosen.beats_naive,
            scope="product" if item_id is not None else ("global" if store_id is None else "store"),
            store_id=store_id,
            fallback=chosen.fallback,
        )

    def _store(self, store_id: str | None) -> int | None:
        if store_id is None:
            return None
        row = self._stores.row(store_id) if self._stores else None
        if row is None:
            raise NotFound(f"no store {store_id!r}", code="unknown_store", field="store_id")
        return row

    def _history(
        self, item_id: str | None, store: int | None, today: int, days: int
    ) -> tuple[list[HistoryPoint], float]:
        """The last `days` complete days since the first sale, then today so far if anything was sold; and that."""
        first, y = self._panel.series(item_id, store)
        kept = y[: max(today + 1 - first, 0)]
        so_far = float(kept[today - first]) if len(kept) > today - first >= 0 else 0.0
        complete = np.concatenate([kept[: max(today - first, 0)], np.zeros(max(today - first - len(kept), 0))])
        begin = max(len(complete) - days, 0)
        shown = [_sold(first + k, complete[k]) for k in range(begin, len(complete))] if len(y) else []
        return ([*shown, _sold(today, so_far)] if so_far and days else shown), so_far


def _check(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Invalid(f"{field} is {value}, expected {low} to {high}", code="out_of_bounds", field=field)


def _sold(day: int, pieces: float) -> HistoryPoint:
    return HistoryPoint(ds=date_of(day).isoformat(), y=float(pieces))


def _only(said: Outlook, row: int) -> Outlook:
    return Outlook(said.mean[row : row + 1], said.quantiles[row : row + 1])


def _nothing(n: int, horizon: int) -> Outlook:
    return Outlook(np.zeros((n, horizon)), np.zeros((n, horizon, len(QUANTILES))))


def _at_least(said: Outlook, so_far: float) -> Outlook:
    """Today cannot end below what it has sold."""
    mean, quantiles = said.mean.copy(), said.quantiles.copy()
    mean[:, 0] = np.maximum(mean[:, 0], so_far)
    quantiles[:, 0] = np.maximum(quantiles[:, 0], so_far)
    return Outlook(mean, quantiles)


def _points(said: Outlook, today: int) -> list[ForecastPoint]:
    mean: NDArray[np.float64] = np.round(said.mean[0], 4)
    quantiles: NDArray[np.float64] = np.round(said.quantiles[0], 4)
    names = [f"{level:g}" for level in QUANTILES]
    return [
        ForecastPoint(
            ds=date_of(today + step).isoformat(),
            mean=float(mean[step]),
            quantiles=dict(zip(names, quantiles[step].tolist(), strict=True)),
        )
        for step in range(len(mean))
    ]
