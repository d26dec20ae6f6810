"""The stock paths' predictions: made and kept, compared, found again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated

import msgspec
import numpy as np
from fastapi import Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Envelope, Id, Limit, ShopDep, enveloped, reply
from shopkeeper.api.forms import StockComparison, StockPrediction
from shopkeeper.api.stockasking import Address, Span, address, compared, span
from shopkeeper.api.stocknames import uid_of
from shopkeeper.api.stockwire import PastDay, PredictedDay, PredictionData, days_of, predicted, prediction_data
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import moment
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Conflict, ShopkeeperError
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.answering.asking import Question
from shopkeeper.forecast.answering.predictions import Kept
from shopkeeper.forecast.answering.service import Answer, points
from shopkeeper.forecast.measuring.judging import measured
from shopkeeper.stores.predictions import PredictionRow

doors = Doors("Stock")
_HISTORY_DAYS = 90
OptionalId = Annotated[str | None, Query(min_length=1, max_length=128)]


class Comparison(msgspec.Struct):
    """`metrics` by uid: where the days lie in the past, of what came, seasonal naive beside (`measured_on` came); else
    those of each version's own holdout."""

    history: list[PastDay]
    actual: list[PastDay]
    predictions: dict[str, list[PredictedDay]]
    metrics: dict[str, dict[str, float]]
    measured_on: str
    saw_it: dict[str, bool]
    fallback: dict[str, str]


class PastPrediction(msgspec.Struct):
    """One line of the history."""

    prediction_id: str
    model_uid: str
    model_type: str
    product_id: str | None
    store_id: str | None
    category: str | None
    start_date: str
    future_days: int
    created_at: datetime
    created_by: str


class PastPredictions(msgspec.Struct):
    data: list[PastPrediction]
    next_cursor: str | None
    total: int
    status: str = "success"


class RemovedPrediction(msgspec.Struct):
    prediction_id: str


@doors.add(
    "POST", "/api/prediction",
    scope="p", body=StockPrediction, answer=Envelope[PredictionData], errors=(404, 409, 429),
)  # fmt: skip
async def predict(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Sales to expect, by a model's uid or by what it is for; kept in the history"""
    form = await read(request, StockPrediction)
    days = span(_today(shop), form.start_date)
    horizon = days.horizon(form.future_days)
    model = await asyncio.to_thread(address, shop, form)
    question = _question(shop, model, days, horizon, form.history_days)
    kept = await shop.forecasting.run(_kept, shop, question, days.skip, by=caller.name, analyse=form.analyze_result)
    return enveloped(prediction_data(kept))


@doors.add(
    "POST", "/api/prediction/compare",
    scope="p", body=StockComparison, answer=Envelope[Comparison], errors=(404, 409, 429),
)  # fmt: skip
async def compare(request: Request, shop: ShopDep) -> Response:
    """What several models say of the same days"""
    form = await read(request, StockComparison)
    days = span(_today(shop), form.start_date)
    horizon = days.horizon(form.future_days)
    models = await asyncio.to_thread(compared, shop, form)
    questions = {uid: _question(shop, one, days, horizon, form.history_days) for uid, one in models.items()}
    said = await asyncio.gather(*(shop.forecasting.run(shop.forecast.said, one) for one in questions.values()))
    answers = dict(zip(questions, (one.after(days.skip) for one in said), strict=True))
    return enveloped(await asyncio.to_thread(_comparison, shop, answers, models))


@doors.add("GET", "/api/prediction/history", scope="r", answer=PastPredictions)
async def history(
    shop: ShopDep,
    product_id: OptionalId = None,
    store_id: OptionalId = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Predictions that were made, newest first"""
    rows, after, total = await asyncio.to_thread(
        shop.predictions.list, item_id=product_id, store_id=store_id, limit=limit, cursor=cursor
    )
    return reply(PastPredictions([_line(row) for row in rows], after, total))


@doors.add("GET", "/api/prediction/history/{id}", scope="r", answer=Envelope[PredictionData], errors=(404,))
async def get_prediction(shop: ShopDep, id: Id) -> Response:
    """One prediction; when its file is lost, it is made again from its numbers"""
    kept = await asyncio.to_thread(shop.predictions.find, id)
    if kept.repaired and not kept.history:
        kept = await _mended(shop, kept)
    return enveloped(prediction_data(kept))


@doors.add("DELETE", "/api/prediction/history/{id}", scope="o", answer=Envelope[RemovedPrediction], errors=(404, 429))
async def delete_prediction(shop: ShopDep, id: Id) -> Response:
    """Removes a prediction with its file"""
    await asyncio.to_thread(shop.predictions.remove, id)
    return enveloped(RemovedPrediction(id))


def _today(shop: Shop) -> date:
    return date_of(shop.forecast.first_day())


def _question(shop: Shop, model: Address, days: Span, horizon: int, history_days: int) -> Question:
    """Raises Conflict in a shop that has sold nothing yet."""
    if not len(shop.panel):
        raise Conflict("the shop has no sales yet: import orders first", code="no_data")
    return shop.forecast.ask(
        model.about, horizon, history_days, model=model.model, model_scope=model.scope, as_of=days.as_of
    )


def _kept(shop: Shop, question: Question, skip: int, *, by: str, analyse: bool) -> Kept:
    answer = shop.forecast.said(question).after(skip)
    return shop.predictions.keep(answer, by=by, analysis=shop.forecast.analyse(answer) if analyse else None)


async def _mended(shop: Shop, kept: Kept) -> Kept:
    """With the history as the log has it, and written anew; a disk that refuses does not keep it from being read."""
    start = date.fromisoformat(kept.start_date)
    with suppress(ShopkeeperError):  # a category that nothing is of any more
        as_of = min(start, _today(shop))
        question = shop.forecast.ask(kept.about, len(kept.forecast), _HISTORY_DAYS, as_of=as_of)
        kept = msgspec.structs.replace(kept, history=list(question.history))
    with suppress(ShopkeeperError):
        await asyncio.to_thread(shop.predictions.mend, kept)
    return kept


def _comparison(shop: Shop, answers: dict[str, Answer], models: dict[str, Address]) -> Comparison:
    first = next(iter(answers.values()))
    came = np.array([point.y for point in first.question.came])
    metrics: dict[str, dict[str, float]] = {}
    if len(came):
        metrics = {uid: measured(one.said, came) for uid, one in answers.items()}
        metrics["seasonal_naive"] = measured(shop.forecast.naive(first.question), came)
    else:
        for uid, one in models.items():
            assert one.model is not None
            name, _, number = one.model.partition("/")
            metrics[uid] = dict(shop.registry.version(name, number, str(one.scope)).metrics)
    return Comparison(
        history=days_of(first.question.history),
        actual=days_of(first.question.came),
        predictions={uid: predicted(points(one.said, one.first_day)) for uid, one in answers.items()},
        metrics=metrics,
        measured_on="what came" if len(came) else "holdout",
        saw_it={uid: one.saw_it for uid, one in answers.items()},
        fallback={uid: one.chosen.fallback for uid, one in answers.items() if one.chosen.fallback},
    )


def _line(row: PredictionRow) -> PastPrediction:
    return PastPrediction(
        prediction_id=row.prediction_id,
        model_uid=uid_of(row.model, row.algorithm, Scope.parse(row.scope), row.version),
        model_type=row.algorithm,
        product_id=row.item_id,
        store_id=row.store_id,
        category=row.category,
        start_date=date_of(row.first_day).isoformat(),
        future_days=row.horizon,
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )
