"""Training jobs in the shop's process: submitting one, telling it the champion, and releasing what it made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import Trainer
from shopkeeper.core.records import Job, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.orders import TrainOrder, cannot_continue, check_steps
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.sourcing import SourceAccess
from shopkeeper.lifecycle.training import TrainParams, read_train_params
from shopkeeper.lifecycle.versions import REMOVED, Candidate, check_model_name
from shopkeeper.stores.artifacts import scope_folder


class Publisher(Protocol):
    """Whoever brings versions into object stores, see publishing.py."""

    def check_url(self, url: str) -> None:
        """Raises Invalid, Unavailable."""
        ...

    def upload(self, model: str, version: int | str, scope: str, url: str, by: str) -> Job: ...


class Releases:
    """Hooks itself to the job kind `train`; make it before the jobs start.

    `sources` says what a training may read, and keeps the passwords of those that wait.
    `publisher` uploads versions; without one that cannot be asked for.
    """

    def __init__(
        self,
        jobs: JobService,
        registry: Registry,
        *,
        sources: SourceAccess | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._sources = sources or SourceAccess()
        self._publisher = publisher
        jobs.on_start("train", self._begin)
        jobs.on_finish("train", self._release)
        jobs.on_failure("train", lambda job, _status, _error: self._sources.forget(job.params.get("ticket")))

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
        evaluate: bool = True,
        register: bool = True,
        upload: str | None = None,
        version: str | None = None,
        start_from: int | str | None = None,
        requested_by: str = "",
    ) -> Job:
        """Queue a training. Raises Invalid (name, parameter), NotFound (algorithm), Busy (the model is in training)."""
        order = TrainOrder(
            model=model,
            algorithm=algorithm,
            scope=scope,
            params=dict(params or {}),
            source=dict(source or {"kind": "shop"}),
            seed=seed,
            promote=promote,
            evaluate=evaluate,
            register=register,
            upload=upload,
            version=version,
            start_from=start_from,
        )
        return self.submit(order, requested_by=requested_by)

    def submit(self, order: TrainOrder, *, requested_by: str = "") -> Job:
        """The same from a record."""
        self.check(order)
        asked = msgspec.to_builtins(order)
        asked["source"], ticket = self._sources.keep(order.source)
        if ticket is not None:
            asked["ticket"] = ticket
        try:
            return self._jobs.submit(
                "train", asked, requested_by=requested_by, work_key=f"train:{order.model}:{order.scope}"
            )
        except ShopkeeperError:
            self._sources.forget(ticket)
            raise

    def check(self, order: TrainOrder) -> None:
        """Raises Invalid, NotFound (algorithm), Refused (a file elsewhere) for what could not be trained."""
        check_model_name(order.model)
        scope_folder(order.scope)
        trainer = plugins.algorithm(order.algorithm)
        if getattr(trainer, "uploads_only", False):
            raise Invalid(
                f"{order.algorithm} trains nothing: upload a file as a version of the model, or name another algorithm",
                code="uploads_only",
                field="algorithm",
            )
        plugins.read_params(trainer, order.params)
        if lacking := plugins.lacking(trainer):
            raise Unavailable("; ".join(lacking), code="not_installed")
        if order.start_from is not None:
            self._beginning(order, trainer)
        self._check_family(order.model, order.scope, trainer.family)
        self.check_source(order.source)
        if order.version is not None:
            self._registry.check_free(order.model, order.scope, order.version)
        check_steps(order)
        if order.upload is not None:
            self._check_upload(order.upload)

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

    def _check_upload(self, url: str) -> None:
        if self._publisher is None:
            raise Unavailable("this shop uploads nothing; leave upload out", code="no_upload")
        try:
            self._publisher.check_url(url)
        except Invalid as error:
            raise Invalid(error.message, code=error.code, field="upload") from error

    def check_source(self, source: Mapping[str, Any]) -> None:
        """Raises Refused for rows that a job may not read, Invalid for an option that the source's kind has not."""
        self._sources.check(source)

    def _begin(self, job: Job) -> dict[str, Any]:
        """What the child needs and the job's row does not hold: the champion of this moment, and the whole source."""
        asked = read_train_params(job.params)
        self._sources.check(asked.source)  # again: links and settings may have changed while it waited
        begin = None
        if asked.start_from is not None:
            begin = self._rival(self._beginning(asked, plugins.algorithm(asked.algorithm)))
        source = self._sources.whole(asked.source, asked.ticket)
        return {**self._champion(asked), "begin": begin, "source": source}

    def _beginning(self, order: TrainOrder, trainer: type[Trainer]) -> Version:
        """The version to go on from. Raises NotFound, Invalid (`cannot_continue`)."""
        begin = self._registry.version(order.model, order.start_from or "", order.scope)
        problem = None
        if not hasattr(trainer, "continue_from"):
            problem = cannot_continue(order.algorithm)
        elif begin.algorithm != order.algorithm:
            problem = f"v{begin.version} is of {begin.algorithm}: {order.algorithm} cannot go on from it"
        elif begin.status == REMOVED:
            problem = f"the files of v{begin.version} were removed"
        if problem is not None:
            raise Invalid(problem, code="cannot_continue", field="start_from")
        return begin

    def _champion(self, asked: TrainParams) -> dict[str, Any]:
        """The champion of the moment the training starts: both are measured on the same rows."""
        try:
            champion = self._registry.version(asked.model, CHAMPION, asked.scope)
        except NotFound:
            return {"champion": None}
        return {"champion": self._rival(champion)}

    def _rival(self, version: Version) -> dict[str, Any]:
        return {
            "version": version.version,
            "algorithm": version.algorithm,
            "folder": str(self._registry.folder(version)),
            "files": msgspec.to_builtins(version.files),
        }

    def _release(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Register, promote when the gate says so, and upload. A refused promotion is no failure of the training.

        Uploaded last: the bucket is told which version is the champion.
        """
        self._sources.forget(job.params.get("ticket"))
        candidate = msgspec.convert(result, Candidate)
        folder = self._jobs.folder(job.job_id) / "work" / str(result["folder"])
        asked = read_train_params(job.params)
        if not asked.register:
            shutil.rmtree(folder, ignore_errors=True)
            return {"registered": False, "promoted": False, "why_not": "registration was not asked for"}
        version = self._registry.register(folder, candidate, by=job.requested_by, job_id=job.job_id)
        told: dict[str, Any] = {"registered": True, "version": version.version, "promoted": False}
        told |= self._promote(version, asked, job)
        return {**told, **self._publish(version, asked, job)}

    def _publish(self, version: Version, asked: TrainParams, job: Job) -> dict[str, Any]:
        """The job that uploads it; what the gate rejects stays at home. That it cannot begin is told, no more."""
        if asked.upload is None or self._publisher is None:
            return {}
        if version.gate is not None and version.gate.verdict == "REJECT":
            return {"upload_skipped": "the gate rejects it: it stays at home"}
        try:
            upload = self._publisher.upload(
                version.model, version.version, version.scope, asked.upload, job.requested_by
            )
            return {"upload_job_id": upload.job_id}
        except Busy as error:  # this hook ran before, and the shop was killed
            return {"upload_job_id": error.job_id}
        except ShopkeeperError as error:
            return {"upload_error": error.message}

    def _promote(self, version: Version, asked: TrainParams, job: Job) -> dict[str, Any]:
        if CHAMPION in version.aliases:
            return {"promoted": True}
        if not asked.promote:
            return {"why_not": "promotion was not asked for"}
        skipped = "the gate was not asked: evaluation was skipped"
        try:
            self._registry.promote(
                version.model,
                version.version,
                scope=version.scope,
                force=not asked.evaluate,
                reason=f"{'the gate passed it' if asked.evaluate else skipped} in job {job.job_id}",
                by=job.requested_by,
            )
        except Conflict as error:
            return {"why_not": error.message}
        return {"promoted": True}
