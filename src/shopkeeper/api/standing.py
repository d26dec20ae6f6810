"""How the shop stands: what it serves, what it still lacks, how its loops run."""

from __future__ import annotations

from typing import Any

from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import moment, rfc3339
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.pinning import names_in

_BEHIND = 10_000
_TRAININGS = 200
_EPOCHS = 200


def served(shop: Shop) -> list[Version]:
    """The versions that are loaded and answer, by model."""
    return sorted((one.version for one in shop.serving.loaded()), key=lambda version: (version.model, version.scope))


def lacking(shop: Shop) -> list[str]:
    """Why the shop is not ready; empty when it is."""
    reasons = list(shop.unpinned)
    if shop.following.position < shop.log.last_seq - _BEHIND:
        reasons.append(f"{shop.log.last_seq - shop.following.position} events are not read yet")
    serving = {version.model for version in served(shop)}
    # The sample model only shows how to ask: a shop is ready without it, as without what is optional.
    first = tuple(one.model for one in shop.first_models() if not (one.sample or one.optional))
    required = names_in(shop.settings.enabled_models) or first
    missing = [model for model in required if model not in serving]
    if missing:
        reasons.append(f"not trained yet: {', '.join(missing)}")
    return reasons


def ingestion(shop: Shop) -> dict[str, Any]:
    """The live stream and the log behind it."""
    live = shop.live
    newest = shop.log.recent(limit=1)
    return {
        "running": live is not None and not live.paused and not live.state.ended,
        "pending_events": shop.log.last_seq - shop.following.position,
        "cached_users": len(shop.vocab.users),
        "events": shop.log.last_seq,
        "users": len(shop.vocab.users),
        "items": len(shop.vocab.items),
        "last_event_at": newest[0].time if newest else None,
        "started_at": rfc3339(shop.started_at) if shop.started_at else None,
        "shop_time": rfc3339(shop.clock.now()),
    }


def incremental_loop(shop: Shop) -> dict[str, Any]:
    """The followers of the log: what keeps profiles, windows and sales up to date."""
    return {
        "running": shop.started_at is not None,
        "started_at": rfc3339(shop.started_at) if shop.started_at else None,
        "stopped_at": None,
        "processed_batches": None,
        "processed_events": shop.following.position,
        "last_batch_at": None,
    }


def training(shop: Shop, model: str) -> dict[str, Any]:
    """The newest training of a model among the newest of all: `{state: idle}` without one, else the status of its job,
    its present stage and epoch, the `loss` of its last epochs (oldest first) and how long it took."""
    jobs, _, _ = shop.jobs.list(kind="train", limit=_TRAININGS)
    job = next((job for job in jobs if job.params.get("model") == model), None)
    if job is None:
        return {"state": "idle"}
    epochs = [event.data for event in shop.jobs.events(job.job_id) if event.type == "epoch"]
    began, ended = job.started_at, job.finished_at or moment(shop.clock.wall())
    return {
        "state": job.status,
        "job_id": job.job_id,
        "stage": job.progress.message,
        "epoch": epochs[-1]["epoch"] if epochs else None,
        "loss": [epoch["metrics"].get("loss") for epoch in epochs[-_EPOCHS:]],
        "started_at": began,
        "finished_at": job.finished_at,
        "duration_seconds": None if began is None else (ended - began).total_seconds(),
        "error": job.error,
    }
