"""Segments: who is meant by a condition."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import SegmentForm
from shopkeeper.core.records import Segment
from shopkeeper.stores.etags import etag

doors = Doors("Segments")


class Segments(msgspec.Struct):
    segments: list[Segment]


class Member(msgspec.Struct):
    user_id: str
    entered_at: str | None = None


@doors.add("GET", "/api/v1/segments", "/api/v1/personalization/segments", scope="r", answer=Segments)
async def list_segments(shop: ShopDep) -> Response:
    """All segments with their sizes"""
    return reply(Segments(shop.profiles.segments()))


@doors.add(
    "POST",
    "/api/v1/segments",
    "/api/v1/personalization/segments",
    scope="o",
    status=201,
    body=SegmentForm,
    answer=Segment,
    errors=(409, 429),
)
async def create_segment(request: Request, shop: ShopDep) -> Response:
    """Makes a segment"""
    form = await read(request, SegmentForm)
    made = shop.profiles.segmentbook.create(form.name, form.condition, description=form.description)
    stored = await asyncio.wrap_future(made)
    return reply(stored, 201, {"etag": etag(stored.updated_at)})


@doors.add("GET", "/api/v1/segments/{name}/users", scope="r", answer=Page[Member], errors=(404,))
async def segment_users(shop: ShopDep, name: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The users of a segment"""
    return reply(Page(*shop.profiles.segment_members(name, limit, cursor)))
