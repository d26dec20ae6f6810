"""Webhooks: who is told when somebody enters or leaves a segment, and what became of each telling."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import Request, Response
from msgspec import Meta, Struct

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import Name
from shopkeeper.api.page import cut
from shopkeeper.api.users import IfMatch
from shopkeeper.core.webhooks import EVENTS, Delivery, NewWebhook, Webhook
from shopkeeper.operations.destinations import URL_LENGTH
from shopkeeper.stores.etags import etag
from shopkeeper.stores.webhooks import SECRET

doors = Doors("Webhooks")

_URL = "/api/v1/webhooks"
Event = Annotated[str, Meta(max_length=64, extra_json_schema={"enum": list(EVENTS)})]
Secret = Annotated[
    str,
    Meta(min_length=SECRET[0], max_length=SECRET[1], extra_json_schema={"format": "password", "writeOnly": True}),
]


class WebhookForm(Struct):
    """`segment` null: of every segment. `secret` signs what is sent; none: one is made, or the present one stays."""

    url: Annotated[str, Meta(min_length=8, max_length=URL_LENGTH)]
    events: Annotated[list[Event], Meta(min_length=1, max_length=16)]
    segment: Name | None = None
    secret: Secret | None = None


@doors.add("GET", _URL, scope="o", answer=Page[Webhook])
async def list_webhooks(shop: ShopDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """All webhooks, oldest first; their secrets are never shown"""
    return reply(cut(await asyncio.to_thread(shop.webhooks.all), limit, cursor))


@doors.add("POST", _URL, scope="a", status=201, body=WebhookForm, answer=NewWebhook, errors=(409, 429))
async def create_webhook(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes a webhook; a secret that was not given is made and shown this once"""
    form = await read(request, WebhookForm)
    store = partial(shop.webhooks.create, form.url, form.events, segment=form.segment, secret=form.secret)
    made = await asyncio.wrap_future(await asyncio.to_thread(store, by=caller.name))
    return reply(made, 201, {"etag": etag(made.updated_at), "location": f"{_URL}/{made.webhook_id}"})


@doors.add("PUT", f"{_URL}/{{webhook_id}}", scope="a", body=WebhookForm, answer=Webhook, errors=(404, 412, 429))
async def change_webhook(
    request: Request, shop: ShopDep, caller: CallerDep, webhook_id: Id, if_match: IfMatch = None
) -> Response:
    """Says anew what a webhook wants; a secret that is left out stays, and what waits is tried at once"""
    form = await read(request, WebhookForm)
    store = partial(shop.webhooks.update, webhook_id, form.url, form.events, segment=form.segment, secret=form.secret)
    stored = await asyncio.wrap_future(await asyncio.to_thread(store, if_match=if_match, by=caller.name))
    return reply(stored, headers={"etag": etag(stored.updated_at)})


@doors.add("DELETE", f"{_URL}/{{webhook_id}}", scope="a", status=204, errors=(404, 412, 429))
async def delete_webhook(shop: ShopDep, webhook_id: Id, if_match: IfMatch = None) -> Response:
    """Takes a webhook away; what waits for it is not told any more"""
    await asyncio.wrap_future(shop.webhooks.delete(webhook_id, if_match=if_match))
    return Response(status_code=204)


@doors.add("GET", f"{_URL}/{{webhook_id}}/deliveries", scope="o", answer=Page[Delivery], errors=(404,))
async def list_deliveries(shop: ShopDep, webhook_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What was and shall be told to a webhook, newest first"""
    found = await asyncio.to_thread(shop.webhooks.deliveries, webhook_id, limit=limit, cursor=cursor)
    return reply(Page(*found))


@doors.add("POST", f"{_URL}/{{webhook_id}}/test", scope="o", status=202, answer=Delivery, errors=(404, 429))
async def test_webhook(shop: ShopDep, webhook_id: Id) -> Response:
    """Queues a `webhook.test`, sent once and before all that waits; its deliveries tell how it went"""
    return reply(await asyncio.wrap_future(shop.webhooks.test(webhook_id)), 202)
