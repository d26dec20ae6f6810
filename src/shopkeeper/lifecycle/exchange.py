"""Versions leave a home and enter another one, as archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from shopkeeper import plugins
from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Gate, Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.archives import STAGING, Arrived, Facts, read_archive, write_archive
from shopkeeper.lifecycle.legacy import write_legacy
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.stores.archives import ArchiveLimits


class Exchange:
    """`root` is the folder of all artifacts: what arrives is unpacked beside them, so that one rename brings it in."""

    def __init__(self, registry: Registry, root: Path, clock: Clock, *, limits: ArchiveLimits | None = None) -> None:
        self._registry = registry
        self._root = root
        self._clock = clock
        self._limits = limits or ArchiveLimits()

    @property
    def limits(self) -> ArchiveLimits:
        return self._limits

    def place(self) -> Path:
        """A new file name for an archive that somebody is about to read; a crash leaves it to the cleanup."""
        return self._root / STAGING / f"{ulid()}.tar.gz"

    def export(self, version: Version, target: Path, *, legacy: bool = False) -> None:
        """Write an archive of a version; one version always gives the same bytes. `legacy`: the files of an older
        server instead. Raises NotFound (removed), Unavailable (broken, disk), Invalid (no such form of it).
        """
        if version.status == REMOVED:
            raise NotFound(f"the files of {version.model} v{version.version} were removed", code="artifact_missing")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if legacy:
                write_legacy(version, self._registry.folder(version), target)
            else:
                write_archive(version, self._family(version), self._registry.folder(version), target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise Unavailable(
                f"the archive cannot be written: {error}; check the disk's free space", code="disk"
            ) from error

    def bring_in(
        self,
        file: BinaryIO,
        *,
        by: str,
        model: str | None = None,
        scope: str | None = None,
        job_id: str | None = None,
        again: bool = False,
        family: str | None = None,
    ) -> Version:
        """Register what an archive holds as a new version, of the model it names or another one. Its gate says HOLD:
        it was measured on another shop's rows, so it is evaluated here first, or promoted by `force`. `again`: a
        version with the same files is given as it is, instead of Conflict. `family`: no other one is taken.

        Raises Invalid (the archive, an unknown algorithm, another family), Conflict (`exists`), Unavailable (disk).
        """
        with read_archive(file, below=self._root, limits=self._limits) as arrived:
            facts = arrived.facts
            _check_algorithm(facts)
            if family not in (None, facts.family):
                raise Invalid(
                    f"the archive holds a model of the family {facts.family!r}, expected {family!r}",
                    code="wrong_family",
                    field="file",
                )
            name, where = model or facts.model, scope or facts.scope
            self._check_family(name, where, facts.family)
            made = self._candidate(arrived, name, where)
            if again and (same := self._registry.same_files(name, where, facts.files)) is not None:
                return same
            return self._registry.register(arrived.folder, made, by=by, job_id=job_id, new=True)

    def _candidate(self, arrived: Arrived, model: str, scope: str) -> Candidate:
        facts = arrived.facts
        lineage: dict[str, Any] = {
            "model": facts.model,
            "scope": facts.scope,
            "version": facts.version,
            "label": facts.label,
            "created_at": facts.created_at,
            "created_by": facts.created_by,
            "gate": facts.gate,
            "archive_sha256": arrived.sha256,
            "imported_at": rfc3339(self._clock.wall()),
            "imported_from": facts.data.get("imported_from"),
        }
        data = {name: value for name, value in facts.data.items() if name != "against"}
        reason = (
            f"imported from {facts.model} v{facts.version}, never measured here: evaluate it, or promote it by force"
        )
        return Candidate(
            model=model,
            scope=scope,
            family=facts.family,
            algorithm=facts.algorithm,
            files=facts.files,
            params=facts.params,
            seed=seed if isinstance(seed := data.pop("seed", 0), int) else 0,
            feature_names=facts.feature_names,
            data={**data, "imported_from": msgspec.to_builtins(lineage)},
            metrics=facts.metrics,
            gate=Gate(verdict="HOLD", reasons=[reason]),
            code_version=facts.code_version,
            label=self.free_label(model, scope, facts.label),
        )

    def free_label(self, model: str, scope: str, label: str) -> str:
        """The same, or none where it is taken or is no label here: the version is then called by its time."""
        try:
            self._registry.check_free(model, scope, label)
        except (Conflict, Invalid):
            return ""
        return label

    def _family(self, version: Version) -> str:
        return self._registry.model(version.model, version.scope).task

    def _check_family(self, model: str, scope: str, family: str) -> None:
        try:
            known = self._registry.model(model, scope).task
        except NotFound:
            return
        if known != family:
            raise Invalid(
                f"model {model!r} is of the family {known!r}, the archive of {family!r}; use another name",
                code="wrong_family",
                field="file",
            )


def _check_algorithm(facts: Facts) -> None:
    try:
        trainer = plugins.algorithm(facts.algorithm)
    except NotFound as error:
        raise Invalid(
            f"the archive needs an algorithm: {error.message}", code="unknown_algorithm", field="file"
        ) from error
    if trainer.family != facts.family:
        raise Invalid(
            f"the archive says family {facts.family!r}, its algorithm {facts.algorithm!r} is of {trainer.family!r}",
            code="bad_archive",
            field="file",
        )


def states(registry: Registry, model: str, scope: str = "all") -> dict[int, str]:
    """Every version's state in the words of older registries: production is the champion, archived one that was it or
    was removed, staging one that never served. Raises NotFound."""
    changes = registry.history(model, scope)
    champion = registry.model(model, scope).aliases.get(CHAMPION)
    former = {change.version for change in changes}
    found: dict[int, str] = {}
    cursor: str | None = None
    while True:
        page, cursor, _ = registry.versions(model, scope, limit=1000, cursor=cursor)
        for one in page:
            past = one.version in former or one.status == REMOVED
            found[one.version] = "production" if one.version == champion else "archived" if past else "staging"
        if cursor is None:
            return found
