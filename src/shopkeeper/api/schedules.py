"""Schedules: what the shop does by itself, when, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Request, Response
from msgspec import Meta, Struct, field

from shopkeeper.api.access import Caller, demand
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, Queued, ShopDep, queued, reply
from shopkeeper.api.forms import Name
from shopkeeper.api.users import IfMatch
from shopkeeper.core.schedules import Schedule
from shopkeeper.stores.etags import etag

doors = Doors("Schedules")


class ScheduleChange(Struct, kw_only=True):
    """`cron`: minute hour day month weekday, in the shop's time zone. `condition`: what must hold besides the time."""

    cron: Annotated[str, Meta(max_length=128)]
    kind: Name
    params: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] | None = None
    enabled: bool = True
    retries: Annotated[int, Meta(ge=0, le=100)] = 3
    retry_wait_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0

    def named(self, name: str) -> Schedule:
        return Schedule(name=name, **{one: getattr(self, one) for one in ScheduleChange.__struct_fields__})


class ScheduleForm(ScheduleChange, kw_only=True):
    name: Name


@doors.add("GET", "/api/v1/schedules", scope="r", answer=Page[Schedule])
async def list_schedules(shop: ShopDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """All schedules, by name"""
    return reply(Page(*await asyncio.to_thread(shop.schedules.list, limit=limit, cursor=cursor)))


@doors.add("POST", "/api/v1/schedules", scope="o", status=201, body=ScheduleForm, answer=Schedule, errors=(409, 429))
async def create_schedule(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes a schedule"""
    form = await read(request, ScheduleForm)
    _allow(caller, form)
    made = await asyncio.to_thread(shop.schedules.create, form.named(form.name), by=caller.name)
    return reply(made, 201, {"etag": etag(made.updated_at), "location": f"/api/v1/schedules/{made.name}"})


@doors.add("GET", "/api/v1/schedules/{name}", scope="r", answer=Schedule, errors=(404,))
async def get_schedule(shop: ShopDep, name: Id) -> Response:
    """One schedule with what its last runs left"""
    found = await asyncio.to_thread(shop.schedules.get, name)
    return reply(found, headers={"etag": etag(found.updated_at)})


@doors.add("PUT", "/api/v1/schedules/{name}", scope="o", body=ScheduleChange, answer=Schedule, errors=(404, 412, 429))
async def change_schedule(
    request: Request, shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None
) -> Response:
    """Says anew what a schedule does; the run under way goes on"""
    form = await read(request, ScheduleChange)
    _allow(caller, form)
    changed = await asyncio.to_thread(shop.schedules.change, form.named(name), if_match=if_match, by=caller.name)
    return reply(changed, headers={"etag": etag(changed.updated_at)})


@doors.add("DELETE", "/api/v1/schedules/{name}", scope="o", status=204, errors=(404, 412, 429))
async def delete_schedule(shop: ShopDep, name: Id, if_match: IfMatch = None) -> Response:
    """Takes a schedule away; a job that it has begun goes on"""
    await asyncio.to_thread(shop.schedules.delete, name, if_match=if_match)
    return Response(status_code=204)


@doors.add("POST", "/api/v1/schedules/{name}/run", scope="o", status=202, answer=Queued, errors=(404, 409, 429))
async def run_schedule(shop: ShopDep, caller: CallerDep, name: Id) -> Response:
    """Runs a schedule now, whatever its time, condition and `enabled` say"""
    job = await asyncio.to_thread(shop.schedules.run, name, by=caller.name)
    return queued(job.job_id)


def _allow(caller: Caller, form: ScheduleChange) -> None:
    """What leaves the shop needs the scope of the door that uploads a version. Raises Refused."""
    if form.kind == "upload" or form.params.get("upload") is not None:
        demand(caller, "a")
