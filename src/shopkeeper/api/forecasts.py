"""Forecasts: the pieces that will be sold, with how sure that is."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import Query, Response

from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.bootstrap import Shop
from shopkeeper.core.records import Forecast
from shopkeeper.lifecycle.addresses import parse_address

doors = Doors("Forecast")
Horizon = Annotated[int, Query(ge=1, le=365)]
HistoryDays = Annotated[int, Query(ge=0, le=3650)]
StoreId = Annotated[str | None, Query(min_length=1, max_length=128)]
Model = Annotated[str | None, Query(min_length=1, max_length=200)]


@doors.add("GET", "/api/v1/forecast", scope="p", answer=Forecast, errors=(404,))
async def total_forecast(
    shop: ShopDep,
    horizon: Horizon = 28,
    scope: Literal["global", "store"] = "global",
    store_id: StoreId = None,
    history_days: HistoryDays = 90,
    model: Model = None,
) -> Response:
    """Sales to expect of all items together, in one store or everywhere"""
    if scope == "store" and store_id is None:
        raise Malformed(
            "scope store needs store_id", code="missing_id", errors=[FieldProblem("store_id", "is missing")]
        )
    await _warm(shop, model)
    return reply(shop.forecast.forecast(None, horizon, history_days, model, store_id))


@doors.add("GET", "/api/v1/forecast/{item_id}", scope="p", answer=Forecast, errors=(404,))
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
    await _warm(shop, model)
    return reply(shop.forecast.forecast(item_id, horizon, history_days, model, store_id))


async def _warm(shop: Shop, model: str | None) -> None:
    """Loads a version that was asked for by name beside the loop, on which the forecast itself is made."""
    if model is not None:
        await asyncio.to_thread(shop.serving.get, *parse_address(model))
