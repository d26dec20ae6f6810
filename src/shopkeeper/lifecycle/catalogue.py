"""The registry as older tools see it: entries with states, a check of all files, totals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import ModelInfo, Record, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.exchange import states
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.shelf import entry_of
from shopkeeper.stores import artifacts

_PAGE = 1000


class VersionEntry(Record, kw_only=True):
    """`status`: staging (never served), production (the champion) or archived. `s3_...`: where it was uploaded to."""

    version: str
    files: list[str]
    registered_at: str | None
    status: str
    s3_bucket: str | None = None
    s3_key: str | None = None


class Entry(Record, kw_only=True):
    """A model with all its versions; `current_version` is the champion."""

    model_id: str
    name: str
    scope: str
    task: str
    algorithm: str
    current_version: str | None
    versions: dict[str, VersionEntry]


class Validation(Record, kw_only=True):
    """`errors`: champions that cannot be loaded again. `warnings`: other versions, and models without a champion."""

    errors: list[str]
    warnings: list[str]
    total_models: int
    valid_models: int


class Totals(Record, kw_only=True):
    total_models: int
    total_versions: int
    total_bytes: int
    by_task: dict[str, int]
    by_algorithm: dict[str, int]
    by_status: dict[str, int]


class Catalogue:
    """Reads only, from any thread."""

    def __init__(self, registry: Registry, jobs: JobService) -> None:
        self._registry = registry
        self._jobs = jobs

    def entries(self) -> list[Entry]:
        uploads = self._uploads()
        return [self._entry(info, uploads) for info in self._registry.models()]

    def entry(self, model: str, scope: str = "all") -> Entry:
        """Raises NotFound."""
        return self._entry(self._registry.model(model, scope), self._uploads())

    def validate(self) -> Validation:
        """Hash every file of every version that is not removed."""
        errors: list[str] = []
        warnings: list[str] = []
        infos = self._registry.models()
        broken = set()
        for info in infos:
            if CHAMPION not in info.aliases:
                warnings.append(f"{_spoken(info)} has no champion: it does not serve")
            for version in self._versions(info):
                if version.status == REMOVED or (problem := self._problem(version)) is None:
                    continue
                if CHAMPION in version.aliases:
                    broken.add((info.name, info.scope))
                    errors.append(problem)
                else:
                    warnings.append(problem)
        return Validation(
            errors=errors, warnings=warnings, total_models=len(infos), valid_models=len(infos) - len(broken)
        )

    def totals(self) -> Totals:
        infos = self._registry.models()
        found = [version for info in infos for version in self._versions(info)]
        kept = [version for version in found if version.status != REMOVED]
        return Totals(
            total_models=len(infos),
            total_versions=len(found),
            total_bytes=sum(file.bytes for version in kept for file in version.files),
            by_task=dict(Counter(info.task for info in infos)),
            by_algorithm=dict(Counter(version.algorithm for version in found)),
            by_status=dict(Counter(version.status for version in found)),
        )

    def _problem(self, version: Version) -> str | None:
        try:
            artifacts.verify(self._registry.folder(version), version.files)
        except ShopkeeperError as error:
            return f"{version.model} v{version.version}: {error.message}"
        return None

    def _entry(self, info: ModelInfo, uploads: dict[tuple[str, str, int], dict[str, Any]]) -> Entry:
        told = states(self._registry, info.name, info.scope)
        versions = {}
        for version in self._versions(info):
            place = uploads.get((info.name, info.scope, version.version), {})
            facts = {**entry_of(version, told[version.version])}
            facts |= {"s3_bucket": place.get("bucket"), "s3_key": place.get("key")}
            versions[str(version.version)] = msgspec.convert(msgspec.to_builtins(facts), VersionEntry)
        champion = info.aliases.get(CHAMPION)
        return Entry(
            model_id=info.name,
            name=info.name,
            scope=info.scope,
            task=info.task,
            algorithm=info.algorithm,
            current_version=None if champion is None else str(champion),
            versions=versions,
        )

    def _versions(self, info: ModelInfo) -> list[Version]:
        found, cursor, _ = self._registry.versions(info.name, info.scope, limit=_PAGE)
        while cursor is not None:
            more, cursor, _ = self._registry.versions(info.name, info.scope, limit=_PAGE, cursor=cursor)
            found += more
        return found

    def _uploads(self) -> dict[tuple[str, str, int], dict[str, Any]]:
        """The newest upload of each version."""
        jobs, cursor, _ = self._jobs.list(kind="upload", status="done", limit=_PAGE)
        while cursor is not None:
            more, cursor, _ = self._jobs.list(kind="upload", status="done", limit=_PAGE, cursor=cursor)
            jobs += more
        return {
            (job.params["model"], job.params["scope"], job.params["version"]): job.result or {}
            for job in reversed(jobs)
        }


def _spoken(info: ModelInfo) -> str:
    return info.name if info.scope == "all" else f"{info.name}[{info.scope}]"
