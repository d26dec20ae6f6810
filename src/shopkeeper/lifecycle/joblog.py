"""What a job prints: one file in its folder, bounded, read from its end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

LOG = "log.txt"
_TAIL_BYTES = 4 * 1024 * 1024
_NOTE = b"... the older part of this log was dropped: it had grown beyond %d bytes ...\n"


def trim(file: Path, limit: int) -> None:
    """Keeps the last quarter of `limit` bytes of a log that is larger. The job may be writing (it appends) meanwhile:
    a few of its lines may be lost. A disk that refuses is no reason to end the job."""
    with suppress(OSError), file.open("r+b") as log:
        if log.seek(0, 2) <= limit:
            return
        log.seek(-(limit // 4), 2)
        kept = log.read(limit // 4).partition(b"\n")[2]
        log.truncate(0)
        with file.open("ab") as end:
            end.write(_NOTE % limit + kept)


def tail(file: Path, lines: int) -> str:
    """The last lines (of the last 4 MiB); empty when nothing was printed yet."""
    if not file.exists():
        return ""
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        found = log.read(_TAIL_BYTES).splitlines(keepends=True)
    return b"".join(found[-lines:]).decode(errors="replace")
