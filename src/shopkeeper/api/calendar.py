"""The calendar: promotions, holidays and closed days, past and planned. A change counts from the next forecast on."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from msgspec import Meta, Struct, field

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import IsoDay
from shopkeeper.api.page import cut
from shopkeeper.core.days import day_number
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import CalendarEntry

doors = Doors("Stock")
_PATH = "/api/v1/calendar"
_Kind = Literal["promotion", "holiday", "closed"]
_Ids = Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=10_000)]


class EntryForm(Struct, kw_only=True):
    """From one local day to another, both included. `item_ids`, `store_ids` left out: all. `discount`: the share of the
    price that a promotion takes off. `id` may be given back as it was read; it is not changed."""

    kind: _Kind
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    from_: IsoDay = field(name="from")
    to: IsoDay
    item_ids: _Ids | None = None
    store_ids: _Ids | None = None
    discount: Annotated[float, Meta(ge=0, le=1)] | None = None
    id: str | None = None

    def entry(self) -> CalendarEntry:
        facts = {name: getattr(self, name) for name in self.__struct_fields__ if name != "id"}
        return CalendarEntry(**facts)


Day = Annotated[str | None, Query(max_length=10, json_schema_extra={"format": "date"})]


@doors.add("GET", _PATH, scope="r", answer=Page[CalendarEntry])
async def list_entries(
    shop: ShopDep,
    from_: Annotated[str | None, Query(alias="from", max_length=10, json_schema_extra={"format": "date"})] = None,
    to: Day = None,
    kind: _Kind | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Entries that touch the days from `from` to `to`, by first day"""
    found = shop.calendar.list(_day(from_, "from"), _day(to, "to"), kind)
    return reply(cut(found, limit, cursor))


@doors.add("POST", _PATH, scope="o", status=201, body=EntryForm, answer=CalendarEntry, errors=(409, 429))
async def add_entry(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Enters a promotion, a holiday or closed days"""
    form = await read(request, EntryForm)
    made = await asyncio.wrap_future(shop.calendar.add(form.entry(), by=caller.name))
    return reply(made, 201, {"location": f"{_PATH}/{made.id}"})


@doors.add("PUT", f"{_PATH}/{{id}}", scope="o", body=EntryForm, answer=CalendarEntry, errors=(404, 429))
async def put_entry(request: Request, shop: ShopDep, caller: CallerDep, id: Id) -> Response:
    """Says an entry anew"""
    form = await read(request, EntryForm)
    return reply(await asyncio.wrap_future(shop.calendar.put(id, form.entry(), by=caller.name)))


@doors.add("DELETE", f"{_PATH}/{{id}}", scope="o", status=204, errors=(404, 429))
async def delete_entry(shop: ShopDep, id: Id) -> Response:
    """Takes an entry away"""
    await asyncio.wrap_future(shop.calendar.delete(id))
    return Response(status_code=204)


def _day(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return day_number(date.fromisoformat(text))
    except ValueError as error:
        raise Invalid(f"{name} is {text[:40]!r}, expected a date such as 2024-12-24", field=name) from error
