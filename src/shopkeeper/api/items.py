"""Items: what is sold or shown."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.asker import UserQuery
from shopkeeper.api.body import read
from shopkeeper.api.door import Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import ItemForm
from shopkeeper.api.many import parse
from shopkeeper.api.users import IfMatch, Search
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Item, RecItem
from shopkeeper.stores.etags import etag
from shopkeeper.stores.put_many import PutMany

doors = Doors("Items")


class SimilarItems(msgspec.Struct):
    item_id: str
    items: list[RecItem]
    versions: dict[str, Any]


@doors.add("GET", "/api/v1/items", scope="r", answer=Page[Item])
async def list_items(
    shop: ShopDep,
    q: Search = None,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    category: Annotated[str | None, Query(max_length=200)] = None,
    active: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Items by id; `q` is a part of the id or the name"""
    return reply(Page(*await asyncio.to_thread(shop.items.list, q, kind, category, active, limit, cursor)))


@doors.add("POST", "/api/v1/items", scope="o", body=list[Item], answer=PutMany, errors=(429,))
async def put_items(request: Request, shop: ShopDep) -> Response:
    """Creates or replaces up to 1000 items; a bad one is rejected alone"""
    found = parse(await request.body(), Item)
    done = await asyncio.wrap_future(shop.items.put_many(found.records))
    rejected = found.with_rejected(done.rejected)
    return reply(PutMany(created=done.created, updated=done.updated, rejected=rejected))


@doors.add("GET", "/api/v1/items/{item_id}", scope="r", answer=Item, errors=(404,))
async def get_item(shop: ShopDep, item_id: Id) -> Response:
    """One item"""
    item = shop.items.get(item_id)
    return reply(item, headers={"etag": etag(item.updated_at)})


@doors.add("PUT", "/api/v1/items/{item_id}", scope="o", body=ItemForm, answer=Item, also=(201,), errors=(412, 429))
async def put_item(request: Request, shop: ShopDep, item_id: Id, if_match: IfMatch = None) -> Response:
    """Creates or replaces an item"""
    form = await read(request, ItemForm)
    item = Item(item_id=check_id(item_id, "item_id"), **msgspec.structs.asdict(form))
    stored, created = await asyncio.wrap_future(shop.items.put(item, if_match))
    return reply(stored, 201 if created else 200, {"etag": etag(stored.updated_at)})


@doors.add("DELETE", "/api/v1/items/{item_id}", scope="o", status=204, errors=(404, 412, 429))
async def delete_item(shop: ShopDep, item_id: Id, if_match: IfMatch = None) -> Response:
    """Takes an item out of every slate; its sales stay"""
    await asyncio.wrap_future(shop.items.delete(item_id, if_match))
    return Response(status_code=204)


@doors.add("GET", "/api/v1/items/{item_id}/similar", scope="p", answer=SimilarItems, errors=(404,))
async def similar_items(
    shop: ShopDep,
    item_id: Id,
    n: Annotated[int, Query(ge=1, le=100)] = 10,
    channel: Annotated[str, Query(min_length=1, max_length=80)] = "fused",
    user_id: UserQuery = None,
) -> Response:
    """Items that go with an item, by all channels or by one; a user is not shown what they refused"""
    return reply(shop.recommend.similar(item_id, n, channel=channel, user_id=user_id))
