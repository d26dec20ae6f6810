"""The first models of a shop, trained while it serves: one bar a model, and a failure stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shopkeeper.cli.screen import Screen
from shopkeeper.core.errors import Busy
from shopkeeper.core.records import FINISHED, Job

if TYPE_CHECKING:
    from shopkeeper.bootstrap import FirstModel, Shop

_LOOK_S = 0.3


async def train_missing(shop: Shop, screen: Screen, until: asyncio.Future[Any]) -> list[Job]:
    """Trains the first models of which none serves: there is no champion yet, or this release cannot read it. Ends
    early, leaving the jobs, when `until` is done."""
    jobs = await asyncio.to_thread(_begin, shop)
    if not jobs:
        return []
    screen.note(f"training {len(jobs)} model{'s' * (len(jobs) > 1)}; the shop answers meanwhile, with what it has")
    ended = await _watch(shop, screen, jobs, until)
    for job in ended:
        if job.status == "failed":
            screen.note(f"[yellow]{job.params['model']} could not be trained: {job.error}[/]")
    return ended


def _begin(shop: Shop) -> list[Job]:
    serving = {one.version.model for one in shop.serving.loaded()}
    unreadable = {one.name for one in shop.registry.models() if "champion" in one.aliases} - serving
    return [_submit(shop, one, unreadable) for one in shop.first_models() if one.model not in serving]


def _submit(shop: Shop, one: FirstModel, unreadable: set[str]) -> Job:
    """A champion that cannot be read cannot be measured either, and the gate would hold its place for it."""
    try:
        return shop.train_first(one, requested_by="up", evaluate=one.model not in unreadable)
    except Busy as busy:  # left over from the last time: it goes on by itself
        return shop.jobs.get(busy.job_id)


async def _watch(shop: Shop, screen: Screen, jobs: list[Job], until: asyncio.Future[Any]) -> list[Job]:
    if screen.as_json:
        return await _finished(shop, jobs, until, lambda _: None)
    from shopkeeper.cli.watch import progress_bars

    with progress_bars(screen) as bars:
        tasks = {job.job_id: bars.add_task(job.params["model"], total=None) for job in jobs}

        def look(job: Job) -> None:
            step, name = job.progress, job.params["model"]
            if job.status == "done":
                gate = ((job.result or {}).get("gate") or {}).get("verdict", "")
                bars.update(tasks[job.job_id], total=1, completed=1, description=f"{name}  {gate.lower()}")
            else:
                text = f"{name}  [dim]{step.message or job.status}[/]"
                bars.update(tasks[job.job_id], total=step.of or None, completed=step.step, description=text)

        return await _finished(shop, jobs, until, look)


async def _finished(shop: Shop, jobs: list[Job], until: asyncio.Future[Any], look: Callable[[Job], None]) -> list[Job]:
    while True:
        now = [await asyncio.to_thread(shop.jobs.get, job.job_id) for job in jobs]
        for job in now:
            look(job)
        if until.done() or all(job.status in FINISHED for job in now):
            return now
        await asyncio.sleep(_LOOK_S)
