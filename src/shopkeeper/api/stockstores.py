"""The stores of the shop: list, add, change, take away, and what each has sold or holds."""

from __future__ import annotations

import asyncio
from datetime import date

import msgspec
from fastapi import Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Cursor, Doors, Envelope, Id, Limit, ShopDep, enveloped, reply
from shopkeeper.api.forms import NewStore, StoreFacts
from shopkeeper.api.products import Products, product_of
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Store

doors = Doors("Stock")


class RemovedStore(msgspec.Struct):
    store_id: str


@doors.add("GET", "/api/stores", scope="r", answer=Envelope[list[Store]])
async def list_stores(shop: ShopDep) -> Response:
    """All stores by id, those known from sales only included"""
    return enveloped(await asyncio.to_thread(shop.shops.list))


@doors.add("POST", "/api/stores", scope="o", status=201, body=NewStore, answer=Envelope[Store], errors=(409, 429))
async def add_store(request: Request, shop: ShopDep) -> Response:
    """Adds a store"""
    form = await read(request, NewStore)
    made = await asyncio.wrap_future(shop.shops.create(_store(form.store_id, form)))
    return enveloped(made, 201, {"location": f"/api/stores/{made.store_id}"})


@doors.add("GET", "/api/stores/{store_id}", scope="r", answer=Envelope[Store], errors=(404,))
async def get_store(shop: ShopDep, store_id: Id) -> Response:
    """One store"""
    return enveloped(await asyncio.to_thread(shop.shops.get, store_id))


@doors.add("PUT", "/api/stores/{store_id}", scope="o", body=StoreFacts, answer=Envelope[Store], errors=(429,))
async def put_store(request: Request, shop: ShopDep, store_id: Id) -> Response:
    """Says anew what a store is; adds it when it is not there"""
    form = await read(request, StoreFacts)
    stored, _ = await asyncio.wrap_future(shop.shops.put(_store(store_id, form)))
    return enveloped(stored)


@doors.add("DELETE", "/api/stores/{store_id}", scope="o", answer=Envelope[RemovedStore], errors=(404, 409, 429))
async def delete_store(shop: ShopDep, store_id: Id) -> Response:
    """Takes a store away that has neither sales nor stock"""
    await asyncio.wrap_future(shop.shops.delete(store_id))
    return enveloped(RemovedStore(store_id))


@doors.add("GET", "/api/stores/{store_id}/products", scope="r", answer=Products, errors=(404,))
async def store_products(shop: ShopDep, store_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What a store has sold or has in stock, by id"""

    def found() -> Products:
        shop.shops.get(store_id)
        ids, after, total = shop.shops.item_ids(store_id, limit=limit, cursor=cursor)
        return Products([product_of(shop.items.get(id)) for id in ids], after, total)

    return reply(await asyncio.to_thread(found))


def _store(store_id: str, form: StoreFacts) -> Store:
    if form.opening_date is not None:
        try:
            date.fromisoformat(form.opening_date)
        except ValueError as error:
            raise Invalid(
                "opening_date must be a day such as 2024-03-01", code="bad_date", field="opening_date"
            ) from error
    facts = {name: getattr(form, name) for name in StoreFacts.__struct_fields__}
    return Store(store_id=store_id, **facts)
