"""A release step by step: more and more of the requests go to a version until it is the champion.

The job kind `release` keeps the time in its child and says the next share; the shop's process sets it. When the guard
has taken the version out, the next step finds it gone and the job fails with the guard's reason: nothing goes back in.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shopkeeper.core.errors import Conflict, Invalid, Stale
from shopkeeper.core.protocols import JobContext
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.splits import Split, Variant
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.lifecycle.versions import check_gate
from shopkeeper.stores import traffic as table
from shopkeeper.stores.sql import Database

_TICK_S = 0.2
Share = Annotated[float, Meta(gt=0, le=1)]


class Steps(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Shares in rising order, each kept for `step_s`; after the last the version is promoted.

    `force`: whatever the gate says.
    """

    steps: Annotated[list[Share], Meta(min_length=1, max_length=20)] = msgspec.field(
        default_factory=lambda: [0.1, 0.25, 0.5]
    )
    step_s: Annotated[float, Meta(ge=0, le=86_400)] = 300.0
    force: bool = False


def release(ctx: JobContext) -> dict[str, Any]:
    """In the child: say each share, wait, say the next. `done` in the parameters: shares that were set before."""
    plan = read_steps(ctx.params["config"])
    steps = plan.steps[int(ctx.params.get("done", 0)) :]
    for number, share in enumerate(steps):
        ctx.emit({"share": share})
        _wait(ctx, plan.step_s, number, len(steps), share)
    return {"model": ctx.params["model"], "version": ctx.params["version"]}


def read_steps(config: Any) -> Steps:
    """Raises Invalid."""
    try:
        plan = msgspec.convert(config, Steps)
    except msgspec.ValidationError as error:
        raise Invalid(f"config: {error}", code="bad_config", field="config") from error
    if plan.steps != sorted(plan.steps):
        raise Invalid(
            "the steps of a release must rise, like [0.1, 0.25, 0.5]", code="bad_config", field="config.steps"
        )
    return plan


class Gradual:
    """Hooks itself to the job kind `release`; make it before the jobs start."""

    def __init__(self, jobs: JobService, db: Database, registry: Registry, traffic: Traffic) -> None:
        self._jobs = jobs
        self._db = db
        self._registry = registry
        self._traffic = traffic
        jobs.on_start("release", self._where)
        jobs.on_message("release", self._step)
        jobs.on_finish("release", self._promote)

    def release(
        self, model: str, version: str | int, *, config: Any = None, scope: str = "all", reason: str = "", by: str = ""
    ) -> Job:
        """Begin a release. Raises NotFound, Invalid (config), Conflict (the gate, no champion yet), Busy."""
        plan = read_steps(config or {})
        chosen = self._registry.version(model, version, scope)
        champion = self._registry.model(model, scope).aliases.get(CHAMPION)
        if champion is None:
            raise Conflict(f"model {model!r} has no champion to release from; promote it", code="no_champion")
        if champion == chosen.version:
            raise Conflict(f"{model} v{champion} is the champion already", code="champion")
        if not plan.force:
            check_gate(chosen, champion)
        params = {
            "model": model,
            "version": chosen.version,
            "scope": scope,
            "config": msgspec.to_builtins(plan),
            "reason": reason,
        }
        return self._jobs.submit("release", params, requested_by=by, work_key=f"release:{model}:{scope}")

    def _where(self, job: Job) -> dict[str, Any]:
        """Steps that were set before the shop's process ended: the next attempt goes on with the last of them."""
        _, now = self._traffic.stored(job.params["model"], job.params["scope"])
        share = _share(now, job.params["version"])
        steps = job.params["config"]["steps"]
        return {"done": max(0, sum(step <= share + 1e-9 for step in steps) - 1)} if share is not None else {"done": 0}

    def _step(self, job: Job, message: dict[str, Any]) -> None:
        model, scope, version = job.params["model"], job.params["scope"], job.params["version"]
        tag, now = self._traffic.stored(model, scope)
        champion = self._registry.model(model, scope).aliases.get(CHAMPION)
        if champion == version and not self._begun(job):
            return
        if champion in (None, version) or (self._begun(job) and _share(now, version) is None):
            raise Conflict(f"the release ends: {self._why(job)}", code="taken_out")
        share = float(message["share"])
        split = Split(variants=[Variant(version=champion, weight=1 - share), Variant(version=version, weight=share)])
        why = f"release to {share:.0%}, job {job.job_id}"
        try:
            self._traffic.set_split(model, split, scope=scope, by=job.requested_by, reason=why, if_match=tag)
        except Stale:  # the guard took it out, or somebody promoted another, in this moment: look again
            self._step(job, message)

    def _promote(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        del result
        model, scope, version = job.params["model"], job.params["scope"], job.params["version"]
        if self._registry.model(model, scope).aliases.get(CHAMPION) == version:
            return {"promoted": True}
        if _share(self._traffic.stored(model, scope)[1], version) is None:
            raise Conflict(f"the release ends: {self._why(job)}", code="taken_out")
        why = job.params["reason"] or f"released step by step, job {job.job_id}"
        force = bool(job.params["config"]["force"])
        self._registry.promote(model, version, scope=scope, force=force, reason=why, by=job.requested_by)
        return {"promoted": True}

    def _begun(self, job: Job) -> bool:
        """Whether this job has shared the requests before, in this process or an earlier one."""
        with self._db.read() as connection:
            return table.mentioned(connection, job.params["model"], job.params["scope"], job.job_id)

    def _why(self, job: Job) -> str:
        with self._db.read() as connection:
            change = table.current(connection, job.params["model"], job.params["scope"], "split")
        said = change.reason if change is not None and change.reason else "somebody changed the traffic"
        return f"v{job.params['version']} is in no split any more ({said})"


def _share(split: Split, version: int) -> float | None:
    """What a version gets; None when it is not in the split."""
    return next((one.weight for one in split.variants if one.version == version), None)


def _wait(ctx: JobContext, seconds: float, step: int, of: int, share: float) -> None:
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        ctx.report(int(1000 * (step + passed / seconds)), 1000 * of, message=f"{share:.0%} of the requests")
        time.sleep(min(_TICK_S, seconds - passed))
