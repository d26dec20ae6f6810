"""Training jobs in the shop's process: submitting one, telling it the champion, and releasing what it made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Refused
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.training import read_train_params
from shopkeeper.lifecycle.versions import Candidate, check_model_name
from shopkeeper.stores.artifacts import scope_folder


class Releases:
    """Hooks itself to the job kind `train`; make it before the jobs start.

    `sources`: the only folder whose files a training may read; None where everybody who can ask is the machine's user.
    """

    def __init__(self, jobs: JobService, registry: Registry, *, sources: Path | None = None) -> None:
        self._jobs = jobs
        self._registry = registry
        self._sources = sources
        jobs.on_start("train", self._champion)
        jobs.on_finish("train", self._release)

    def train(
        self,
        model: str,
        algorithm: str,
        *,
        params: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        scope: str = "all",
        seed: int = 42,
        promote: bool = True,
        requested_by: str = "",
    ) -> Job:
        """Queue a training. Raises Invalid (name, parameter), NotFound (algorithm), Busy (the model is in training)."""
        check_model_name(model)
        scope_folder(scope)
        trainer = plugins.algorithm(algorithm)
        plugins.read_params(trainer, dict(params or {}))
        self._check_family(model, scope, trainer.family)
        self._check_path((source or {}).get("path"))
        asked = {
            "model": model,
            "algorithm": algorithm,
            "scope": scope,
            "params": dict(params or {}),
            "source": dict(source or {"kind": "shop"}),
            "seed": seed,
            "promote": promote,
        }
        read_train_params(asked)
        return self._jobs.submit("train", asked, requested_by=requested_by, work_key=f"train:{model}:{scope}")

    def _check_family(self, model: str, scope: str, family: str) -> None:
        """One name holds versions of one family: they are measured and called alike."""
        try:
            known = self._registry.model(model, scope)
        except NotFound:
            return
        if known.task != family:
            raise Invalid(
                f"model {model!r} is of the family {known.task!r}, this algorithm makes {family!r}; use another name",
                code="wrong_family",
                field="algorithm",
            )

    def _check_path(self, path: Any) -> None:
        if self._sources is None or path is None:
            return
        if not Path(str(path)).resolve().is_relative_to(self._sources.resolve()):
            raise Refused(
                f"a training may read files below {self._sources} only; put the file there", code="source_not_allowed"
            )

    def _champion(self, job: Job) -> dict[str, Any]:
        """The champion of the moment the training starts: both are measured on the same rows."""
        asked = read_train_params(job.params)
        try:
            champion = self._registry.version(asked.model, CHAMPION, asked.scope)
        except NotFound:
            return {"champion": None}
        return {
            "champion": {
                "version": champion.version,
                "algorithm": champion.algorithm,
                "folder": str(self._registry.folder(champion)),
                "files": msgspec.to_builtins(champion.files),
            }
        }

    def _release(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Register, and promote when the gate says so. A refused promotion is no failure of the training."""
        candidate = msgspec.convert(result, Candidate)
        folder = self._jobs.folder(job.job_id) / "work" / str(result["folder"])
        version = self._registry.register(folder, candidate, by=job.requested_by, job_id=job.job_id)
        told: dict[str, Any] = {"version": version.version, "promoted": False}
        if CHAMPION in version.aliases:
            return {**told, "promoted": True}
        if not job.params.get("promote", True):
            return {**told, "why_not": "promotion was not asked for"}
        try:
            self._registry.promote(
                version.model,
                version.version,
                scope=version.scope,
                reason=f"the gate passed it in job {job.job_id}",
                by=job.requested_by,
            )
        except Conflict as error:
            return {**told, "why_not": error.message}
        return {**told, "promoted": True}
