"""What a shop need not keep: old versions, folders of finished jobs, strays of crashes, refused rows of old imports.

    versions  all but the newest N of a model; never one with an alias, with traffic, in memory, or champion lately
    jobs      folders of jobs that ended more than D days ago, or that no row knows; the rows stay
    strays    artifact folders and half-read archives that no row knows, after a day
    rejects   the refused rows of imports that are done, after D days; the counts stay

`look` only looks; `clean` removes. Both may stop anywhere: what the rows say is finished by the next run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.protocols import JobContext
from shopkeeper.core.records import FINISHED, Job, ModelInfo, Record, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.archives import STAGING
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.removal import Removal, bytes_of, remove_folder
from shopkeeper.stores import imports as import_table
from shopkeeper.stores import registry as version_table
from shopkeeper.stores import traffic
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database

POLICIES = ("versions", "jobs", "strays", "rejects")
_DAY = 86_400 * 1_000_000
_VERSION = re.compile(r"v[0-9]+")
_LISTED = 5000


class Removed(Record, kw_only=True):
    """`kind`: version, job, stray or rejects. `id`: `model/v3`, a job's id, or a path below the home."""

    kind: str
    id: str
    bytes: int


class Kept(Record, kw_only=True):
    """What a rule would remove, and why it stays."""

    kind: str
    id: str
    reason: str


class Cleaned(Record, kw_only=True):
    """In a dry run `removed` is what would be."""

    dry_run: bool
    removed: list[Removed]
    bytes_freed: int
    kept: list[Kept]


@dataclass(frozen=True)
class Keep:
    """`versions`: the newest N of each model. `days`: how long finished jobs, refused rows and champions stay."""

    versions: int = 10
    days: int = 30


@dataclass(frozen=True)
class _Found:
    """Something to remove; `act` does it and gives the freed bytes. Raises Conflict when it is needed by now."""

    kind: str
    id: str
    size: int
    act: Callable[[], int]


class Retention:
    """Hooks itself to the job kind `cleanup`; make it before the jobs start."""

    def __init__(
        self,
        db: Database,
        home: Home,
        clock: Clock,
        jobs: JobService,
        registry: Registry,
        removal: Removal,
        keep: Keep | None = None,
    ) -> None:
        self._db = db
        self._home = home
        self._clock = clock
        self._jobs = jobs
        self._registry = registry
        self._removal = removal
        self._keep = keep or Keep()
        self._looks: dict[str, Callable[[list[Kept]], Iterator[_Found]]] = {
            "versions": self._versions,
            "jobs": self._job_folders,
            "strays": self._strays,
            "rejects": self._rejects,
        }
        jobs.on_finish("cleanup", self._finish)

    def submit(self, policies: Sequence[str] = (), *, dry_run: bool = True, by: str = "") -> Job:
        """Queue a cleanup, by default of everything and only looking. Raises Invalid, Busy."""
        asked = {"policies": list(check_policies(policies)), "dry_run": dry_run}
        return self._jobs.submit("cleanup", asked, requested_by=by, work_key="cleanup")

    def clean(self, policies: Sequence[str] = (), *, dry_run: bool = True) -> Cleaned:
        """Look for what may go, and remove it unless it is a dry run."""
        removed: list[Removed] = []
        kept: list[Kept] = []
        for policy in check_policies(policies):
            for found in self._looks[policy](kept):
                try:
                    size = found.size if dry_run else found.act()
                except (Conflict, NotFound) as error:
                    kept.append(Kept(kind=found.kind, id=found.id, reason=error.message))
                    continue
                removed.append(Removed(kind=found.kind, id=found.id, bytes=size))
        freed = sum(one.bytes for one in removed)
        return Cleaned(dry_run=dry_run, removed=removed[:_LISTED], bytes_freed=freed, kept=kept[:_LISTED])

    def _finish(self, job: Job, _result: dict[str, Any]) -> dict[str, Any]:
        done = self.clean(job.params["policies"], dry_run=job.params["dry_run"])
        plain: dict[str, Any] = msgspec.to_builtins(done)
        return plain

    # -- policies: each yields what may go and notes what it would take but for a reason

    def _versions(self, kept: list[Kept]) -> Iterator[_Found]:
        with self._db.read() as connection:
            gone = version_table.versions_of(connection, status=REMOVED)
        for model, scope, number in gone:  # a removal that was cut short
            folder = self._registry.folder_of(model, scope, number)
            if folder.exists():
                yield _remnant("version", _spoken(model, scope, number), folder)
        for info in self._registry.models():
            for version in self._surplus(info):
                spoken = _spoken(version.model, version.scope, version.version)
                if (reason := self._needed(info, version)) is not None:
                    kept.append(Kept(kind="version", id=spoken, reason=reason))
                    continue
                size = bytes_of(self._registry.folder(version))
                yield _Found("version", spoken, size, partial(self._take, version))

    def _surplus(self, info: ModelInfo) -> list[Version]:
        with self._db.read() as connection:
            found, _ = version_table.page(connection, info.name, info.scope, limit=1_000_000, before=None)
        return [one for one in found if one.status != REMOVED][self._keep.versions :]

    def _needed(self, info: ModelInfo, version: Version) -> str | None:
        if version.aliases:
            return f"it is the {', '.join(version.aliases)}"
        with self._db.read() as connection:
            if version.version in traffic.versions_in_traffic(connection, info.name, info.scope):
                return "it has traffic"
        if self._removal.loaded(version):
            return "it is in memory"
        if version.version in self._late_champions(info):
            return f"it was champion within {self._keep.days} days"
        return None

    def _late_champions(self, info: ModelInfo) -> set[int | None]:
        """Champions whose time ended within the days that are kept."""
        since = self._clock.wall() - self._keep.days * _DAY
        changes = self._registry.history(info.name, info.scope, alias=CHAMPION)
        ends = [self._clock.wall(), *(change.time for change in changes)]
        return {change.version for change, end in zip(changes, ends, strict=False) if end >= since}

    def _take(self, version: Version) -> int:
        with self._registry.unmoved():
            if self._removal.loaded(version):
                raise Conflict("it is in memory by now", code="in_use")
            return self._removal.version(version.model, version.version, version.scope, by="the cleanup")

    def _job_folders(self, kept: list[Kept]) -> Iterator[_Found]:
        del kept
        before = moment(self._clock.wall() - self._keep.days * _DAY)
        for folder in sorted(self._home.jobs.iterdir()):
            try:
                job = self._jobs.get(folder.name)
            except NotFound:
                old = self._age(folder) > _DAY
            else:
                old = job.status in FINISHED and job.finished_at is not None and job.finished_at < before
            if old:
                yield _remnant("job", folder.name, folder)

    def _strays(self, kept: list[Kept]) -> Iterator[_Found]:
        del kept
        with self._db.read() as connection:
            known = {self._registry.folder_of(*one) for one in version_table.versions_of(connection)}
        staged = (self._home.artifacts / STAGING).glob("*")
        versions = [path for path in self._home.artifacts.glob("*/*/v*") if path not in known]
        aside = [path for path in versions if ".stray-" in path.name or _VERSION.fullmatch(path.name)]
        for path in [*staged, *aside]:
            if self._age(path) > _DAY:
                yield _remnant("stray", str(path.relative_to(self._home.path)), path)

    def _rejects(self, kept: list[Kept]) -> Iterator[_Found]:
        del kept
        with self._db.read() as connection:
            old = import_table.done_before(connection, self._clock.wall() - self._keep.days * _DAY)
        for import_id in old:
            for path in sorted((self._home.imports / import_id).glob("rejects-*.csv")):
                yield _remnant("rejects", str(path.relative_to(self._home.path)), path)

    def _age(self, path: Path) -> int:
        """Microseconds since it was written or moved."""
        try:
            facts = path.lstat()
        except FileNotFoundError:
            return 0
        return self._clock.wall() - int(max(facts.st_mtime, facts.st_ctime) * 1e6)


def cleanup(ctx: JobContext) -> dict[str, Any]:
    """The job's child does nothing: files and rows belong to the shop's process, which cleans when this has ended."""
    ctx.report(1, 2, message="looking")
    return {}


def check_policies(names: Sequence[str]) -> Sequence[str]:
    """All when none is named. Raises Invalid."""
    if unknown := [name for name in names if name not in POLICIES]:
        raise Invalid(f"there is no policy {unknown[0][:40]!r}; there are: {', '.join(POLICIES)}", field="policies")
    return list(dict.fromkeys(names)) or POLICIES


def _remnant(kind: str, name: str, path: Path) -> _Found:
    return _Found(kind, name, bytes_of(path), lambda: remove_folder(path))


def _spoken(model: str, scope: str, number: int) -> str:
    return f"{model}/v{number}" if scope == "all" else f"{model}[{scope}]/v{number}"
