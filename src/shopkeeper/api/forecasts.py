"""Forecasts: the pieces that will be sold, with how sure that is, why, and how right they would have been."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Queued, ShopDep, reply
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.forms import BacktestForm
from shopkeeper.api.training import chosen
from shopkeeper.api.waiting import Timeout, Wait, answered
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Forecast, Job, SalesExplanation
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.measuring.backtest import read_form
from shopkeeper.lifecycle.sourcing import SECRETS

doors = Doors("Forecast")
Horizon = Annotated[int, Query(ge=1, le=365)]
HistoryDays = Annotated[int, Query(ge=0, le=3650)]
StoreId = Annotated[str | None, Query(min_length=1, max_length=128)]
Category = Annotated[str | None, Query(min_length=1, max_length=128)]
Model = Annotated[str | None, Query(min_length=1, max_length=200)]


@doors.add("GET", "/api/v1/forecast", scope="p", answer=Forecast, errors=(404, 429))
async def total_forecast(
    shop: ShopDep,
    horizon: Horizon = 28,
    scope: Literal["global", "store", "category"] = "global",
    store_id: StoreId = None,
    category: Category = None,
    history_days: HistoryDays = 90,
    model: Model = None,
) -> Response:
    """Sales to expect of all items together, or of a category, in one store or everywhere"""
    if scope == "store" and store_id is None:
        raise _missing("scope store needs store_id", "store_id")
    if scope == "category" and category is None:
        raise _missing("scope category needs category", "category")
    if scope != "category" and category is not None:
        raise Malformed(
            f"scope {scope} has no category; ask with scope=category",
            code="two_scopes",
            errors=[FieldProblem("category", "goes with scope=category only")],
        )
    about = ALL if store_id is None else Scope("store", store_id)
    if category is not None:
        about = Scope("category", category, store_id)
    question = shop.forecast.ask(about, horizon, history_days, model=model)
    return reply(await shop.forecasting.run(shop.forecast.answer, question))


@doors.add("GET", "/api/v1/forecast/{item_id}", scope="p", answer=Forecast, errors=(404, 429))
async def item_forecast(
    shop: ShopDep,
    item_id: Id,
    horizon: Horizon = 28,
    scope: Literal["product"] = "product",
    store_id: StoreId = None,
    model: Model = None,
    history_days: HistoryDays = 90,
) -> Response:
    """Sales to expect of an item, day by day"""
    del scope  # there is this one only; the total has a door of its own
    question = shop.forecast.ask(Scope("product", item_id, store_id), horizon, history_days, model=model)
    return reply(await shop.forecasting.run(shop.forecast.answer, question))


@doors.add("GET", "/api/v1/forecast/{item_id}/explain", scope="p", answer=SalesExplanation, errors=(404, 429))
async def explain_forecast(
    shop: ShopDep, item_id: Id, horizon: Horizon = 28, store_id: StoreId = None, model: Model = None
) -> Response:
    """What moves the forecast of an item, in pieces: calendar, price, promotion, trend, neighbours"""
    question = shop.forecast.ask(Scope("product", item_id, store_id), horizon, 0, model=model)
    return reply(await shop.forecasting.run(shop.forecast.explain, question))


@doors.add(
    "POST", "/api/v1/forecast/backtest",
    scope="o", status=202, body=BacktestForm, answer=Queued, waited=dict[str, Any], errors=(404, 409, 429),
)  # fmt: skip
async def backtest(
    request: Request, shop: ShopDep, caller: CallerDep, wait: Wait = False, timeout_s: Timeout = 300
) -> Response:
    """Measures algorithms on the past, all at the same cutoffs, as a job"""
    form = await read(request, BacktestForm)
    job = await asyncio.to_thread(_submit, shop, form, caller.name)
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=request.app.state.closing)


def _submit(shop: Shop, form: BacktestForm, by: str) -> Job:
    Scope.parse(form.scope)
    given = {name: value for name, value in msgspec.structs.asdict(form).items() if value is not None}
    given["source"] = {name: value for name, value in chosen(form.source).items() if name not in SECRETS}
    shop.releases.check_source(given["source"])
    try:
        read_form(given)
    except NotFound as error:  # the door is there, but the body names an algorithm that is not
        problem = FieldProblem("models", error.message)
        raise Malformed(f"models: {error.message}", code="unknown_algorithm", errors=[problem]) from error
    return shop.jobs.submit("backtest", given, requested_by=by, work_key=f"backtest:{form.scope}")


def _missing(what: str, field: str) -> Malformed:
    return Malformed(what, code="missing_id", errors=[FieldProblem(field, "is missing")])
