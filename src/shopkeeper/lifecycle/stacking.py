"""The job kind `stack`: learn how to combine several versions of one model, and share its requests that way.

The untouched rows of a training are halved: on the first half a logistic regression over the members' logits is fitted
(Wolpert 1992, stacked generalization), on the second half members, mean and stack are measured beside each other. The
stack takes over only when it is better than the champion alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper import plugins
from shopkeeper.core.errors import Conflict, Invalid, ShopkeeperError
from shopkeeper.core.protocols import JobContext, Labelled, TrainingContext
from shopkeeper.core.records import FileEntry, Job
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.reporting import within
from shopkeeper.lifecycle.sourcing import SourceAccess
from shopkeeper.lifecycle.splits import MOST_VARIANTS, Split, Stack, Variant
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.quality import classification

_RIDGE = 1e-3
_STEPS = 50
Array = NDArray[np.float64]


class Member(msgspec.Struct, kw_only=True):
    """A version that takes part; its folder is read, never written."""

    version: int
    algorithm: str
    params: dict[str, Any]
    folder: str
    files: list[FileEntry]


def stack(ctx: JobContext) -> dict[str, Any]:
    """In the child: `{stack, metrics: {champion, mean, stack, v1, ...: {auc, log_loss}}, rows, better}`."""
    members = msgspec.convert(ctx.params["members"], list[Member])
    trainer = plugins.algorithm(members[0].algorithm)
    family = plugins.family(trainer.family)
    if not isinstance(family, Labelled):
        raise Invalid(f"models of the family {trainer.family!r} give no probabilities to stack", code="not_stackable")
    params = plugins.read_params(trainer, members[0].params)
    data = family.data(_context(ctx), params, within(ctx.report, 0, 70))
    said, true = [], np.empty(0)
    for done, member in enumerate(members):
        ctx.report(70 + 25 * done // len(members), 100, message=f"asking v{member.version}")
        model, _ = load_model(member.algorithm, Path(member.folder), member.files)
        told, label = family.told_and_true(model, data.holdout)
        said.append(np.asarray(told, dtype=np.float64))
        true = np.asarray(label, dtype=np.float64)
    ctx.report(95, 100, message="combining")
    return _compared(np.column_stack(said), true, [member.version for member in members], int(ctx.params["champion"]))


class Stacks:
    """Hooks itself to the job kind `stack`; make it before the jobs start."""

    def __init__(self, jobs: JobService, registry: Registry, traffic: Traffic, sources: SourceAccess) -> None:
        """`sources` says which rows may be read, and keeps their passwords."""
        self._sources = sources
        self._jobs = jobs
        self._registry = registry
        self._traffic = traffic
        jobs.on_start("stack", self._members)
        jobs.on_finish("stack", self._share)
        jobs.on_failure("stack", lambda job, _status, _error: sources.forget(job.params.get("ticket")))

    def stack(
        self, model: str, versions: list[int], *, source: dict[str, Any] | None = None, scope: str = "all", by: str = ""
    ) -> Job:
        """Begin. Raises NotFound (model, version), Invalid (too few, too many), Conflict (no champion), Busy."""
        if not 2 <= len(set(versions)) == len(versions) <= MOST_VARIANTS:
            raise Invalid(f"name 2 to {MOST_VARIANTS} different versions", code="bad_split", field="versions")
        self._sources.check(source or {})
        for version in versions:
            self._registry.version(model, version, scope)
        champion = self._registry.model(model, scope).aliases.get(CHAMPION)
        if champion not in versions:
            raise Conflict("the champion must be a member: the stack is measured against it", code="no_champion")
        public, ticket = self._sources.keep(source or {"kind": "shop"})
        asked = {
            "model": model,
            "scope": scope,
            "versions": versions,
            "champion": champion,
            "source": public,
            "ticket": ticket,
        }
        try:
            return self._jobs.submit("stack", asked, requested_by=by, work_key=f"stack:{model}:{scope}")
        except ShopkeeperError:
            self._sources.forget(ticket)
            raise

    def _members(self, job: Job) -> dict[str, Any]:
        found = [self._registry.version(job.params["model"], n, job.params["scope"]) for n in job.params["versions"]]
        members = [
            Member(
                version=one.version,
                algorithm=one.algorithm,
                params=one.params,
                folder=str(self._registry.folder(one)),
                files=one.files,
            )
            for one in found
        ]
        source = self._sources.whole(job.params["source"], job.params["ticket"])
        return {"members": msgspec.to_builtins(members), "source": source}

    def _share(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        self._sources.forget(job.params["ticket"])
        if not result["better"]:
            return {"shared": False}
        champion = self._registry.model(job.params["model"], job.params["scope"]).aliases.get(CHAMPION)
        if champion != job.params["champion"]:
            return {"shared": False, "why_not": f"v{champion} became champion; the stack was not measured against it"}
        variants = [Variant(version=n, weight=1.0) for n in job.params["versions"]]
        split = Split(variants=variants, mode="ensemble", stack=msgspec.convert(result["stack"], Stack))
        why = f"stacked in job {job.job_id}"
        self._traffic.set_split(job.params["model"], split, scope=job.params["scope"], by=job.requested_by, reason=why)
        return {"shared": True}


def fit(logits: Array, label: Array) -> Stack:
    """Logistic regression by Newton's method with a small ridge on the coefficients; (n, m) logits, (n,) labels."""
    x = np.column_stack([np.ones(len(label)), logits])
    penalty = _RIDGE * len(label) * np.diag([0.0, *np.ones(logits.shape[1])])
    beta = np.concatenate([[0.0], np.full(logits.shape[1], 1 / logits.shape[1])])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(x @ beta)))
        gradient = x.T @ (p - label) + penalty @ beta
        curvature = (x * (p * (1 - p))[:, None]).T @ x + penalty + 1e-9 * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    return Stack(intercept=float(beta[0]), coefficients=[float(value) for value in beta[1:]])


def _compared(said: Array, true: Array, versions: list[int], champion: int) -> dict[str, Any]:
    """Rows in turn go to fitting and to measuring, so that both halves cover the whole time."""
    inside = np.clip(said, 1e-7, 1 - 1e-7)
    logits = np.log(inside / (1 - inside))
    learn, test = slice(0, None, 2), slice(1, None, 2)
    if len(np.unique(true[learn])) < 2 or len(np.unique(true[test])) < 2:
        raise Invalid("the untouched rows hold one outcome only: nothing to learn a stack from", code="no_data")
    made = fit(logits[learn], true[learn])
    combined = 1 / (1 + np.exp(-(made.intercept + logits[test] @ np.array(made.coefficients))))
    metrics = {f"v{n}": _measures(true[test], said[test, at]) for at, n in enumerate(versions)}
    metrics["mean"] = _measures(true[test], said[test].mean(axis=1))
    metrics["stack"] = _measures(true[test], combined)
    better = metrics["stack"]["log_loss"] < metrics[f"v{champion}"]["log_loss"]
    return {"stack": msgspec.to_builtins(made), "metrics": metrics, "rows": len(true), "better": better}


def _measures(true: Array, said: Array) -> dict[str, float]:
    return {"auc": float(classification.auc(true, said)), "log_loss": float(classification.logloss(true, said))}


def _context(ctx: JobContext) -> TrainingContext:
    return TrainingContext(
        home=ctx.home,
        sql_url=ctx.sql_url,
        source=ctx.params["source"],
        now=ctx.now,
        zone=ctx.zone,
        seed=42,
        model=ctx.params["model"],
        scope=ctx.params["scope"],
    )
