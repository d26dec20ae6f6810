"""Removing versions and models: the row says so first, then the files go, and a cleanup finishes what was cut short."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Protocol

from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.registry import REMOVED, Registry

log = logging.getLogger(__name__)


class Holder(Protocol):
    """Who keeps versions in memory."""

    def peek(self, model: str, ref: str = ..., scope: str = ...) -> Any: ...

    def drop(self, version: Version) -> None: ...


class Removal:
    def __init__(self, registry: Registry, holder: Holder) -> None:
        self._registry = registry
        self._holder = holder

    def version(self, model: str, ref: str | int, scope: str = "all", *, by: str = "", let_go: bool = False) -> int:
        """Remove a version's files; the bytes that it took. `let_go`: only the champion stays, whatever else points at
        it. Raises NotFound, Conflict (`in_use`, `removed`)."""
        with self._registry.unmoved():
            found = self._registry.version(model, ref, scope)
            if found.status == REMOVED:
                raise Conflict(f"{model} v{found.version} was removed already", code=REMOVED)
            self._registry.remove(found, by=by, let_go=let_go)
            self._holder.drop(found)
            freed = remove_folder(self._registry.folder(found))
        log.info("%s v%s was removed by %s: %d bytes", model, found.version, by or "somebody", freed)
        return freed

    def model(self, model: str, scope: str = "all", *, by: str = "", force: bool = False) -> int:
        """Remove a model with all its versions. `force`: also when it serves. Raises NotFound, Conflict (`serving`)."""
        with self._registry.unmoved():
            versions, cursor, _ = self._registry.versions(model, scope, limit=1000)
            while cursor is not None:
                more, cursor, _ = self._registry.versions(model, scope, limit=1000, cursor=cursor)
                versions += more
            self._registry.forget(model, scope, by=by, force=force)
            freed = sum(remove_folder(self._registry.folder(one)) for one in versions)
        log.info("model %s (%s) was removed by %s: %d bytes", model, scope, by or "somebody", freed)
        return freed

    def loaded(self, version: Version) -> bool:
        return self._holder.peek(version.model, str(version.version), version.scope) is not None


def bytes_of(path: Path) -> int:
    """Of a file, or of all files below a folder; 0 when it is not there."""
    if path.is_file() or path.is_symlink():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file() or one.is_symlink())


def remove_folder(path: Path) -> int:
    """Remove a folder or file; the bytes that are free now. What the system refuses stays, for the next cleanup."""
    size = bytes_of(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return size - bytes_of(path)
