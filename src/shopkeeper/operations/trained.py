"""What a training has come to, told as operators ask for it."""

from __future__ import annotations

from typing import Any

import msgspec

from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.profiles.graph.measures import by_relation
from shopkeeper.profiles.graph.storing import SUMMARY


def outcome(job: Job) -> str:
    """`hgt v3 is champion`, or why not."""
    model = job.params["model"]
    if job.status != "done" or job.result is None:
        return f"{model} was not trained: {why_not(job)}"
    version = f"{model} v{job.result['version']}"
    if job.result["promoted"]:
        return f"{version} is champion"
    return f"{version} is kept beside the champion: {job.result['why_not']}"


def why_not(job: Job) -> str:
    """Why a finished job has no result."""
    return job.error or "it was asked to stop"


def fusion_metrics(job: Job) -> dict[str, Any]:
    """`{trained, samples, epochs, final_loss}` and the measures; not trained: `{trained: false, reason}`."""
    if job.status != "done" or job.result is None:
        return {"trained": False, "reason": why_not(job)}
    result, measures = job.result, dict(job.result["metrics"])
    counts = {name: int(measures.pop(name)) for name in ("samples", "epochs")}
    return {"trained": True, **counts, **measures, "promoted": result["promoted"], "version": result["version"]}


def summary(job: Job, registry: Registry) -> dict[str, Any]:
    """Of a finished training of a graph model: what its version keeps of it, how the gate saw it, the parameters."""
    result = job.result or {}
    told: dict[str, Any] = {"loss_history": [], "val_metrics": {}, "edge_statistics": {}}
    try:
        folder = registry.folder(registry.version(job.params["model"], result["version"], job.params["scope"]))
        told |= msgspec.json.decode((folder / SUMMARY).read_bytes(), type=dict[str, Any])
    except (NotFound, OSError):  # cleaned up meanwhile: the measures are in the job
        told["graph_path"] = None
    else:
        told["graph_path"] = str(folder)
    if job.started_at is not None and job.finished_at is not None:
        told["duration_seconds"] = (job.finished_at - job.started_at).total_seconds()
    return {
        **told,
        "test_metrics": by_relation(result["metrics"]),
        **result["params"],
        "seed": result["seed"],
        "version": result["version"],
        "promoted": result["promoted"],
        "metrics": result["metrics"],
    }
