"""A version as one file that travels: `version.json` with its facts, and its sealed folder below `artifact/`.

    write_archive(version, family, folder, target)
    with read_archive(file, below=root, limits=limits) as arrived:      # checked whole before a byte is written
        registry.register(arrived.folder, ...)

What arrives is not trusted: names, sizes, kinds and content are checked, and every file against the manifest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

import msgspec

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.ids import check_name, ulid
from shopkeeper.core.records import FileEntry, Gate, Version
from shopkeeper.lifecycle.loading import GOLDEN
from shopkeeper.stores import artifacts
from shopkeeper.stores.archives import ArchiveLimits, entries, pack
from shopkeeper.stores.artifacts import MANIFEST, check_file_name, sync_folder
from shopkeeper.stores.sniffing import HEAD, check_head, check_zip

T = TypeVar("T")
FORMAT = 1
FACTS, INSIDE = "version.json", "artifact/"
STAGING = ".incoming"
_TEXT_LIMIT = 16 << 20


class Facts(msgspec.Struct, kw_only=True):
    """What a version was where it was made; aliases and status stay there."""

    format: int
    model: str
    scope: str
    version: int
    family: str
    algorithm: str
    files: list[FileEntry]
    params: dict[str, Any] = {}
    feature_names: list[str] = []
    metrics: dict[str, Any] = {}
    gate: Gate | None = None
    data: dict[str, Any] = {}
    code_version: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    label: str = ""


@dataclass(frozen=True)
class Arrived:
    """An archive that holds what it says: its facts, the folder it was unpacked to, and the archive's own SHA-256."""

    facts: Facts
    folder: Path
    sha256: str


class _Manifest(msgspec.Struct):
    files: list[FileEntry]


def write_archive(version: Version, family: str, folder: Path, target: Path) -> None:
    """Raises NotFound, Unavailable (the folder is not what was sealed)."""
    artifacts.verify(folder, version.files)
    facts = Facts(
        format=FORMAT,
        model=version.model,
        scope=version.scope,
        version=version.version,
        family=family,
        algorithm=version.algorithm,
        files=version.files,
        params=version.params,
        feature_names=version.feature_names,
        metrics=version.metrics,
        gate=version.gate,
        data=version.data,
        code_version=version.code_version,
        created_at=version.created_at,
        created_by=version.created_by,
        label=version.label,
    )
    names = [MANIFEST, *(entry.name for entry in version.files)]
    inside: list[tuple[str, Path | bytes]] = [(f"{INSIDE}{name}", folder / name) for name in names]
    pack([(FACTS, msgspec.json.format(msgspec.json.encode(facts), indent=2)), *inside], target)


@contextmanager
def read_archive(file: BinaryIO, *, below: Path, limits: ArchiveLimits) -> Iterator[Arrived]:
    """Check an archive, then unpack it into a folder of its own under `below`, which is gone again afterwards unless
    somebody moved it away.

    Raises Invalid (`bad_archive`, `archive_too_large`, `artifact_refused`), Unavailable when the disk refuses.
    """
    facts = _checked(file, limits)
    folder = below / STAGING / ulid()
    try:
        try:
            _unpack(file, limits, folder)
        except OSError as error:
            raise Unavailable(
                f"the archive cannot be unpacked: {error}; check the disk's free space", code="disk"
            ) from error
        for entry in facts.files:
            check_zip(entry.name, folder / entry.name)
            _check_graph(folder / entry.name)
        yield Arrived(facts, folder, _sha256(file))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(file: BinaryIO, limits: ArchiveLimits) -> Facts:
    """Reads all of it once and writes nothing."""
    texts: dict[str, bytes] = {}
    found: dict[str, FileEntry] = {}
    for entry in entries(file, limits):
        name = _inner_name(entry.name)
        if entry.name == FACTS or name == MANIFEST:
            if entry.size > _TEXT_LIMIT:
                raise _bad(f"{entry.name} has {entry.size} bytes")
            texts[entry.name] = b"".join(entry.chunks)
            continue
        digest, head = hashlib.sha256(), b""
        for chunk in entry.chunks:
            digest.update(chunk)
            head += chunk[: HEAD - len(head)]
        check_head(name, head)
        found[name] = FileEntry(name=name, sha256=digest.hexdigest(), bytes=entry.size)
    facts = _decoded(texts, FACTS, Facts)
    manifest = _decoded(texts, f"{INSIDE}{MANIFEST}", _Manifest)
    _compare(facts, manifest, found)
    return facts


def _inner_name(name: str) -> str:
    """The name below `artifact/`. Raises Invalid for anything that an export does not write."""
    if name == FACTS:
        return name
    if not name.startswith(INSIDE):
        raise _bad(f"{name[:120]!r} is no file of an export")
    inner = name.removeprefix(INSIDE)
    check_file_name(inner)
    return inner


def _compare(facts: Facts, manifest: _Manifest, found: dict[str, FileEntry]) -> None:
    """Facts, manifest and content must say the same."""
    if facts.format != FORMAT:
        raise _bad(f"its format is {facts.format}, this shop reads {FORMAT}")
    check_name(facts.model, "model")
    expected = {entry.name: entry for entry in manifest.files}
    if expected != {entry.name: entry for entry in facts.files} or len(expected) != len(facts.files):
        raise _bad(f"{FACTS} and the manifest name different files")
    if missing := sorted(set(expected) - set(found)):
        raise _bad(f"{missing[0]} is missing")
    if extra := sorted(set(found) - set(expected)):
        raise _bad(f"{extra[0]!r} is not in its manifest")
    for name, entry in expected.items():
        if found[name] != entry:
            raise _bad(f"{name} does not have the size and SHA-256 of its manifest")
    folders = {str(parent) for name in expected for parent in PurePosixPath(name).parents}
    if clash := sorted(folders & set(expected)):
        raise _bad(f"{clash[0]!r} is a file and a folder at once")
    if GOLDEN not in expected:
        raise _bad(f"it has no {GOLDEN}, with which every load is compared")


def _unpack(file: BinaryIO, limits: ArchiveLimits, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for entry in entries(file, limits):
        if entry.name == FACTS:
            continue
        path = folder / _inner_name(entry.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            for chunk in entry.chunks:
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    for directory in {folder, *(path.parent for path in folder.rglob("*"))}:
        sync_folder(directory)


def _check_graph(path: Path) -> None:
    """A graph in an archive may do no more than one that is uploaded. Raises Invalid (`bad_graph`, `too_large`)."""
    if path.suffix.lower() == ".onnx":
        from shopkeeper.learning.onnx_checking import check_bytes, check_operators

        check_bytes(path.stat().st_size)
        check_operators(path.read_bytes())


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _decoded(texts: dict[str, bytes], name: str, kind: type[T]) -> T:
    if name not in texts:
        raise _bad(f"it has no {name}: it is no export of a version")
    try:
        return msgspec.json.decode(texts[name], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"{name} cannot be read ({str(error)[:200]})") from error


def _bad(what: str) -> Invalid:
    return Invalid(f"the archive is refused: {what}; export it again", code="bad_archive", field="file")
