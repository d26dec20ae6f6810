"""The stock paths' view of models and forecasts: a `model_uid` for each version, predictions in their words."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from shopkeeper.api.forms import StockPrediction
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Forecast, Version

FARTHEST = 365


class ForecastModel(msgspec.Struct):
    model_uid: str
    model_type: str
    training_mode: str
    product_id: str | None
    store_id: str | None
    version: int
    best: bool
    metrics: dict[str, Any]
    created_at: datetime | None


class PastDay(msgspec.Struct):
    date: str
    sales: float


class PredictedDay(msgspec.Struct):
    date: str
    predicted_sales: float
    quantiles: dict[str, float]


class PredictionData(msgspec.Struct):
    prediction_id: str
    model_uid: str
    history: list[PastDay]
    predictions: list[PredictedDay]
    analysis: dict[str, Any] | None


class Address(msgspec.Struct):
    """Which version, and of what: `item_id` None is the total."""

    model_uid: str | None
    ref: str | None
    item_id: str | None


def forecast_models(shop: Shop) -> list[ForecastModel]:
    """Every version of every forecast model; `best` marks champions."""
    return [_model(version) for version in _versions(shop)]


def address(shop: Shop, form: StockPrediction) -> Address:
    """Raises NotFound for an unknown model, Invalid when it is not said of what."""
    if form.model_uid is not None:
        found = next((one for one in _versions(shop) if _uid(one) == form.model_uid), None)
        if found is None:
            raise NotFound(f"no model {form.model_uid[:160]!r}; see /api/models", code="unknown_model")
        product = _id(found.scope, "product") or form.product_id
        return Address(form.model_uid, f"{found.model}/{found.version}", product)
    if form.training_mode == "product" and form.product_id is None:
        raise Invalid(
            "training_mode product needs product_id (or give model_uid)", code="missing_id", field="product_id"
        )
    product = form.product_id if form.training_mode == "product" else None
    if form.model_type is None:
        return Address(None, None, product)
    return _of_type(shop, form, product)


def prediction_data(shop: Shop, form: StockPrediction, model: Address) -> PredictionData:
    """The forecast in the stock paths' words. Raises NotFound, Invalid (dates)."""
    skip = 0 if form.start_date is None else _days_ahead(shop, form)
    if skip + form.future_days > FARTHEST:
        raise Invalid(f"that is {skip + form.future_days} days ahead, at most {FARTHEST}", field="future_days")
    made = shop.forecast.forecast(model.item_id, skip + form.future_days, form.history_days, model.ref, form.store_id)
    return PredictionData(
        prediction_id=ulid(),
        model_uid=model.model_uid or f"global_all_{made.model}_v{made.version}",
        history=[PastDay(point.ds, point.y) for point in made.history],
        predictions=[PredictedDay(point.ds, point.mean, point.quantiles) for point in made.forecast[skip:]],
        analysis=_analysis(made) if form.analyze_result else None,
    )


def _of_type(shop: Shop, form: StockPrediction, product: str | None) -> Address:
    wanted = [one for one in _versions(shop) if one.algorithm == form.model_type]
    own = [one for one in wanted if product is not None and one.scope == f"product:{product}"]
    wanted = own or [one for one in wanted if one.scope == "all"]
    if form.version != "best":
        wanted = [one for one in wanted if str(form.version).lstrip("v") == str(one.version)]
    if not wanted:
        kind = f"{form.model_type} (version {form.version})"
        raise NotFound(f"no trained model {kind}; train it: POST /api/training", code="unknown_model")
    chosen = max(wanted, key=lambda one: ("champion" in one.aliases, one.version))
    return Address(_uid(chosen), f"{chosen.model}/{chosen.version}", product)


def _versions(shop: Shop) -> list[Version]:
    models = shop.registry.models(task="forecast")
    return [version for one in models for version in shop.registry.versions(one.name, one.scope, limit=1000)[0]]


def _model(version: Version) -> ForecastModel:
    mode = version.scope.partition(":")[0]
    return ForecastModel(
        model_uid=_uid(version),
        model_type=version.algorithm,
        training_mode="global" if mode == "all" else mode,
        product_id=_id(version.scope, "product"),
        store_id=_id(version.scope, "store"),
        version=version.version,
        best="champion" in version.aliases,
        metrics=version.metrics,
        created_at=version.created_at,
    )


def _uid(version: Version) -> str:
    kind, _, id = version.scope.partition(":")
    where = f"{kind}_{id}" if id else "global_all"
    return f"{where}_{version.model}_v{version.version}"


def _id(scope: str, kind: str) -> str | None:
    return scope.removeprefix(f"{kind}:") if scope.startswith(f"{kind}:") else None


def _days_ahead(shop: Shop, form: StockPrediction) -> int:
    """How many days lie between the first day that can be forecast and the start that is asked for."""
    assert form.start_date is not None
    try:
        start = date.fromisoformat(form.start_date)
    except ValueError as error:
        raise Invalid("start_date must be a day such as 2026-11-20", field="start_date") from error
    first = date.fromisoformat(shop.forecast.forecast(form.product_id, 1, 0).forecast[0].ds)
    if start < first:
        raise Invalid(f"start_date {start} lies in the past; the first day ahead is {first}", field="start_date")
    if start - first > timedelta(days=FARTHEST):
        raise Invalid(f"start_date is more than {FARTHEST} days ahead", field="start_date")
    return (start - first).days


def _analysis(made: Forecast) -> dict[str, Any]:
    """Plain figures about history and forecast; a fuller analysis comes with the stock pages."""
    y = np.array([point.mean for point in made.forecast])
    past = np.array([point.y for point in made.history])
    slope = float(np.polyfit(np.arange(len(y)), y, 1)[0]) if len(y) > 1 else 0.0
    return {
        "trend": {"slope": slope, "type": "up" if slope > 0 else "down" if slope < 0 else "flat"},
        "statistics": {
            "mean": float(y.mean()),
            "total": float(y.sum()),
            "history_mean": float(past.mean()) if len(past) else None,
        },
        "text": f"{y.sum():.0f} pieces expected in {len(y)} days",
    }
