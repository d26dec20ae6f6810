"""Evaluations of policies in the shop's process: asking for one, and telling the child where the version lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from shopkeeper.core.clock import micros
from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import Job, Version
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.measuring import Rival
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.sourcing import SourceAccess
from shopkeeper.recommend.explore.orders import Named, PolicyTask, read_order

KIND = "evaluate_policy"


class PolicyEvaluations:
    """Hooks itself to the job kind `evaluate_policy`; make it before the jobs start."""

    def __init__(self, jobs: JobService, registry: Registry, sources: SourceAccess | None = None) -> None:
        self._jobs = jobs
        self._registry = registry
        self._sources = sources or SourceAccess()
        jobs.on_start(KIND, self._task)

    def submit(self, asked: Mapping[str, Any], *, by: str = "") -> Job:
        """Queue it: `policy` {algorithm, params} or {model, version} or {scenario} or an algorithm's name,
        `estimators`, `from`, `to`, and the rest of `PolicyOrder`. Raises Invalid, NotFound, Conflict (files removed),
        Refused (a source that may not be read), Busy (the same is under way)."""
        order = read_order(asked)
        self._sources.check(order.source)
        if order.policy.model is not None:
            order.policy.version = self._present(order.policy).version
        plain = msgspec.to_builtins(order)
        said = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        return self._jobs.submit(KIND, plain, requested_by=by, work_key=f"{KIND}:{said}")

    def _present(self, policy: Named) -> Version:
        found = self._registry.version(str(policy.model), policy.version, policy.scope)
        if found.status == REMOVED:
            raise Conflict(f"the files of {policy.model} v{found.version} were removed", code=REMOVED)
        return found

    def _task(self, job: Job) -> Mapping[str, Any]:
        task = msgspec.convert(job.params, PolicyTask)
        self._sources.check(task.source)
        task.source = self._sources.whole(task.source, None)
        if task.policy.model is not None:
            version = self._present(task.policy)
            task.rival = Rival(
                version=version.version,
                algorithm=version.algorithm,
                folder=str(self._registry.folder(version)),
                files=version.files,
            )
            if task.source.get("kind", "shop") == "shop":
                task.knows_until = _until(version)
        plain: dict[str, Any] = msgspec.to_builtins(task)
        return plain


def _until(version: Version) -> int | None:
    """The moment of the newest round that it learned, where its manifest says so."""
    said = version.data.get("to")
    try:
        return None if said is None else micros(datetime.fromisoformat(str(said)))
    except ValueError:
        return None
