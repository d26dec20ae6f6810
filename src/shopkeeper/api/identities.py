"""Who is who: a visitor turns out to be a user, two users turn out to be one person."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import Request, Response

from shopkeeper.api.asker import actor
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.api.forms import Id as IdText
from shopkeeper.core.records import Identified, Identity

doors = Doors("Identities")


class BindForm(msgspec.Struct):
    anonymous_id: IdText
    user_id: IdText


class MergeForm(msgspec.Struct):
    from_user_id: IdText
    into_user_id: IdText


@doors.add("POST", "/api/v1/identities", scope="p", body=BindForm, answer=Identified, errors=(409, 429))
async def bind(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """A visitor is this user from now on, with all that it did; repeating changes nothing"""
    form = await read(request, BindForm)
    bound = shop.identities.bind(form.anonymous_id, form.user_id, actor(request, caller))
    return reply(await asyncio.wrap_future(bound))


@doors.add("POST", "/api/v1/identities/merge", scope="o", body=MergeForm, answer=Identified, errors=(404, 409, 429))
async def merge(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """The first user is the second from now on, with all that it did; repeating changes nothing"""
    form = await read(request, MergeForm)
    merged = shop.identities.merge(form.from_user_id, form.into_user_id, actor(request, caller))
    return reply(await asyncio.wrap_future(merged))


@doors.add("GET", "/api/v1/identities/{user_id}", scope="r", answer=Identity, errors=(404,))
async def get_identity(shop: ShopDep, user_id: Id) -> Response:
    """The visitors and users that a user was found to be; of a merged id those of the other"""
    return reply(await asyncio.to_thread(shop.identities.get, user_id))
