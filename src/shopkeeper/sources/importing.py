"""Reading a file into chunks that the shop commits one by one: the job kind `import`, in its child process.

A chunk is two files in the import's folder, named by its first row: checked rows as Parquet and refused rows as CSV.
The child writes no SQL; the parent commits each chunk in one transaction (`operations/import_rows.py`) and tells the
next attempt at which row to begin. A chunk written twice is the same chunk.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import JobContext, Report
from shopkeeper.sources.checking import check
from shopkeeper.sources.files import file_sha256, open_source
from shopkeeper.sources.mapping import Plan, check_complete
from shopkeeper.sources.reading import Setting
from shopkeeper.sources.source import Broken, Layout

HASH_LENGTH = 16  # of 64 digits; enough that no two files of a shop share it


class Task(msgspec.Struct, kw_only=True):
    """What is to be read. `next_row`: rows before it are committed already. `folder`: where chunks are put."""

    path: str
    folder: str
    kind: str
    plan: dict[str, Any]
    layout: dict[str, Any]
    sha256: str
    rows: int
    next_row: int = 1


class Chunk(msgspec.Struct, kw_only=True):
    """Rows `first_row` to `next_row - 1` of the file: `rows` good ones in `good`, `rejected` ones in `rejects`."""

    first_row: int
    next_row: int
    rows: int
    rejected: int
    good: str
    rejects: str | None


def run_import(ctx: JobContext) -> dict[str, Any]:
    """Emits {"chunk": Chunk} for each chunk; the result says how many rows were read and refused."""
    task = msgspec.convert(ctx.params, Task)
    read = rejected = 0
    for chunk in chunks(task, zone=ctx.zone, now=ctx.now, report=ctx.report):
        ctx.emit({"chunk": msgspec.to_builtins(chunk)})
        read, rejected = chunk.next_row - 1, rejected + chunk.rejected
    return {"rows": read, "rejected_now": rejected}


def chunks(task: Task, *, zone: str, now: int, report: Report) -> Iterator[Chunk]:
    """Reads, checks and writes chunk after chunk from `task.next_row` on. Raises Invalid when the file has changed."""
    path, folder = Path(task.path), Path(task.folder)
    if not path.exists() or file_sha256(path) != task.sha256:
        raise Invalid(
            f"{path.name} is gone or has changed since it was looked at; import it again", code="file_changed"
        )
    plan, layout = msgspec.convert(task.plan, Plan), msgspec.convert(task.layout, Layout)
    check_complete(plan)
    setting = Setting(zone, now, task.sha256[:HASH_LENGTH])
    folder.mkdir(parents=True, exist_ok=True)
    rejected = 0
    report(task.next_row - 1, task.rows, message="reading")
    for part in open_source(path).slices(path, layout, first_row=task.next_row):
        checked = check(plan, part, setting)
        good, rejects = folder / f"good-{part.first_row:010d}.parquet", rejects_file(folder, part.first_row)
        checked.good.write_parquet(good, compression="lz4")
        write_rejects(rejects, checked.rejects)
        rejected += len(checked.rejects)
        yield Chunk(
            first_row=part.first_row,
            next_row=part.next_row,
            rows=checked.good.height,
            rejected=len(checked.rejects),
            good=good.name,
            rejects=rejects.name if checked.rejects else None,
        )
        report(part.next_row - 1, task.rows, {"rejected": float(rejected)}, message="reading")


def rejects_file(folder: Path, first_row: int, suffix: str = "") -> Path:
    return folder / f"rejects-{first_row:010d}{suffix}.csv"


def write_rejects(path: Path, rejects: Iterable[Broken]) -> None:
    """row, reason, then the row's cells as they stand in the file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([broken.row, broken.reason, *broken.raw] for broken in rejects)


def rejects_header(columns: Iterable[str]) -> list[str]:
    return ["row", "reason", *columns]
