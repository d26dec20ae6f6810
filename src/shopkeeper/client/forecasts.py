"""Forecasts: of an item, of a category, of everything; why; and how right they would have been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import escaped
from shopkeeper.core.records import Forecast, Job, SalesExplanation

_FORECAST = "/api/v1/forecast"


class ForecastDoors(JobDoors):
    """One method a door."""

    def forecast(
        self,
        item_id: str,
        horizon: int = 28,
        *,
        history_days: int = 90,
        store_id: str | None = None,
        model: str | None = None,
    ) -> Forecast:
        """Of one item, in one store or all. `model`: `sales_daily_ets`, `sales_kan/3`, `sales_daily@previous`."""
        query = {"horizon": horizon, "history_days": history_days, "store_id": store_id, "model": model}
        return self.get(f"{_FORECAST}/{escaped(item_id)}", Forecast, query)

    def total_forecast(
        self,
        horizon: int = 28,
        *,
        history_days: int = 90,
        store_id: str | None = None,
        category: str | None = None,
        model: str | None = None,
    ) -> Forecast:
        """Of all products together, or of those of a category; in one store or all."""
        scope = "category" if category is not None else "global" if store_id is None else "store"
        query = {
            "horizon": horizon,
            "history_days": history_days,
            "scope": scope,
            "store_id": store_id,
            "category": category,
            "model": model,
        }
        return self.get(_FORECAST, Forecast, query)

    def explain_forecast(
        self, item_id: str, horizon: int = 28, *, store_id: str | None = None, model: str | None = None
    ) -> SalesExplanation:
        """What moves it, in pieces over the whole horizon. Raises Unavailable where the model breaks at it."""
        query = {"horizon": horizon, "store_id": store_id, "model": model}
        return self.get(f"{_FORECAST}/{escaped(item_id)}/explain", SalesExplanation, query)

    def backtest(
        self,
        models: Sequence[str],
        *,
        scope: str = "all",
        windows: int = 4,
        horizon: int = 28,
        step: int | None = None,
        refit: bool = False,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        source: Mapping[str, Any] | None = None,
        seed: int = 1,
    ) -> Job:
        """Begins to measure algorithms on the past, all at the same cutoffs; `wait` follows it."""
        body: dict[str, Any] = {
            "models": list(models),
            "scope": scope,
            "windows": windows,
            "horizon": horizon,
            "step": step,
            "refit": refit,
            "seed": seed,
            "params": dict(params or {}),
        }
        if source is not None:
            body["source"] = dict(source)
        queued = self.call("POST", f"{_FORECAST}/backtest", dict[str, Any], body)
        return self.job(queued["job_id"])
