"""Evaluations in the shop's process: submitting one, telling it both versions, and keeping the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Gate, Job, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.evaluating import EvaluateTask
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.measuring import Rival
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.sourcing import SourceAccess


class Evaluations:
    """Hooks itself to the job kind `evaluate`; make it before the jobs start."""

    def __init__(self, jobs: JobService, registry: Registry, sources: SourceAccess | None = None) -> None:
        self._jobs = jobs
        self._registry = registry
        self._sources = sources or SourceAccess()
        jobs.on_start("evaluate", self._task)
        jobs.on_finish("evaluate", self._keep)

    def submit(
        self, model: str, version: str | int, *, against: str | int = CHAMPION, scope: str = "all", by: str = ""
    ) -> Job:
        """Queue it. Raises NotFound, Invalid (both are the same), Conflict (files removed), Busy."""
        candidate = self._present(model, version, scope)
        rival = self._present(model, against, scope)
        if candidate.version == rival.version:
            raise Invalid(
                f"v{rival.version} of {model} would be measured against itself; name another", field="against"
            )
        asked = {"model": model, "scope": scope, "version": candidate.version, "against": rival.version}
        key = f"evaluate:{model}:{scope}:{candidate.version}"
        return self._jobs.submit("evaluate", asked, requested_by=by, work_key=key)

    def _present(self, model: str, ref: str | int, scope: str) -> Version:
        found = self._registry.version(model, ref, scope)
        if found.status == REMOVED:
            raise Conflict(f"the files of {model} v{found.version} were removed", code=REMOVED)
        return found

    def _task(self, job: Job) -> Mapping[str, Any]:
        model, scope = job.params["model"], job.params["scope"]
        candidate = self._present(model, job.params["version"], scope)
        against = self._present(model, job.params["against"], scope)
        source = self._source(candidate) or self._source(against) or {"kind": "shop"}
        self._sources.check(source)
        task = EvaluateTask(
            model=model,
            scope=scope,
            candidate=self._rival(candidate),
            against=self._rival(against),
            params=candidate.params,
            seed=int(candidate.data.get("seed", 0)),
            source=self._sources.whole(source, None),
        )
        plain: dict[str, Any] = msgspec.to_builtins(task)
        return plain

    def _source(self, version: Version) -> dict[str, Any] | None:
        """Where its training read; None for a version that came from elsewhere: it is measured on its rival's rows, and
        on the shop's own log where that came from elsewhere too."""
        try:
            asked = self._jobs.get(version.job_id).params if version.job_id else {}
        except NotFound:
            asked = {}
        source: dict[str, Any] | None = asked.get("source")
        return source

    def _rival(self, version: Version) -> Rival:
        return Rival(
            version=version.version,
            algorithm=version.algorithm,
            folder=str(self._registry.folder(version)),
            files=version.files,
        )

    def _keep(self, job: Job, result: dict[str, Any]) -> None:
        gate = msgspec.convert(result["gate"], Gate)
        version = self._registry.version(job.params["model"], result["version"], job.params["scope"])
        self._registry.judge(version, gate, against=result["against"])
