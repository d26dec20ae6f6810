"""The simulated shop: what its world is made of, and making it anew."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, ShopDep, reply
from shopkeeper.api.waiting import Timeout, Wait, answered
from shopkeeper.core.records import Job
from shopkeeper.sources.simulator.config import BOUNDS, PER_VISIT_BOUNDS, SimConfig

doors = Doors("Data")


def _within(least: int, most: int) -> msgspec.Meta:
    return msgspec.Meta(ge=least, le=most)


_PerVisit = Annotated[int, _within(*PER_VISIT_BOUNDS)]


class SimForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the next world shall be made of. `min_` and `max_`: events of a type on a day of a visit, min <= max."""

    user_count: Annotated[int, _within(*BOUNDS["user_count"])]
    product_count: Annotated[int, _within(*BOUNDS["product_count"])]
    app_count: Annotated[int, _within(*BOUNDS["app_count"])]
    avg_events_per_user: Annotated[int, _within(*BOUNDS["avg_events_per_user"])]
    history_days: Annotated[int, _within(*BOUNDS["history_days"])]
    min_orders_per_user: _PerVisit = 1
    max_orders_per_user: _PerVisit = 3
    min_app_usages_per_user: _PerVisit = 1
    max_app_usages_per_user: _PerVisit = 3
    min_calls_per_user: _PerVisit = 0
    max_calls_per_user: _PerVisit = 2
    min_click_products_per_user: _PerVisit = 0
    max_click_products_per_user: _PerVisit = 5
    min_click_apps_per_user: _PerVisit = 0
    max_click_apps_per_user: _PerVisit = 5

    def config(self) -> SimConfig:
        """Raises Invalid where a least is above its most."""
        return SimConfig(**msgspec.structs.asdict(self))


class Configured(msgspec.Struct):
    message: str
    config: SimConfig


@doors.add("GET", "/api/v1/data/config", scope="r", answer=SimConfig, errors=(409,))
async def get_config(shop: ShopDep) -> Response:
    """What the next simulated world will be made of; that of the present one until another is asked for"""
    return reply(await asyncio.to_thread(shop.regeneration.config))


@doors.add("POST", "/api/v1/data/config", scope="o", body=SimForm, answer=Configured, errors=(409,))
async def put_config(request: Request, shop: ShopDep) -> Response:
    """Says what the next simulated world shall be made of"""
    config = (await read(request, SimForm)).config()
    await asyncio.to_thread(shop.regeneration.put_config, config)
    return reply(Configured("kept; POST /api/v1/data/regenerate makes the shop anew with it", config))


@doors.add("POST", "/api/v1/data/regenerate", scope="a", status=202, waited=Configured, errors=(409, 429))
async def regenerate(
    request: Request,
    shop: ShopDep,
    caller: CallerDep,
    seed: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Another seed, another world")] = None,
    wait: Wait = False,
    timeout_s: Timeout = 600,
) -> Response:
    """Throws the data of a simulated shop away, and all that was learned from it, and simulates other"""
    job = await asyncio.to_thread(shop.regeneration.submit, seed=seed, requested_by=caller.name)
    closing = request.app.state.closing
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=closing, told=_told)


def _told(job: Job) -> Any:
    result = job.result or {}
    return Configured(result["message"], msgspec.convert(result["config"], SimConfig))
