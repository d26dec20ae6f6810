"""Training files in an object store: `s3://bucket/...` and `oss://bucket/...`."""

from __future__ import annotations

import fnmatch
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import Report
from shopkeeper.sources.buckets import Addressing, read_url, server_of
from shopkeeper.sources.files import endings
from shopkeeper.sources.objects import ObjectStore, object_store
from shopkeeper.sources.tables.base import Options, Reach, Table
from shopkeeper.sources.tables.files import MAX_FILE_BYTES, MAX_FILES, Format, read_files

Text = Annotated[str, msgspec.Meta(max_length=1024)]


class ObjectOptions(Options, kw_only=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    format: Format | None = None
    endpoint: Text | None = None
    region: Text | None = None
    addressing: Addressing | None = None
    access_key: Text | None = None
    secret_key: Text | None = None
    session_token: Annotated[str, msgspec.Meta(max_length=4096)] | None = None


class ObjectTable:
    """`path`: an object, a folder, or a pattern of `*` and `[]`."""

    name: ClassVar[str] = "oss"
    description: ClassVar[str] = "Files in S3, Aliyun OSS or whatever speaks S3: one, a folder, or a pattern"
    Options: ClassVar[type[Options]] = ObjectOptions
    secrets: ClassVar[tuple[str, ...]] = ("access_key", "secret_key", "session_token")

    def reach(self, options: ObjectOptions) -> Reach:
        return Reach(hosts=(server_of(options.path, endpoint=options.endpoint, region=options.region),))

    def read(self, options: ObjectOptions, zone: str, report: Report) -> Table:
        place = read_url(options.path)
        store = object_store(
            f"{place.scheme}://{place.bucket}",
            endpoint=options.endpoint,
            region=options.region,
            access_key=options.access_key,
            secret_key=options.secret_key,
            session_token=options.session_token,
            addressing=options.addressing,
        )
        names = _matching(store, place.folder, options.path)
        with tempfile.TemporaryDirectory(prefix="shopkeeper-") as folder:
            files = []
            for number, name in enumerate(names):
                report(number, 2 * len(names), message=f"fetching {name}")
                files.append(Path(folder, str(number), Path(name).name[-100:]))
                files[-1].parent.mkdir()
                store.download(name, files[-1], limit=MAX_FILE_BYTES)
            frame, facts = read_files(files, options.format, options.path, zone, report)
        server = server_of(options.path, endpoint=options.endpoint, region=options.region)
        return Table(frame, {"name": options.path, "server": server, **facts})


def _matching(store: ObjectStore, key: str, path: str) -> list[str]:
    """The objects that a key, a folder or a pattern names, sorted. Raises NotFound, Invalid (too much)."""
    steps = key.split("/")
    fixed = next((place for place, step in enumerate(steps) if any(sign in step for sign in "*[")), None)
    if fixed is None:
        if key and not path.endswith("/") and _exists(store, key):
            return [key]
        known = endings()
        found = [one for one in store.list(key) if one[0].lower().endswith(known)]
        kept = f" that ends with one of {' '.join(known)}"
    else:
        found = [one for one in store.list("/".join(steps[:fixed])) if _fits(one[0].split("/"), steps)]
        kept = ""
    if not found:
        raise NotFound(f"no object at {path}{kept}; give an object, a folder or a pattern", code="no_file")
    if len(found) > MAX_FILES or sum(size for _, size in found) > MAX_FILE_BYTES:
        raise Invalid(
            f"{path} names {len(found)} objects of {sum(size for _, size in found) >> 20} MiB; at most {MAX_FILES} "
            f"of {MAX_FILE_BYTES >> 30} GiB together are read",
            code="too_large",
            field="path",
        )
    return [name for name, _ in found]


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        store.size(key)
    except NotFound as error:
        if error.code == "unknown_object":
            return False
        raise
    return True


def _fits(name: list[str], pattern: list[str]) -> bool:
    return len(name) == len(pattern) and all(map(fnmatch.fnmatchcase, name, pattern))
