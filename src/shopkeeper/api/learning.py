"""Learning while the shop sells: online learners, and what reactions are worth."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Page, Queued, ShopDep, queued, reply
from shopkeeper.core.learning import Learning, OnlineSettings, TunedRewards
from shopkeeper.recommend.feedback import REWARDS
from shopkeeper.recommend.rewards.tuning import DAYS, EARLY_HOURS

doors = Doors("Learning")
_V1 = "/api/v1"


class RewardMap(msgspec.Struct):
    """Kind of feedback -> what it is worth; null: by the value that is given with it."""

    rewards: dict[str, float | None]


@doors.add("GET", f"{_V1}/learning", scope="r", answer=Page[Learning])
async def list_learners(shop: ShopDep) -> Response:
    """All online learners: rate, updates, drift"""
    found = await asyncio.to_thread(shop.online.all)
    return reply(Page(found, None, len(found)))


@doors.add("GET", f"{_V1}/learning/{{model}}", scope="r", answer=Learning, errors=(404,))
async def get_learner(shop: ShopDep, model: Id) -> Response:
    """One online learner"""
    return reply(await asyncio.to_thread(shop.online.get, model))


@doors.add("PUT", f"{_V1}/learning/{{model}}", scope="o", body=OnlineSettings, answer=Learning, errors=(409, 429))
async def put_learner(request: Request, shop: ShopDep, caller: CallerDep, model: Id) -> Response:
    """Lets a model of ftrl go on learning from what is served, or says anew how; what was learned stays"""
    settings = await read(request, OnlineSettings)
    return reply(await asyncio.to_thread(shop.online.put, model, settings, by=caller.name))


@doors.add("DELETE", f"{_V1}/learning/{{model}}", scope="o", status=204, errors=(404, 429))
async def delete_learner(shop: ShopDep, model: Id) -> Response:
    """Takes a learner away with what it has learned since its last version; versions stay"""
    await asyncio.to_thread(shop.online.remove, model)
    return Response(status_code=204)


@doors.add("POST", f"{_V1}/learning/{{model}}/snapshot", scope="o", status=202, answer=Queued, errors=(404, 409, 429))
async def snapshot_learner(shop: ShopDep, caller: CallerDep, model: Id) -> Response:
    """Begins to make a version of what a learner knows, measured beside the champion"""
    job = await asyncio.to_thread(shop.online.snapshot, model, by=caller.name)
    return queued(job.job_id)


@doors.add("GET", f"{_V1}/rewards", scope="r", answer=RewardMap)
async def get_rewards(_: ShopDep) -> Response:
    """What each kind of feedback is worth"""
    return reply(RewardMap(REWARDS))


@doors.add("GET", f"{_V1}/rewards/tuned", scope="r", answer=TunedRewards)
async def tune_rewards(
    shop: ShopDep,
    days: Annotated[int, Query(ge=1, le=90)] = DAYS,
    early_hours: Annotated[float, Query(gt=0, le=168)] = EARLY_HOURS,
) -> Response:
    """What each kind of early signal tells of an order within some days, by the shop's log; nothing is changed"""
    return reply(await asyncio.to_thread(shop.tuned_rewards, days, early_hours))
