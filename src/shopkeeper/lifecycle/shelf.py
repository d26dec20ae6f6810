"""How versions lie in a bucket, as older tools of a data team know it:

    <folder>/<model>/model-<version>.tar.gz      registry.json      .current_version

`registry.json` maps a version to {version, files, registered_at, status, s3_bucket, s3_key, sha256, bytes}; status is
staging, production or archived. Runs in the child processes of the job kinds `upload` and `deploy`; `publishing.py` is
their other half, in the shop's process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import JobContext
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.archives import write_archive
from shopkeeper.sources.objects import ObjectStore, object_store
from shopkeeper.stores.artifacts import scope_folder

REGISTRY, CURRENT = "registry.json", ".current_version"
ARCHIVE = "archive.tar.gz"
_TEXT_LIMIT = 16 << 20
Entries = dict[str, dict[str, Any]]


class UploadTask(msgspec.Struct, kw_only=True):
    """`states`: every version's state when the job began; `current`: the champion. `store`: how to reach the bucket."""

    url: str
    version: Version
    family: str
    folder: str
    states: dict[str, str]
    current: int | None
    store: dict[str, Any]


class FetchTask(msgspec.Struct, kw_only=True):
    """`version` empty: what `.current_version` names. A url that ends in .tar.gz is the archive itself."""

    url: str
    model: str
    scope: str
    version: str
    limit: int
    store: dict[str, Any]


def shelf_url(url: str, model: str, scope: str) -> str:
    """The folder of one model below a URL."""
    base = f"{url.rstrip('/')}/{model}"
    return base if scope == "all" else f"{base}/{scope_folder(scope)}"


def archive_name(version: int | str) -> str:
    return f"model-{version}.tar.gz"


def upload(ctx: JobContext) -> dict[str, Any]:
    """Pack, probe, upload, ask for the size; then note it in the bucket's registry."""
    task = msgspec.convert(dict(ctx.params), UploadTask)
    version = task.version
    store = object_store(shelf_url(task.url, version.model, version.scope), **task.store)
    ctx.report(5, 100, message="asking the store")
    store.probe()
    ctx.report(10, 100, message="packing")
    path, name = ctx.workdir / ARCHIVE, archive_name(version.version)
    write_archive(version, task.family, Path(task.folder), path)
    try:
        digest, size = sha256_of(path), path.stat().st_size
        ctx.report(30, 100, message="uploading")
        store.upload(path, name)
    finally:
        path.unlink(missing_ok=True)
    ctx.report(90, 100, message="noting it")
    key = f"{store.folder}/{name}"
    _note(store, task, {"s3_bucket": store.bucket, "s3_key": key, "sha256": digest, "bytes": size})
    return {"bucket": store.bucket, "key": key, "url": f"{store.url}/{name}", "sha256": digest, "bytes": size}


def fetch(ctx: JobContext) -> dict[str, Any]:
    """Find the archive and download it into the job's folder; the shop's process brings it in."""
    task = msgspec.convert(dict(ctx.params), FetchTask)
    ctx.report(5, 100, message="asking the store")
    store, name, known = _found(task)
    path = ctx.workdir / ARCHIVE
    size = store.download(name, path, limit=task.limit)
    digest = sha256_of(path)
    if known is not None and known != digest:
        raise Invalid(
            f"{store.url}/{name} has another SHA-256 than {REGISTRY} says; upload it again", code="bad_archive"
        )
    return {"archive": ARCHIVE, "url": f"{store.url}/{name}", "sha256": digest, "bytes": size}


def entry_of(version: Version, state: str) -> dict[str, Any]:
    """A version as `registry.json` tells it."""
    return {
        "version": str(version.version),
        "files": sorted(file.name for file in version.files),
        "registered_at": version.created_at,
        "status": state,
        "s3_bucket": None,
        "s3_key": None,
    }


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_entries(store: ObjectStore) -> Entries:
    """The bucket's registry; empty when there is none. Raises Invalid when it is something else."""
    try:
        return msgspec.json.decode(_small(store, REGISTRY), type=Entries)
    except NotFound as error:
        if error.code != "unknown_object":
            raise
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            f"{store.url}/{REGISTRY} is no registry ({str(error)[:100]}); move it away", code="bad_registry"
        ) from error


def _note(store: ObjectStore, task: UploadTask, stored: Mapping[str, Any]) -> None:
    """This version's entry, and the others' states as they are now."""
    known = read_entries(store)
    for number, entry in known.items():
        entry["status"] = task.states.get(number, entry.get("status"))
    number = str(task.version.version)
    known[number] = {**entry_of(task.version, task.states.get(number, "staging")), **stored}
    store.write(REGISTRY, msgspec.json.format(msgspec.json.encode(known), indent=2))
    if task.current is not None and str(task.current) in known:
        store.write(CURRENT, f"{task.current}\n".encode())


def _found(task: FetchTask) -> tuple[ObjectStore, str, str | None]:
    """(store, object, expected SHA-256)"""
    if task.url.endswith(".tar.gz"):
        folder, _, name = task.url.rpartition("/")
        return object_store(folder, **task.store), name, None
    store = object_store(shelf_url(task.url, task.model, task.scope), **task.store)
    number = task.version or _current(store)
    known = read_entries(store).get(number, {})
    return store, archive_name(number), known.get("sha256")


def _current(store: ObjectStore) -> str:
    try:
        text = _small(store, CURRENT).decode("ascii", "replace").strip()
    except NotFound as error:
        raise NotFound(f"{store.url} has no {CURRENT}; say which version", code="unknown_version") from error
    if not text.isdecimal() or len(text) > 9:
        raise Invalid(f"{store.url}/{CURRENT} holds {text[:40]!r}, expected a version's number", code="bad_registry")
    return text


def _small(store: ObjectStore, name: str) -> bytes:
    if (size := store.size(name)) > _TEXT_LIMIT:
        raise Invalid(f"{store.url}/{name} has {size} bytes; that is none of ours", code="bad_registry")
    return store.read(name)
