"""A person's own files: looked at, shown, read by a job (or inline), committed chunk by chunk.

imports = Imports(targets, home, clock, zone)
one = imports.create("orders.csv", Path("orders.csv"))      # columns, guessed kind and mapping, with confidence
imports.preview(one.import_id, {"item_id": "SKU"})            # the first rows as they would be stored; what is refused
imports.start(one.import_id, jobs)                            # a job; or imports.run(one.import_id) here and now
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import Report, silent
from shopkeeper.core.records import Job, Record, Rejection
from shopkeeper.operations.import_rows import Targets, commit_chunk
from shopkeeper.sources import mapping as mappings
from shopkeeper.sources.checking import check
from shopkeeper.sources.files import file_sha256, open_source, survey
from shopkeeper.sources.importing import HASH_LENGTH, Chunk, Task, chunks, rejects_header
from shopkeeper.sources.kinds import KINDS
from shopkeeper.sources.reading import Setting
from shopkeeper.sources.source import Layout, Survey
from shopkeeper.stores import imports as table
from shopkeeper.stores import jobs as job_table
from shopkeeper.stores.home import Home
from shopkeeper.stores.imports import Import
from shopkeeper.stores.paging import cursor_after, key_of

PREVIEW_ROWS = 50
_BLOCK = 1 << 20


class Preview(Record, kw_only=True):
    """How a file would be stored: the first rows, what is refused among them, and the mapping that does it."""

    kind: str
    rows: list[dict[str, Any]]
    rejects: list[Rejection]
    mapping: dict[str, str]
    guesses: list[dict[str, Any]]
    notes: list[str]
    missing: list[str]


class Jobs(Protocol):
    """What is needed of the job service."""

    def submit(
        self, kind: str, params: Mapping[str, Any], *, requested_by: str = "", work_key: str | None = None
    ) -> Job: ...

    def on_start(self, kind: str, hook: Callable[[Job], Mapping[str, Any]]) -> None: ...

    def on_message(self, kind: str, hook: Callable[[Job, dict[str, Any]], None]) -> None: ...

    def on_finish(self, kind: str, hook: Callable[[Job, dict[str, Any]], Mapping[str, Any] | None]) -> None: ...

    def on_failure(self, kind: str, hook: Callable[[Job, str, str | None], None]) -> None: ...


class Imports:
    """May be called from any thread but the writer's. Files are kept in the home until an import is deleted."""

    def __init__(self, targets: Targets, home: Home, clock: Clock, zone: str, *, upload_limit: int = 1 << 30) -> None:
        self._to = targets
        self._home = home
        self._clock = clock
        self._zone = zone
        self._upload_limit = upload_limit

    def hook_into(self, jobs: Jobs) -> None:
        """Lets jobs of kind `import` start, speak and end here. Before the workers start."""
        jobs.on_start("import", lambda job: self._task(job.params["import_id"]))
        jobs.on_message("import", self._message)
        jobs.on_finish("import", lambda job, _: self._finish(job.params["import_id"]))
        jobs.on_failure("import", lambda job, _status, _error: self._fail(job.params["import_id"]))

    def recover(self) -> None:
        """Ends as failed what a killed process left running without a job that goes on with it. Before the jobs start,
        by the one that holds the home; a failed import can be started again and goes on where it stood."""

        def settle(connection: Connection) -> None:
            for import_id in table.running(connection):
                if job_table.under_way(connection, _work_key(import_id)) is None:
                    table.finish(connection, import_id, "failed")

        self._to.db.writer.run(settle)

    # -- looking

    def create(
        self,
        filename: str,
        content: Path | BinaryIO,
        *,
        kind: str | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> Import:
        """Keeps the file, looks at all of it and guesses kind and mapping. Raises Invalid, and Unavailable when
        the disk refuses; then nothing is kept."""
        name = Path(filename.replace("\\", "/")).name[:200] or "file"
        import_id = ulid()
        folder = self._home.imports / import_id
        folder.mkdir(parents=True, mode=0o700)
        path = folder / f"source{Path(name).suffix.lower()[:10]}"
        try:
            self._keep(content, path)
            return self._look(import_id, name, path, kind, mapping or {})
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise Unavailable(f"the file cannot be kept: {error}; check the disk's free space") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def preview(
        self, import_id: str, mapping: Mapping[str, str | None] | None = None, *, kind: str | None = None
    ) -> Preview:
        """The first rows under a mapping; nothing is stored, not even the mapping. Raises Invalid, NotFound."""
        found = self.get(import_id)
        plan, layout = self._planned(found, mapping or {}, kind)
        missing = mappings.missing_fields(plan)
        rows: list[dict[str, Any]] = []
        rejects: list[Rejection] = []
        notes = list(plan.notes)
        if not missing:
            path = Path(found.path)
            part = next(open_source(path).slices(path, layout, size=PREVIEW_ROWS))
            checked = check(plan, part, self._setting(found))
            rows = [_shown(row) for row in checked.good.drop("row").iter_rows(named=True)]
            rejects = [Rejection(index=broken.row, reason=broken.reason) for broken in checked.rejects]
            read = part.next_row - part.first_row
            notes += _without_sale(read - len(rows) - len(rejects), of=f" of the first {read}")
        guesses = [msgspec.to_builtins(guess) for guess in plan.guesses]
        return Preview(
            kind=plan.kind,
            rows=rows,
            rejects=rejects,
            mapping=plan.wire(),
            guesses=guesses,
            notes=notes,
            missing=missing,
        )

    def get(self, import_id: str) -> Import:
        """Raises NotFound."""
        with self._to.db.read() as connection:
            return table.get(connection, import_id)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> tuple[list[Import], str | None, int]:
        """Newest first: (imports, next cursor, total)."""
        with self._to.db.read() as connection:
            found, last, total = table.newest(connection, limit=limit, before=key_of(cursor))
        return found, None if last is None else cursor_after(last), total

    def rejects(self, import_id: str) -> Iterator[bytes]:
        """The refused rows as CSV: row, reason, raw columns; those of rows that are committed. Raises NotFound."""
        found = self.get(import_id)
        return self._reject_parts(found)

    # -- reading

    def start(
        self,
        import_id: str,
        jobs: Jobs,
        mapping: Mapping[str, str | None] | None = None,
        *,
        kind: str | None = None,
        requested_by: str = "",
    ) -> Job:
        """Starts the job. Raises Invalid for an incomplete mapping, Conflict when it runs or is done, Busy."""
        self._decide(import_id, mapping, kind)
        params = {"import_id": import_id}
        self._to.db.writer.run(lambda connection: table.start(connection, import_id))
        try:
            job = jobs.submit("import", params, requested_by=requested_by, work_key=_work_key(import_id))
        except ShopkeeperError:
            self._fail(import_id)
            raise
        self._to.db.writer.run(lambda connection: table.set_job(connection, import_id, job.job_id))
        return job

    def run(
        self,
        import_id: str,
        mapping: Mapping[str, str | None] | None = None,
        *,
        kind: str | None = None,
        report: Report = silent,
    ) -> Import:
        """The same work here and now, for a command without a server. An import that was killed goes on."""
        self._decide(import_id, mapping, kind, resume=True)
        self._to.db.writer.run(lambda connection: _restart(connection, import_id))
        task = msgspec.convert(self._task(import_id), Task)
        try:
            for chunk in chunks(task, zone=self._zone, now=self._clock.now(), report=report):
                commit_chunk(self._to, import_id, Path(task.folder), chunk)
        except ShopkeeperError:
            self._fail(import_id)
            raise
        self._finish(import_id)
        return self.get(import_id)

    def resumable(self, path: Path) -> Import | None:
        """The unfinished import of a file with the same content, if there is one."""
        with self._to.db.read() as connection:
            return table.unfinished_of(connection, file_sha256(path))

    def delete(self, import_id: str) -> None:
        """Removes the file and the record, not the rows. Raises NotFound, Conflict while it runs."""
        self._to.db.writer.run(lambda connection: table.remove(connection, import_id))
        shutil.rmtree(self._home.imports / import_id, ignore_errors=True)

    # -- inside

    def _keep(self, content: Path | BinaryIO, path: Path) -> None:
        if isinstance(content, Path):
            if not content.is_file():
                raise NotFound(f"no file {content}; check the path", code="unknown_file")
            with content.open("rb") as stream:
                self._keep(stream, path)
            return
        size = 0
        with path.open("wb") as file:
            while block := content.read(_BLOCK):
                size += len(block)
                if size > self._upload_limit:
                    raise Invalid(
                        f"the file is larger than {self._upload_limit >> 20} MiB; split it",
                        code="too_large",
                        field="file",
                    )
                file.write(block)

    def _look(self, import_id: str, name: str, path: Path, kind: str | None, mapping: Mapping[str, str]) -> Import:
        options = {key: value for key, value in mapping.items() if key in ("@encoding", "@delimiter")}
        seen = survey(path, encoding=options.get("@encoding", ""), delimiter=options.get("@delimiter", ""))
        mappings.check_width(seen.layout.columns, mapping, delimiter=seen.layout.delimiter)
        plan = mappings.guess(seen.sample, kind=kind, given=mapping)
        return self._to.db.writer.run(
            lambda connection: table.add(
                connection,
                import_id,
                kind=plan.kind,
                filename=name,
                path=str(path),
                sha256=seen.sha256,
                columns=seen.layout.columns,
                plan=_stored_plan(plan, seen.layout),
                rows=seen.rows,
                now=self._clock.wall(),
            )
        )

    def _planned(
        self, found: Import, mapping: Mapping[str, str | None], kind: str | None
    ) -> tuple[mappings.Plan, Layout]:
        """The stored plan, changed as asked. Another kind, encoding or delimiter means another look at the file.

        A client may send back the mapping it was shown: what only repeats the plan changes nothing, notes included.
        """
        plan, layout = _read_plan(found)
        known = plan.wire()
        changes = {key: value for key, value in mapping.items() if key not in known or known[key] != value}
        layout_options = {key: value or "" for key, value in mapping.items() if key in ("@encoding", "@delimiter")}
        if not changes and kind in (None, plan.kind):
            return plan, layout
        seen: Survey = survey(
            Path(found.path),
            encoding=layout_options.get("@encoding", layout.encoding),
            delimiter=layout_options.get("@delimiter", layout.delimiter),
        )
        if kind not in (None, plan.kind) or seen.layout != layout:
            mappings.check_width(seen.layout.columns, mapping, delimiter=seen.layout.delimiter)
            plan, changes = mappings.guess(seen.sample, kind=kind or plan.kind), dict(mapping)
        return mappings.override(plan, changes, seen.sample), seen.layout

    def _decide(
        self, import_id: str, mapping: Mapping[str, str | None] | None, kind: str | None, *, resume: bool = False
    ) -> None:
        """Stores the last word on the mapping. Raises Invalid, Conflict."""
        found = self.get(import_id)
        if found.status == "done" or (found.status == "running" and not resume):
            raise Conflict(
                f"import {import_id} is {found.status}; import the file again to read it anew",
                code=f"import_{found.status}",
            )
        plan, layout = self._planned(found, mapping or {}, kind)
        mappings.check_complete(plan)
        if mapping or kind not in (None, found.kind):
            stored = _stored_plan(plan, layout)
            self._to.db.writer.run(lambda connection: table.set_plan(connection, import_id, plan.kind, stored))

    def _task(self, import_id: str) -> dict[str, Any]:
        """The child's parameters as of now: a second attempt begins at the row the first one did not commit."""
        found = self.get(import_id)
        plan = dict(found.plan)
        layout = plan.pop("layout")
        task = Task(
            path=found.path,
            folder=str(self._home.imports / import_id),
            kind=found.kind,
            plan=plan,
            layout=layout,
            sha256=found.sha256,
            rows=found.rows,
            next_row=found.next_row,
        )
        return {"import_id": import_id, **msgspec.to_builtins(task)}

    def _message(self, job: Job, message: dict[str, Any]) -> None:
        import_id = job.params["import_id"]
        commit_chunk(self._to, import_id, self._home.imports / import_id, msgspec.convert(message["chunk"], Chunk))

    def _finish(self, import_id: str) -> dict[str, Any]:
        """The end of the file was reached: done, unless not a single row could be taken."""
        found = self.get(import_id)
        useless = found.rejected > 0 and found.accepted + found.duplicates + found.without_sale == 0
        status = "failed" if useless else "done"
        self._to.db.writer.run(lambda connection: table.finish(connection, import_id, status))
        if useless:
            raise Invalid(
                f"none of {found.rejected} row{'' if found.rejected == 1 else 's'} could be taken;"
                " the reject file says why; change the mapping",
                code="nothing_imported",
            )
        return {"accepted": found.accepted, "duplicates": found.duplicates, "rejected": found.rejected}

    def _fail(self, import_id: str) -> None:
        try:
            if self.get(import_id).status == "running":
                self._to.db.writer.run(lambda connection: table.finish(connection, import_id, "failed"))
        except NotFound:
            return  # deleted meanwhile: nothing is left to be marked

    def _setting(self, found: Import) -> Setting:
        return Setting(self._zone, self._clock.now(), found.sha256[:HASH_LENGTH])

    def _reject_parts(self, found: Import) -> Iterator[bytes]:
        yield _csv_line(rejects_header(found.columns))
        folder = self._home.imports / found.import_id
        for part in sorted(folder.glob("rejects-*.csv")):
            if int(part.stem.split("-")[1]) < found.next_row:
                with part.open("rb") as file:
                    while block := file.read(_BLOCK):
                        yield block


def notes_of(found: Import) -> list[str]:
    """What a person should know of an import: guesses that nothing proves, and rows that needed no storing."""
    return [*found.plan.get("notes", []), *_without_sale(found.without_sale)]


def _without_sale(rows: int, *, of: str = "") -> list[str]:
    word = "row" if rows == 1 and not of else "rows"
    return [f"{rows}{of} {word} without a sale: counted, nothing to store"] if rows else []


def _work_key(import_id: str) -> str:
    return f"import:{import_id}"


def _restart(connection: Connection, import_id: str) -> None:
    if table.get(connection, import_id).status == "running":  # by a process that was killed: we hold the home now
        table.finish(connection, import_id, "failed")
    table.start(connection, import_id)


def _stored_plan(plan: mappings.Plan, layout: Layout) -> dict[str, Any]:
    stored: dict[str, Any] = msgspec.to_builtins(plan)
    return {**stored, "layout": msgspec.to_builtins(layout)}


def _read_plan(found: Import) -> tuple[mappings.Plan, Layout]:
    plan = dict(found.plan)
    layout = msgspec.convert(plan.pop("layout"), Layout)
    return msgspec.convert(plan, mappings.Plan), layout


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A stored row as a person reads it: moments as RFC 3339, JSON text as objects, nothing that is null."""
    shown = {key: value for key, value in row.items() if value is not None}
    for key in ("time", "as_of"):
        if key in shown:
            shown[key] = rfc3339(shown[key])
    for key in ("context", "attributes"):
        if key in shown:
            shown[key] = msgspec.json.decode(shown[key])
    return shown


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


__all__ = ["KINDS", "Import", "Imports", "Preview", "notes_of"]
