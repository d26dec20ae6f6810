"""Segments: who is meant by a condition, now and at any time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec import UNSET

from shopkeeper.api.body import read
from shopkeeper.api.door import Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import SegmentChange, SegmentForm
from shopkeeper.api.users import IfMatch
from shopkeeper.core.clock import micros
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Segment
from shopkeeper.stores.etags import etag

doors = Doors("Segments")
Moment = datetime | None


class AllSegments(msgspec.Struct):
    segments: list[Segment]


class Member(msgspec.Struct):
    user_id: str
    entered_at: str


class Size(msgspec.Struct):
    time: str
    size: int


class History(msgspec.Struct):
    """`sizes` at every step; how many `entered` and `left` between from and to."""

    sizes: list[Size]
    entered: int
    left: int


class Stay(msgspec.Struct):
    """`left_at` null: still inside."""

    segment: str
    entered_at: str
    left_at: str | None = None


class Belonging(msgspec.Struct):
    segments: list[str]
    history: list[Stay]


@doors.add("GET", "/api/v1/segments", "/api/v1/personalization/segments", scope="r", answer=AllSegments)
async def list_segments(shop: ShopDep) -> Response:
    """All segments with their sizes"""
    await shop.segments.settle()
    return reply(AllSegments(shop.segments.all()))


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
    return await _told(shop, (await asyncio.wrap_future(made)).name, 201)


@doors.add("GET", "/api/v1/segments/{name}", scope="r", answer=Segment, errors=(404,))
async def get_segment(shop: ShopDep, name: Id) -> Response:
    """One segment with its size"""
    return await _told(shop, name)


@doors.add("PUT", "/api/v1/segments/{name}", scope="o", body=SegmentChange, answer=Segment, errors=(404, 412, 429))
async def change_segment(request: Request, shop: ShopDep, name: Id, if_match: IfMatch = None) -> Response:
    """Changes a segment; what is left out stays. Its members are found anew, and no webhook hears of that"""
    form = await read(request, SegmentChange)
    if form.name not in (UNSET, name):
        raise Invalid("a segment keeps its name; make a new one", field="name")
    given = {field: value for field in ("condition", "description") if (value := getattr(form, field)) is not UNSET}
    await asyncio.wrap_future(shop.profiles.segmentbook.update(name, **given, if_match=if_match))
    return await _told(shop, name)


@doors.add("DELETE", "/api/v1/segments/{name}", scope="o", status=204, errors=(404, 409, 412, 429))
async def delete_segment(shop: ShopDep, name: Id, if_match: IfMatch = None) -> Response:
    """Removes a segment; where its members have been is kept"""
    await asyncio.wrap_future(shop.profiles.segmentbook.delete(name, if_match=if_match))
    return Response(status_code=204)


@doors.add("GET", "/api/v1/segments/{name}/users", scope="r", answer=Page[Member], errors=(404,))
async def segment_users(
    shop: ShopDep, name: Id, at: Moment = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The users of a segment, now or at a time"""
    if at is not None:
        return reply(Page(*await asyncio.to_thread(shop.segments.members_at, name, _us(at, "at"), limit, cursor)))
    await shop.segments.settle()
    return reply(Page(*shop.segments.members(name, limit, cursor)))


@doors.add("GET", "/api/v1/segments/{name}/export", scope="a", answer="text/csv", errors=(404,))
async def export_segment(shop: ShopDep, name: Id, format: Literal["csv"] = "csv") -> Response:
    """The users of a segment as a file, without those who refuse marketing"""
    del format  # there is this one only
    await shop.segments.settle()
    lines = shop.segments.export(name)
    headers = {"content-disposition": 'attachment; filename="segment.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@doors.add("GET", "/api/v1/segments/{name}/history", scope="r", answer=History, errors=(404,))
async def segment_history(
    shop: ShopDep,
    name: Id,
    from_: Annotated[Moment, Query(alias="from")] = None,
    to: Moment = None,
    step: Annotated[str, Query(max_length=8)] = "1d",
) -> Response:
    """How the size of a segment went; without bounds the last 30 days"""
    start, end = (None if time is None else _us(time, field) for time, field in ((from_, "from"), (to, "to")))
    return reply(await asyncio.to_thread(shop.segments.history, name, start, end, step))


@doors.add("GET", "/api/v1/user/{user_id}/segments", scope="r", answer=Belonging, errors=(404,))
async def user_segments(shop: ShopDep, user_id: Id, history: bool = False) -> Response:
    """The segments of a user; with `history` also those of the past, newest first"""
    await shop.segments.settle()
    segments = shop.profiles.segments_of(user_id)
    row = shop.vocab.users.row(user_id)
    if row is None:
        raise NotFound(f"no user {user_id!r}", code="unknown_user", field="user_id")
    told = history and shop.consents.allows(row, "profiling")
    stays = await asyncio.to_thread(shop.segments.spans_of, row) if told else []
    return reply({"segments": segments, "history": stays})


async def _told(shop: ShopDep, name: str, status: int = 200) -> Response:
    await shop.segments.settle()
    segment = shop.segments.get(name)
    return reply(segment, status, {"etag": etag(segment.updated_at)})


def _us(time: datetime, field: str) -> int:
    if time.tzinfo is None:
        raise Invalid(f"{field} has no time zone; write it like 2026-01-31T12:00:00Z", field=field)
    return micros(time)
