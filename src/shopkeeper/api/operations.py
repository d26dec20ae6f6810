"""Operations: how the loops run, what was done lately, what the process takes; also as a live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import Request, Response

from shopkeeper.api import standing
from shopkeeper.api.door import EVENT_STREAM, Doors, ShopDep, reply
from shopkeeper.api.stream import KEEP_ALIVE_S, Bell, Message, last_event_id, serve
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
from shopkeeper.profiles.fusing import NAME
from shopkeeper.telemetry.resources import snapshot

doors = Doors("Operations")
_EVERY_S = 1.0


class OperationsStatus(msgspec.Struct):
    ingestion: dict[str, Any]
    incremental_loop: dict[str, Any]
    history: list[dict[str, Any]]


class OperationsMetrics(msgspec.Struct):
    refresh: dict[str, Any]
    fusion_training: dict[str, Any]
    hgt_training: dict[str, Any]
    ingestion: dict[str, Any]
    incremental_loop: dict[str, Any]
    resources: dict[str, Any]
    timestamp: str


@doors.add("GET", "/api/v1/operations/status", scope="r", answer=OperationsStatus)
async def status(shop: ShopDep) -> Response:
    """The loops, and the last 20 things that were done"""
    jobs, _, _ = await asyncio.to_thread(shop.jobs.list, limit=20)
    history = [
        {"type": job.kind, "timestamp": job.created_at, "payload": {"job_id": job.job_id, "status": job.status}}
        for job in jobs
    ]
    return reply(OperationsStatus(standing.ingestion(shop), standing.incremental_loop(shop), history))


@doors.add("GET", "/api/v1/operations/metrics", scope="r", answer=OperationsMetrics)
async def metrics(shop: ShopDep) -> Response:
    """The state of each channel, and what the process takes"""
    return reply(await asyncio.to_thread(_measured, shop))


@doors.add("GET", "/api/v1/operations/stream", scope="r", answer=EVENT_STREAM)
async def stream(request: Request, shop: ShopDep) -> Response:
    """The same as it changes (SSE): first a snapshot, then what happened on each channel"""
    last_event_id(request)  # every message is the present state, so a resumed stream begins with it
    return serve(_changes(shop, Bell(request.app.state.closing)))


async def _changes(shop: Shop, bell: Bell) -> AsyncIterator[Message | None]:
    seen = shop.log.last_seq
    yield Message(await asyncio.to_thread(_measured, shop), id=seen)
    unsubscribe = shop.log.subscribe(bell.ring)
    try:
        while not bell.closing.is_set():
            if not await bell.wait(KEEP_ALIVE_S):
                yield None
                continue
            now, seen_before = shop.log.last_seq, seen
            if now > seen_before:
                seen = now
                payload = {"event": "stage", "accepted": now - seen_before, **standing.ingestion(shop)}
                yield Message(_change(shop, "ingestion", payload), id=now)
            await asyncio.sleep(_EVERY_S)
    finally:
        unsubscribe()


def _change(shop: Shop, channel: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "channel": channel,
        "payload": payload,
        "timestamp": rfc3339(shop.clock.wall()),
        "resources": snapshot(shop.clock),
    }


def _measured(shop: Shop) -> OperationsMetrics:
    return OperationsMetrics(
        refresh={"state": "idle"},
        fusion_training=standing.training(shop, NAME),
        hgt_training={"state": "idle"},
        ingestion=standing.ingestion(shop),
        incremental_loop=standing.incremental_loop(shop),
        resources=snapshot(shop.clock),
        timestamp=rfc3339(shop.clock.wall()),
    )
