"""Products as the stock paths know them: a product is an item of kind product, with its daily sales."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Annotated

import msgspec
import numpy as np
from fastapi import Query, Response
from numpy.typing import NDArray

from shopkeeper.api.door import Cursor, Doors, Envelope, Id, Limit, ShopDep, enveloped, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.records import Item
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.covariates import HOLIDAY, PROMOTED, PROMOTION
from shopkeeper.forecast.series import SeriesSet

doors = Doors("Stock")
Day = Annotated[date | None, Query()]
TEMPERATURE = "temperature"


class Product(msgspec.Struct):
    product_id: str
    product_name: str
    category: str | None
    price: float | None
    active: bool


class Products(msgspec.Struct):
    data: list[Product]
    next_cursor: str | None
    total: int | None
    status: str = "success"


class ProductDetail(msgspec.Struct):
    """`data_points`: days with at least one sale. `date_range` null: never sold."""

    product_id: str
    product_name: str
    category: str | None
    price: float | None
    active: bool
    data_points: int
    date_range: dict[str, str] | None


class Sales(msgspec.Struct):
    """One local day. `price`: the last known one, null before the first. `is_promotion`: one was planned, or pieces
    were sold in one. `temperature` null: nobody has told it."""

    date: str
    sales: float
    price: float | None
    weekday: int
    month: int
    is_weekend: bool
    is_holiday: bool
    is_promotion: bool
    temperature: float | None


@doors.add("GET", "/api/products", scope="r", answer=Products)
async def list_products(
    shop: ShopDep, q: Annotated[str | None, Query(max_length=200)] = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Products by id"""
    items, after, total = await asyncio.to_thread(shop.items.list, q, "product", None, None, limit, cursor)
    return reply(Products([product_of(item) for item in items], after, total))


@doors.add("GET", "/api/products/{product_id}", scope="r", answer=Envelope[ProductDetail], errors=(404,))
async def get_product(shop: ShopDep, product_id: Id) -> Response:
    """One product and the days it has sales for"""
    item = shop.items.get(product_id)
    first, y = shop.panel.series(product_id)
    sold = np.flatnonzero(y)
    ends = None if not len(sold) else {"start": _iso(first + sold[0]), "end": _iso(first + sold[-1])}
    detail = msgspec.structs.asdict(product_of(item))
    return enveloped(ProductDetail(**detail, data_points=len(sold), date_range=ends))


@doors.add("GET", "/api/products/{product_id}/sales", scope="r", answer=Envelope[list[Sales]], errors=(404,))
async def product_sales(
    shop: ShopDep,
    product_id: Id,
    start_date: Day = None,
    end_date: Day = None,
    store_id: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> Response:
    """Daily sales of a product and what is known of the days, oldest first"""
    shop.items.get(product_id)
    return enveloped(_sales(shop, product_id, start_date, end_date, store_id))


def _sales(shop: Shop, product_id: str, start: date | None, end: date | None, store_id: str | None) -> list[Sales]:
    """From its first to the shop's last sale."""
    series = shop.panel.set(shop.forecast.first_day(), Scope("product", product_id, store_id))
    sold, selling = np.flatnonzero(series.y[0]), np.flatnonzero(series.sold)
    if not len(sold):
        return []
    first, last = int(sold[0]), max(int(sold[-1]), int(selling[-1]) if len(selling) else 0)
    low = first if start is None else max(first, day_number(start) - series.first_day)
    high = last + 1 if end is None else min(last + 1, day_number(end) - series.first_day + 1)
    beside = series.covariates
    known: dict[str, NDArray[np.float32]] = {}
    if beside is not None:
        shared = {name: beside.of_shared(name) for name in (HOLIDAY, TEMPERATURE)}
        own = {name: beside.of_own(name) for name in (PROMOTION, PROMOTED)}
        known = {name: values for name, values in shared.items() if values is not None}
        known |= {name: values[0] for name, values in own.items() if values is not None}
    return [_row(series, known, column) for column in range(low, high)]


def _row(series: SeriesSet, known: Mapping[str, NDArray[np.float32]], column: int) -> Sales:
    on = date_of(series.first_day + column)

    def value(name: str) -> float | None:
        found = float(known[name][column]) if name in known else np.nan
        return round(found, 4) if np.isfinite(found) else None

    price = float(series.price[0, column])
    return Sales(
        date=on.isoformat(),
        sales=round(float(series.y[0, column]), 4),
        price=round(price, 4) if np.isfinite(price) else None,
        weekday=on.weekday(),
        month=on.month,
        is_weekend=on.weekday() >= 5,
        is_holiday=bool(value(HOLIDAY)),
        is_promotion=bool(value(PROMOTION) or value(PROMOTED)),
        temperature=value(TEMPERATURE),
    )


def product_of(item: Item) -> Product:
    return Product(item.item_id, item.name, item.category, item.price, item.active)


def _iso(day: int | np.integer) -> str:
    return date_of(int(day)).isoformat()
