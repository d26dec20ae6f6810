"""What people say about a suggestion, by the id of the answer that held it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Request, Response
from msgspec import Meta, Struct

from shopkeeper.api.body import read
from shopkeeper.api.door import Doors, ShopDep, reply
from shopkeeper.api.forms import Id
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.reactions import Reaction, reactions

doors = Doors("Personalisation")
_PATH = "/api/v1/personalization/recommendations/{request_id}"
_FAILS = (404, 429)
RequestId = Annotated[str, Path(min_length=1, max_length=128)]


class ReactionForm(Struct):
    """Without an item the whole answer is meant."""

    item_id: Id | None = None


class RatingForm(Struct):
    """`rating` in stars. Without an item the whole answer is meant."""

    rating: Annotated[int, Meta(ge=1, le=5)]
    comment: Annotated[str, Meta(max_length=1000)] | None = None
    item_id: Id | None = None


class Heard(Struct):
    success: bool


@doors.add(
    "POST", f"{_PATH}/accept", scope="p", body=ReactionForm, body_required=False, answer=Heard, errors=(404, 429)
)
async def accept(request: Request, shop: ShopDep, request_id: RequestId) -> Response:
    """A suggestion was taken up; durable before the answer, and stored once however often it is sent"""
    return await _react(shop, request_id, "accept", await _item(request))


@doors.add(
    "POST", f"{_PATH}/dismiss", scope="p", body=ReactionForm, body_required=False, answer=Heard, errors=(404, 429)
)
async def dismiss(request: Request, shop: ShopDep, request_id: RequestId) -> Response:
    """A suggestion was waved away: it does not come back to this user"""
    return await _react(shop, request_id, "dismiss", await _item(request))


@doors.add("POST", f"{_PATH}/feedback", scope="p", body=RatingForm, answer=Heard, errors=_FAILS)
async def rate(request: Request, shop: ShopDep, request_id: RequestId) -> Response:
    """Stars for a suggestion, or for all that the answer held"""
    form = await read(request, RatingForm)
    return await _react(shop, request_id, "rating", form.item_id, form)


async def _item(request: Request) -> str | None:
    return (await read(request, ReactionForm)).item_id if await request.body() else None


async def _react(
    shop: Shop, request_id: str, reaction: Reaction, item_id: str | None, form: RatingForm | None = None
) -> Response:
    shown = await shop.slatelog.find(request_id)
    rating, comment = (None, None) if form is None else (form.rating, form.comment)
    events = reactions(shown, reaction, item_id, rating=rating, comment=comment)
    if events:
        done = await asyncio.wrap_future(shop.log.append(events))
        if done.rejected:
            raise Invalid(done.rejected[0].reason, code="bad_feedback")
    return reply(Heard(True))
