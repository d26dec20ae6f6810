"""`?wait=true`: the answer waits for the job, so that a script needs one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Response

from shopkeeper.api.door import queued, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import FINISHED, Job
from shopkeeper.operations.trained import why_not

Wait = Annotated[bool, Query(description="Answer when the job has ended, with its result")]
Timeout = Annotated[int, Query(ge=1, le=3600, description="How long to wait; then 202, and the job goes on")]


async def answered(
    shop: Shop,
    job_id: str,
    *,
    wait: bool,
    timeout_s: int,
    closing: asyncio.Event,
    told: Callable[[Job], Any] = lambda job: job.result,
) -> Response:
    """The job's result as `told`, or 202 with its address. Raises Conflict (`job_failed`, `job_cancelled`)."""
    if wait:
        await ended(shop, job_id, timeout_s, closing)
    job = shop.jobs.get(job_id)
    if not wait or job.status not in FINISHED:
        return queued(job_id)
    if job.status != "done":
        raise Conflict(f"job {job_id} {job.status}: {why_not(job)}", code=f"job_{job.status}")
    return reply(told(job))


async def ended(shop: Shop, job_id: str, timeout_s: int, closing: asyncio.Event) -> None:
    """Returns when the job has ended, the time is over, or the server closes."""
    try:
        async with asyncio.timeout(timeout_s):
            async for _ in shop.jobs.follow(job_id, idle_s=1.0):
                if closing.is_set():
                    return
    except TimeoutError:
        return
