"""Artifacts: the files of a model version, sealed by a manifest and verified before a byte of them is read.

    <root>/<model>/<scope>/v<version>/   manifest.json, golden.json, and what Model.save wrote

A folder is written elsewhere, sealed (SHA-256 and size of every file, all of it on the disk), and then moved into its
place by one rename: a half-written version is never seen. Errors: Unavailable `artifact_broken` for anything that is
not exactly what was sealed, NotFound `artifact_missing`, Invalid `artifact_refused` for what may not be sealed at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.ids import check_name, ulid
from shopkeeper.core.records import FileEntry

MANIFEST = "manifest.json"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
_DEEPEST = 4
CODE = frozenset(
    {
        ".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".mar", ".skops", ".h5", ".keras",
        ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".exe", ".bat", ".jar", ".whl",
    }
)  # fmt: skip


def seal(folder: Path, facts: dict[str, object]) -> list[FileEntry]:
    """Hash every file of `folder`, write `manifest.json` with them and `facts`, and bring all of it to the disk.

    Raises Invalid for a link, an odd name, or a file that could carry code (pickle and the like).
    """
    names = [name for name in _walk(folder, refused=Invalid) if name != MANIFEST]
    for name in names:
        check_file_name(name)
    files = [_entry(folder, name, sync=True) for name in sorted(names)]
    if not files:
        raise Invalid("the model saved no file; save() must write at least one", code="artifact_refused")
    _write_manifest(folder, {**facts, "files": files})
    for directory in {folder, *((folder / name).parent for name in names)}:
        sync_folder(directory)
    return files


def verify(folder: Path, files: Sequence[FileEntry]) -> None:
    """Raises unless `folder` holds exactly `files` (and its manifest), byte for byte."""
    if not folder.is_dir():
        raise NotFound(f"the artifact folder of {_spoken(folder)} is gone", code="artifact_missing")
    expected = {entry.name: entry for entry in files}
    present = set(_walk(folder, refused=Unavailable)) - {MANIFEST}
    for name in expected:
        check_file_name(name)
    if missing := sorted(set(expected) - present):
        raise _broken(folder, f"{missing[0]} is missing")
    if extra := sorted(present - set(expected)):
        raise _broken(folder, f"{extra[0]} is not in its manifest")
    for name, entry in expected.items():
        found = _entry(folder, name)
        if found.bytes != entry.bytes:
            raise _broken(folder, f"{name} has {found.bytes} bytes, expected {entry.bytes}")
        if found.sha256 != entry.sha256:
            raise _broken(folder, f"{name} does not have the SHA-256 of its manifest")


def read_manifest(folder: Path) -> dict[str, object]:
    """The manifest that lies in the folder. Raises Unavailable when it cannot be read."""
    try:
        manifest: dict[str, object] = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError) as error:
        raise _broken(folder, f"its manifest cannot be read ({error})") from error
    return manifest


class ArtifactStore:
    """The folders of all versions under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, model: str, scope: str, version: int) -> Path:
        """Where a version lies. No name or scope leads outside the root."""
        check_name(model, "model")
        return self.root / model / scope_folder(scope) / f"v{int(version)}"

    def adopt(self, sealed: Path, model: str, scope: str, version: int) -> Path:
        """Move a sealed folder to its place (same file system). What lay there without a row is set aside, not lost."""
        target = self.folder(model, scope, version)
        if sealed == target:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(target.with_name(f"{target.name}.stray-{ulid()}"))
        sealed.rename(target)
        for directory in (target.parent, target.parent.parent, sealed.parent):
            sync_folder(directory)
        return target


def scope_folder(scope: str) -> str:
    """A folder name for a scope: `all`, or kind and hash, because ids may be longer than a file name can be."""
    if scope == "all":
        return scope
    kind = scope.partition(":")[0]
    if not re.fullmatch(r"[a-z]{1,16}", kind) or kind == scope:
        raise Invalid(f"scope {scope[:80]!r} must be all, product:ID or store:ID", code="bad_scope", field="scope")
    return f"{kind}-{hashlib.sha256(scope.encode()).hexdigest()[:24]}"


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is either whole or not there."""
    temporary = path.with_name(f".{path.name}.{ulid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_manifest(folder: Path, manifest: dict[str, object]) -> None:
    write_durably(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def _walk(folder: Path, *, refused: type[ShopkeeperError]) -> Iterator[str]:
    """Relative names of all plain files. Links, sockets and devices raise."""
    for parent, directories, names in os.walk(folder):
        for name in (*directories, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise refused(
                    f"{path.relative_to(folder)} is a link or a special file; an artifact holds plain files only",
                    code="artifact_refused" if refused is Invalid else "artifact_broken",
                )
        for name in names:
            yield Path(parent, name).relative_to(folder).as_posix()


def check_file_name(name: str) -> None:
    """Raises Invalid for a name that leads elsewhere, is odd, or belongs to a format that can carry code."""
    parts = name.split("/")
    if len(parts) > _DEEPEST or not all(_PART.fullmatch(part) for part in parts):
        raise Invalid(f"file name {name[:120]!r} is not allowed in an artifact", code="artifact_refused")
    if any(Path(part).suffix.lower() in CODE for part in parts):
        raise Invalid(
            f"{name} could carry code; save data only (json, npz, safetensors, onnx, parquet)", code="artifact_refused"
        )


def _entry(folder: Path, name: str, *, sync: bool = False) -> FileEntry:
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        if sync:
            os.fsync(file.fileno())
    return FileEntry(name=name, sha256=digest, bytes=size)


def _broken(folder: Path, what: str) -> Unavailable:
    return Unavailable(
        f"the artifact {_spoken(folder)} is broken: {what}; train again or roll back", code="artifact_broken"
    )


def _spoken(folder: Path) -> str:
    return "/".join(folder.parts[-3:])
