"""Jobs: list, look, cancel, read logs, and watch live over SSE or WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response, WebSocket, WebSocketDisconnect

from shopkeeper.api.access import NOBODY, Caller, demand
from shopkeeper.api.body import decode
from shopkeeper.api.door import EVENT_STREAM, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.stream import KEEP_ALIVE_S, Message, last_event_id, serve
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Job, JobEvent

doors = Doors("Jobs")
_LOOK_S = 1.0  # how soon a silent stream notices that the server closes
Status = Literal["queued", "running", "done", "failed", "cancelled"]


@doors.add("GET", "/api/v1/jobs", scope="r", answer=Page[Job])
async def list_jobs(
    shop: ShopDep,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    status: Status | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Jobs, newest first."""
    jobs, after, total = await asyncio.to_thread(shop.jobs.list, kind=kind, status=status, limit=limit, cursor=cursor)
    return reply(Page(jobs, after, total))


@doors.add("GET", "/api/v1/jobs/{job_id}", scope="r", answer=Job, errors=(404,))
async def get_job(shop: ShopDep, job_id: Id) -> Response:
    """One job with its progress, result or error."""
    return reply(shop.jobs.get(job_id))


@doors.add("POST", "/api/v1/jobs/{job_id}/cancel", scope="o", status=202, answer=Job, errors=(404, 409, 429))
async def cancel_job(shop: ShopDep, job_id: Id) -> Response:
    """Asks a job to stop."""
    job = await asyncio.to_thread(shop.jobs.cancel, job_id)
    return reply(job, 202)


@doors.add("GET", "/api/v1/jobs/{job_id}/logs", scope="r", answer="text/plain", errors=(404,))
async def job_logs(shop: ShopDep, job_id: Id, tail: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Response:
    """The last lines that a job wrote."""
    text = await asyncio.to_thread(shop.jobs.logs, job_id, tail)
    return Response(text, media_type="text/plain; charset=utf-8")


@doors.add("GET", "/api/v1/jobs/{job_id}/events", scope="r", answer=EVENT_STREAM, errors=(404,))
async def job_events(request: Request, shop: ShopDep, job_id: Id) -> Response:
    """A job's messages as they come (SSE), resumed by Last-Event-ID."""
    job = shop.jobs.get(job_id)
    after = last_event_id(request)
    first = [Message(job, "snapshot")] if after is None else []
    return serve(messages(shop, job_id, after or 0, request.app.state.closing, first))


async def messages(
    shop: Shop, job_id: str, after: int, closing: asyncio.Event, first: list[Message]
) -> AsyncIterator[Message | None]:
    """`first`, then the job's messages after a number, until it is done or the server closes; None: still here."""
    for message in first:
        yield message
    silent_s = 0.0
    async for event in shop.jobs.follow(job_id, after, idle_s=_LOOK_S):
        if event is not None:
            yield Message(_wire(event), event.type, event.seq)
        silent_s = 0.0 if event is not None else silent_s + _LOOK_S
        if closing.is_set():
            return
        if silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield None


def _wire(event: JobEvent) -> dict[str, Any]:
    return {
        "type": event.type,
        "seq": event.seq,
        "job_id": event.job_id,
        "timestamp": event.timestamp,
        "data": event.data,
    }


async def watch(socket: WebSocket, job_id: str) -> None:
    """The same over a WebSocket: a snapshot, then messages; `?after=seq` resumes; close 1000 after done."""
    shop: Shop = socket.app.state.shop
    await socket.accept()
    try:
        await _identify(socket)
        after = _after(socket.query_params.get("after"))
        await _send(socket, {"type": "snapshot", "job": shop.jobs.get(job_id)})
        await _relay(socket, shop, job_id, after)
        await socket.close(1000)
    except ShopkeeperError as error:
        await _send(socket, {"type": "error", "message": error.message, "code": error.code})
        await socket.close(1008)
    except WebSocketDisconnect:
        return


async def _relay(socket: WebSocket, shop: Shop, job_id: str, after: int) -> None:
    """Sends until the job is done or the client leaves."""

    async def send_all() -> None:
        async for message in messages(shop, job_id, after, socket.app.state.closing, []):
            if message is not None:
                await _send(socket, message.data)

    async def until_gone() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    sending, gone = asyncio.ensure_future(send_all()), asyncio.ensure_future(until_gone())
    finished, waiting = await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if gone in finished:
        raise WebSocketDisconnect
    sending.result()


async def _identify(socket: WebSocket) -> None:
    """A browser cannot set headers: it sends `{"api_key": ...}` first. Raises Refused."""
    caller: Caller = socket.scope.get("caller", NOBODY)
    if caller is NOBODY:
        first = decode((await socket.receive_text()).encode(), dict[str, Any])
        caller = socket.app.state.access.by_key(str(first.get("api_key", "")).encode())
    demand(caller, "r")


def _after(given: str | None) -> int:
    return int(given) if given is not None and given.isdecimal() and len(given) <= 18 else 0


async def _send(socket: WebSocket, value: Any) -> None:

    await socket.send_text(msgspec.json.encode(value).decode())
