"""Archives: `.tar.gz` files, written so that equal content gives equal bytes, and read without trusting a byte.

Only what `pack` writes is read: plain files with short names. Whoever reads gets every entry as a stream, under limits
that hold before anything is written or kept in memory: compressed and unpacked size, their ratio, number of entries.
The reader parses the 512-byte headers itself; extended headers, which may claim any size, are refused unread.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shopkeeper.core.errors import Invalid

_BLOCK = 512
_CHUNK = 1 << 20
_FREE_RATIO = 1 << 20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}


@dataclass(frozen=True)
class ArchiveLimits:
    """`ratio`: unpacked bytes for each compressed one, beyond the first MiB."""

    compressed: int = 1 << 30
    unpacked: int = 4 << 30
    ratio: int = 200
    entries: int = 1000


@dataclass(frozen=True)
class Entry:
    """One file of an archive. `chunks` is read before the next entry is asked for."""

    name: str
    size: int
    chunks: Iterator[bytes]


def pack(entries: Iterable[tuple[str, Path | bytes]], target: Path) -> None:
    """Write an archive: no owner, no time, names in order. Raises Invalid for a name that does not fit a header."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in sorted(entries, key=lambda entry: entry[0]):
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            try:
                if isinstance(content, bytes):
                    import io

                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
                else:
                    info.size = content.stat().st_size
                    with content.open("rb") as file:
                        tar.addfile(info, file)
            except ValueError as error:
                raise Invalid(f"{name} cannot go into an archive: {error}", code="bad_archive") from error


def entries(file: BinaryIO, limits: ArchiveLimits) -> Iterator[Entry]:
    """The files of an archive, from its begin. Raises Invalid (`bad_archive`, `archive_too_large`)."""
    size = file.seek(0, 2)
    file.seek(0)
    if size > limits.compressed:
        raise _too_large(f"it has {size} bytes, the limit is {limits.compressed}")
    allowed = min(limits.unpacked, max(_FREE_RATIO, size * limits.ratio))
    with gzip.GzipFile(fileobj=file, mode="rb") as zipped:
        source = _Bounded(zipped, allowed, limits.unpacked)
        seen: set[str] = set()
        while (header := source.block()) is not None:
            info = _header(header)
            _check_unique(info.name, seen)
            if len(seen) > limits.entries:
                raise _too_large(f"it has more than {limits.entries} entries")
            chunks = source.chunks(info.size)
            yield Entry(info.name, info.size, chunks)
            for _ in chunks:
                pass
            source.skip(-info.size % _BLOCK)
        source.finish()


class _Bounded:
    """An unpacking stream that gives out so many bytes and no more."""

    def __init__(self, source: gzip.GzipFile, allowed: int, unpacked: int) -> None:
        self._source = source
        self._left = allowed
        self._why = (
            f"unpacked it has more than {unpacked} bytes"
            if allowed == unpacked
            else f"it unpacks to more than {allowed} bytes, suspiciously many for its size"
        )

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises Invalid when there are less."""
        if size > self._left:
            raise _too_large(self._why)
        self._left -= size
        try:
            content = self._source.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _bad(f"it is no whole gzip file ({error})") from error
        if len(content) != size:
            raise _bad("it ends in the middle")
        return content

    def block(self) -> bytes | None:
        """The next header; None at the end mark."""
        block = self.read(_BLOCK)
        return block if block.strip(b"\0") else None

    def chunks(self, size: int) -> Iterator[bytes]:
        while size:
            chunk = self.read(min(size, _CHUNK))
            size -= len(chunk)
            yield chunk

    def skip(self, size: int) -> None:
        self.read(size)

    def finish(self) -> None:
        """Nothing but zeros may follow; reading on to the end checks gzip's own check sum."""
        while True:
            try:
                rest = self._source.read(_CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise _bad(f"it is no whole gzip file ({error})") from error
            if not rest:
                return
            self._left -= len(rest)
            if self._left < 0:
                raise _too_large(self._why)
            if rest.strip(b"\0"):
                raise _bad("something follows its end mark")


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise _bad(f"a header cannot be read ({error})") from error
    if info.type not in _PLAIN:
        kind = _KINDS.get(info.type, "an entry of a kind that is not read here")
        raise _bad(f"{info.name[:120]!r} is {kind}; only plain files are read")
    if info.size < 0:
        raise _bad(f"{info.name[:120]!r} has a negative size")
    return info


def _check_unique(name: str, seen: set[str]) -> None:
    """Also where upper and lower case are one, and no file may stand where another one's folder is."""
    folded = name.casefold()
    if folded in seen:
        raise _bad(f"{name[:120]!r} is in it twice")
    seen.add(folded)


def _bad(what: str) -> Invalid:
    return Invalid(f"the archive is refused: {what}; export it again", code="bad_archive", field="file")


def _too_large(what: str) -> Invalid:
    return Invalid(f"the archive is refused: {what}", code="archive_too_large", field="file")
