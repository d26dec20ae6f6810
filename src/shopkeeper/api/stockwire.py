"""Forecast models and kept forecasts in the words of the stock paths."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from shopkeeper.api.stocknames import MODES, ids_of, parsed, uid_of, uid_of_version
from shopkeeper.bootstrap import Shop
from shopkeeper.core.records import Analysis, FileEntry, ForecastPoint, Gate, HistoryPoint, ModelInfo, Version
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.answering.predictions import Kept
from shopkeeper.lifecycle.registry import REMOVED


class ForecastModel(msgspec.Struct):
    """`best` marks the version that answers; `model` and `scope` are its address under /api/v1/models."""

    model_uid: str
    model_type: str
    training_mode: str
    product_id: str | None
    store_id: str | None
    category: str | None
    version: int
    best: bool
    metrics: dict[str, Any]
    created_at: datetime | None
    model: str
    scope: str


class ForecastModelDetail(ForecastModel, kw_only=True):
    aliases: list[str]
    params: dict[str, Any]
    feature_names: list[str]
    data: dict[str, Any]
    gate: Gate | None
    files: list[FileEntry]
    created_by: str
    job_id: str | None


class PastDay(msgspec.Struct):
    date: str
    sales: float


class PredictedDay(msgspec.Struct):
    date: str
    predicted_sales: float
    quantiles: dict[str, float]


class PredictionData(msgspec.Struct):
    """`actual`: what came by now, when the first day lies in the past; `saw_it`: then the version has been trained on
    days that it predicts here. `repaired`: the file was lost, and this was made again from what SQL knows."""

    prediction_id: str
    model_uid: str
    training_mode: str
    product_id: str | None
    store_id: str | None
    category: str | None
    start_date: str
    future_days: int
    created_at: datetime
    created_by: str
    history: list[PastDay]
    predictions: list[PredictedDay]
    actual: list[PastDay]
    beats_naive: bool
    saw_it: bool
    fallback: str | None
    analysis: Analysis | None
    repaired: bool


def listed(
    shop: Shop,
    *,
    mode: str | None = None,
    product_id: str | None = None,
    store_id: str | None = None,
    category: str | None = None,
    model_type: str | None = None,
) -> list[ForecastModel]:
    """Every version of the forecast models that are meant, those of each model newest first."""
    found: list[ForecastModel] = []
    for info in shop.registry.models(task="forecast"):
        scope = parsed(info.scope)
        if scope is None:
            continue
        own = (MODES[scope.kind], *ids_of(scope))
        asked = (mode, product_id, store_id, category)
        if all(wanted in (None, mine) for wanted, mine in zip(asked, own, strict=True)):
            found += [_model(one) for one in _versions(shop, info) if model_type in (None, one.algorithm)]
    return found


def detail(version: Version) -> ForecastModelDetail:
    return ForecastModelDetail(
        **msgspec.structs.asdict(_model(version)),
        aliases=version.aliases,
        params=version.params,
        feature_names=version.feature_names,
        data=version.data,
        gate=version.gate,
        files=version.files,
        created_by=version.created_by,
        job_id=version.job_id,
    )


def _versions(shop: Shop, info: ModelInfo) -> Iterator[Version]:
    cursor: str | None = None
    while True:
        page, cursor, _ = shop.registry.versions(info.name, info.scope, limit=1000, cursor=cursor)
        yield from (one for one in page if one.status != REMOVED)
        if cursor is None:
            return


def _model(version: Version) -> ForecastModel:
    scope = Scope.parse(version.scope)
    product, store, category = ids_of(scope)
    return ForecastModel(
        model_uid=uid_of_version(version),
        model_type=version.algorithm,
        training_mode=MODES[scope.kind],
        product_id=product,
        store_id=store,
        category=category,
        version=version.version,
        best="champion" in version.aliases,
        metrics=version.metrics,
        created_at=version.created_at,
        model=version.model,
        scope=version.scope,
    )


def days_of(points: list[HistoryPoint] | tuple[HistoryPoint, ...]) -> list[PastDay]:
    return [PastDay(point.ds, point.y) for point in points]


def predicted(points: list[ForecastPoint]) -> list[PredictedDay]:
    return [PredictedDay(point.ds, point.mean, point.quantiles) for point in points]


def prediction_data(kept: Kept) -> PredictionData:
    """A kept forecast in the stock paths' words."""
    about = kept.about
    return PredictionData(
        prediction_id=kept.prediction_id,
        model_uid=uid_of(kept.model, kept.algorithm, Scope.parse(kept.scope), kept.version),
        training_mode=MODES[about.kind],
        product_id=kept.item_id,
        store_id=kept.store_id,
        category=kept.category,
        start_date=kept.start_date,
        future_days=len(kept.forecast),
        created_at=kept.created_at,
        created_by=kept.created_by,
        history=days_of(kept.history),
        predictions=predicted(kept.forecast),
        actual=days_of(kept.came),
        beats_naive=kept.beats_naive,
        saw_it=kept.saw_it,
        fallback=kept.fallback,
        analysis=kept.analysis,
        repaired=kept.repaired,
    )
