"""Products as the stock paths know them: a product is an item of kind product, with its daily sales."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated

import msgspec
import numpy as np
from fastapi import Query, Response

from shopkeeper.api.door import Cursor, Doors, Envelope, Id, Limit, ShopDep, enveloped, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.records import Item

doors = Doors("Stock")
Day = Annotated[date | None, Query()]


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
    """Pieces sold on one local day."""

    date: str
    sales: float
    weekday: int
    month: int
    is_weekend: bool


@doors.add("GET", "/api/products", scope="r", answer=Products)
async def list_products(
    shop: ShopDep, q: Annotated[str | None, Query(max_length=200)] = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Products by id"""
    items, after, total = await asyncio.to_thread(shop.items.list, q, "product", None, None, limit, cursor)
    return reply(Products([_product(item) for item in items], after, total))


@doors.add("GET", "/api/products/{product_id}", scope="r", answer=Envelope[ProductDetail], errors=(404,))
async def get_product(shop: ShopDep, product_id: Id) -> Response:
    """One product and the days it has sales for"""
    item = shop.items.get(product_id)
    first, y = shop.panel.series(product_id)
    sold = np.flatnonzero(y)
    ends = None if not len(sold) else {"start": _iso(first + sold[0]), "end": _iso(first + sold[-1])}
    detail = msgspec.structs.asdict(_product(item))
    return enveloped(ProductDetail(**detail, data_points=len(sold), date_range=ends))


@doors.add("GET", "/api/products/{product_id}/sales", scope="r", answer=Envelope[list[Sales]], errors=(404,))
async def product_sales(
    shop: ShopDep,
    product_id: Id,
    start_date: Day = None,
    end_date: Day = None,
    store_id: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
) -> Response:
    """Daily sales of a product, oldest first"""
    shop.items.get(product_id)
    return enveloped(_sales(shop, product_id, start_date, end_date, store_id))


def _sales(shop: Shop, product_id: str, start: date | None, end: date | None, store_id: str | None) -> list[Sales]:
    store = None
    if store_id is not None:
        shop.shops.get(store_id)
        store = shop.vocab.stores.row(store_id)
    first, y = shop.panel.series(product_id, store)
    low = first if start is None else max(first, day_number(start))
    high = first + len(y) if end is None else min(first + len(y), day_number(end) + 1)
    return [_row(day, float(y[day - first])) for day in range(low, high)]


def _row(day: int, pieces: float) -> Sales:
    on = date_of(day)
    return Sales(on.isoformat(), pieces, on.weekday(), on.month, on.weekday() >= 5)


def _product(item: Item) -> Product:
    return Product(item.item_id, item.name, item.category, item.price, item.active)


def _iso(day: int | np.integer) -> str:
    return date_of(int(day)).isoformat()
