"""Versions to a bucket and from one: the jobs `upload` and `deploy` in the shop's process.

    publishing.upload("xgb", 3, "all", "s3://models/shop-1", "anna")
    publishing.deploy("xgb", "s3://models/shop-1", by="anna")

The store's address and keys are asked for when a job starts and go to its child only; they are stored nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.records import Job, Version
from shopkeeper.lifecycle.addresses import CHAMPION, version_number
from shopkeeper.lifecycle.exchange import Exchange, states
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.shelf import ARCHIVE, FetchTask, UploadTask
from shopkeeper.lifecycle.versions import check_model_name
from shopkeeper.sources.buckets import read_url
from shopkeeper.sources.objects import object_store
from shopkeeper.stores.artifacts import scope_folder

StoreOptions: TypeAlias = Callable[[str], Mapping[str, Any]]
"""From a scheme (s3, oss) to `object_store`'s keyword arguments: endpoint, region, keys, addressing."""


class Publishing:
    """Hooks itself to the job kinds `upload` and `deploy`; make it before the jobs start."""

    def __init__(self, jobs: JobService, registry: Registry, exchange: Exchange, options: StoreOptions) -> None:
        self._jobs = jobs
        self._registry = registry
        self._exchange = exchange
        self._options = options
        jobs.on_start("upload", self._upload_task)
        jobs.on_start("deploy", self._fetch_task)
        jobs.on_finish("deploy", self._deployed)

    def check_url(self, url: str) -> None:
        """Raises Invalid for what is no folder of a bucket, or cannot be reached with the shop's settings; Unavailable
        when the package for it is not installed."""
        object_store(url, **self._options(read_url(url).scheme))

    def upload(self, model: str, version: int | str, scope: str, url: str, by: str) -> Job:
        """Queue it. The result has bucket, key, url, sha256, bytes. Raises Invalid, NotFound, Conflict (removed)."""
        self.check_url(url)
        found = self._registry.version(model, version, scope)
        if found.status == REMOVED:
            raise Conflict(f"the files of {model} v{found.version} were removed", code=REMOVED)
        asked = {"model": model, "version": found.version, "scope": scope, "url": url}
        key = f"upload:{model}:{scope}:{found.version}"
        return self._jobs.submit("upload", asked, requested_by=by, work_key=key)

    def deploy(
        self,
        model: str,
        url: str,
        *,
        version: str = "",
        scope: str = "all",
        promote: bool = True,
        force: bool = False,
        reason: str = "",
        by: str = "",
    ) -> Job:
        """Queue it: fetch, bring in, promote. `version` as it is called in the bucket, else its current one; a url
        that ends in .tar.gz is the archive itself. What comes in is on HOLD: without `force` it does not answer yet.
        """
        check_model_name(model)
        scope_folder(scope)
        self.check_url(url.rpartition("/")[0] if url.endswith(".tar.gz") else url)
        number = version_number(version) if version else None
        if version and number is None:
            raise Invalid(f"version {version[:40]!r} is no number; leave it out for the current one", field="version")
        asked = {
            "model": model,
            "url": url,
            "version": "" if number is None else str(number),
            "scope": scope,
            "promote": promote,
            "force": force,
            "reason": reason,
        }
        return self._jobs.submit("deploy", asked, requested_by=by, work_key=f"deploy:{model}:{scope}")

    def _upload_task(self, job: Job) -> dict[str, Any]:
        model, scope, url = job.params["model"], job.params["scope"], job.params["url"]
        version = self._registry.version(model, job.params["version"], scope)
        info = self._registry.model(model, scope)
        task = UploadTask(
            url=url,
            version=version,
            family=info.task,
            folder=str(self._registry.folder(version)),
            states={str(number): state for number, state in states(self._registry, model, scope).items()},
            current=info.aliases.get(CHAMPION),
            store=dict(self._options(read_url(url).scheme)),
        )
        plain: dict[str, Any] = msgspec.to_builtins(task)
        return plain

    def _fetch_task(self, job: Job) -> dict[str, Any]:
        asked = job.params
        task = FetchTask(
            url=asked["url"],
            model=asked["model"],
            scope=asked["scope"],
            version=asked["version"],
            limit=self._exchange.limits.compressed,
            store=dict(self._options(read_url(asked["url"]).scheme)),
        )
        plain: dict[str, Any] = msgspec.to_builtins(task)
        return plain

    def _deployed(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Bring it in; a version that has the same files already is taken as it is. Promote it when asked to."""
        archive = self._jobs.folder(job.job_id) / "work" / ARCHIVE
        version, new = self._brought_in(archive, job)
        promoted = self._promoted(version, job, result["url"])
        archive.unlink(missing_ok=True)  # not before: where the shop is killed, this is done again from the beginning
        return {"version": version.version, "imported": new, **promoted}

    def _promoted(self, version: Version, job: Job, url: str) -> dict[str, Any]:
        if CHAMPION in version.aliases:
            return {"promoted": True}
        if not job.params["promote"]:
            return {"promoted": False, "why_not": "promotion was not asked for"}
        try:
            self._registry.promote(
                version.model,
                version.version,
                scope=version.scope,
                force=job.params["force"],
                reason=job.params["reason"] or f"deployed from {url}",
                by=job.requested_by,
            )
        except Conflict as error:
            return {"promoted": False, "why_not": error.message}
        return {"promoted": True}

    def _brought_in(self, archive: Path, job: Job) -> tuple[Version, bool]:
        model, scope = job.params["model"], job.params["scope"]
        if not archive.exists() and (made := self._registry.version_of_job(job.job_id)) is not None:
            return made, True  # this hook ran before, and the shop was killed
        with archive.open("rb") as file:
            version = self._exchange.bring_in(
                file, by=job.requested_by, model=model, scope=scope, job_id=job.job_id, again=True
            )
        return version, version.job_id == job.job_id
