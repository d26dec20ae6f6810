"""Operations: how the loops run, what was done lately, what the process takes, once or live; starting and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import Request, Response

from shopkeeper.api import standing
from shopkeeper.api.door import EVENT_STREAM, CallerDep, Doors, ShopDep, reply
from shopkeeper.api.stream import KEEP_ALIVE_S, Bell, Message, last_event_id, serve
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
from shopkeeper.operations.channels import Told
from shopkeeper.operations.controller import Deed
from shopkeeper.telemetry.resources import snapshot

doors = Doors("Operations")


class OperationsStatus(msgspec.Struct):
    ingestion: dict[str, Any]
    incremental_loop: dict[str, Any]
    history: list[Deed]


class OperationsMetrics(msgspec.Struct):
    refresh: dict[str, Any]
    fusion_training: dict[str, Any]
    hgt_training: dict[str, Any]
    ingestion: dict[str, Any]
    incremental_loop: dict[str, Any]
    resources: dict[str, Any]
    timestamp: str


class Switched(msgspec.Struct):
    """`status`: running or stopped."""

    message: str
    status: str


@doors.add("GET", "/api/v1/operations/status", scope="r", answer=OperationsStatus)
async def status(shop: ShopDep) -> Response:
    """The loops, and the last 20 things that were done"""
    history = await asyncio.to_thread(shop.operations.history)
    return reply(OperationsStatus(standing.ingestion(shop), standing.incremental_loop(shop), history))


@doors.add("GET", "/api/v1/operations/metrics", scope="r", answer=OperationsMetrics)
async def metrics(shop: ShopDep) -> Response:
    """The state of each channel, and what the process takes"""
    return reply(await _measured(shop))


@doors.add("POST", "/api/v1/operations/ingestion/start", scope="o", answer=Switched, errors=(409,))
async def start_ingestion(shop: ShopDep, caller: CallerDep) -> Response:
    """The shop's live source goes on; 409 in a shop that has none"""
    return reply(Switched(shop.operations.start_ingestion(caller.name), "running"))


@doors.add("POST", "/api/v1/operations/ingestion/stop", scope="o", answer=Switched)
async def stop_ingestion(shop: ShopDep, caller: CallerDep) -> Response:
    """The shop's live source stands still"""
    return reply(Switched(shop.operations.stop_ingestion(caller.name), "stopped"))


@doors.add("POST", "/api/v1/operations/incremental/start", scope="o", answer=Switched)
async def start_incremental(shop: ShopDep, caller: CallerDep) -> Response:
    """Vectors follow the events again; what came meanwhile is caught up with"""
    return reply(Switched(shop.operations.start_incremental(caller.name), "running"))


@doors.add("POST", "/api/v1/operations/incremental/stop", scope="o", answer=Switched)
async def stop_incremental(shop: ShopDep, caller: CallerDep) -> Response:
    """Vectors stay as they are"""
    return reply(Switched(shop.operations.stop_incremental(caller.name), "stopped"))


@doors.add("GET", "/api/v1/operations/stream", scope="r", answer=EVENT_STREAM)
async def stream(request: Request, shop: ShopDep) -> Response:
    """The same as it changes (SSE): first a snapshot, then what happened on each channel; resumed by Last-Event-ID"""
    after = last_event_id(request)
    return serve(_changes(shop, Bell(request.app.state.closing), after))


async def _changes(shop: Shop, bell: Bell, after: int | None) -> AsyncIterator[Message | None]:
    """Who comes back in time gets what it missed; anybody else begins with the present."""
    channels = shop.operations.channels
    unsubscribe = channels.subscribe(bell.ring)
    try:
        missed = None if after is None else channels.after(after)
        if after is None or missed is None:
            after = channels.last
            yield Message(await _measured(shop), id=after)
        while not (bell.closing.is_set() or channels.closed):
            told = channels.after(after)
            if told is None:  # a reader so slow that what it has not read is not kept: on with the present
                after = channels.last
                yield Message(await _measured(shop), id=after)
            elif told:
                for one in told:
                    yield Message(_change(shop, one), id=one.id)
                after = told[-1].id
            elif not await bell.wait(KEEP_ALIVE_S):
                yield None
    finally:
        unsubscribe()


def _change(shop: Shop, told: Told) -> dict[str, Any]:
    return {
        "channel": told.channel,
        "payload": told.payload,
        "timestamp": told.timestamp,
        "resources": snapshot(shop.clock),
    }


async def _measured(shop: Shop) -> OperationsMetrics:
    trainings = await asyncio.to_thread(shop.operations.trainings)
    return OperationsMetrics(
        **trainings,
        ingestion=standing.ingestion(shop),
        incremental_loop=standing.incremental_loop(shop),
        resources=snapshot(shop.clock),
        timestamp=rfc3339(shop.clock.wall()),
    )
