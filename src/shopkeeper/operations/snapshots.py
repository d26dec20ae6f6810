"""How the newest job of a channel stands: what operators look at while it runs, and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService

_JOBS = 200
_EPOCHS = 200


def newest(jobs: JobService, kind: str, which: Callable[[Job], bool] = lambda _: True) -> Job | None:
    """Among the newest two hundred of its kind."""
    return next((job for job in jobs.list(kind=kind, limit=_JOBS)[0] if which(job)), None)


def training(jobs: JobService, clock: Clock, model: str) -> dict[str, Any]:
    """Of the newest training of a model, see `state_of`."""
    return state_of(jobs, clock, newest(jobs, "train", lambda job: job.params.get("model") == model))


def state_of(jobs: JobService, clock: Clock, job: Job | None) -> dict[str, Any]:
    """`{state: idle}` without a job, else its status, its present stage and epoch (a job that failed: where), the
    `loss` of its last 200 epochs (oldest first) and how long it took."""
    if job is None:
        return {"state": "idle"}
    epochs = [event.data for event in jobs.events(job.job_id) if event.type == "epoch"]
    began, ended = job.started_at, job.finished_at or moment(clock.wall())
    return {
        "state": job.status,
        "job_id": job.job_id,
        "stage": "" if job.status == "done" else job.progress.message,
        "percent": 100.0 if job.status == "done" else job.progress.percent,
        "epoch": epochs[-1]["epoch"] if epochs else None,
        "loss": [epoch["metrics"].get("loss") for epoch in epochs[-_EPOCHS:]],
        "started_at": began,
        "finished_at": job.finished_at,
        "duration_seconds": None if began is None else (ended - began).total_seconds(),
        "error": job.error,
    }


def refreshed(jobs: JobService, clock: Clock, kind: str) -> dict[str, Any]:
    """Of the newest refresh; when it is done, with what it has come to."""
    job = newest(jobs, kind)
    if job is None:
        return {"state": "idle"}
    told = state_of(jobs, clock, job)
    del told["epoch"], told["loss"]
    result = job.result or {}
    kept = ("message", "node_counts", "retrain_loss", "fusion_training", "seconds")
    return {**told, "mode": job.params.get("mode"), **{name: result[name] for name in kept if name in result}}
