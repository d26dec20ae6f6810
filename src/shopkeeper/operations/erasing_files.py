"""The child of an erasure: takes one person out of the files of a home, while SQL still knows who that is.

Files may be gone through twice: the second time nothing is found in them. What it says holds no id.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy import select

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import JobContext
from shopkeeper.lifecycle.joblog import LOG
from shopkeeper.sources.files import open_source
from shopkeeper.sources.source import Layout
from shopkeeper.stores import schema
from shopkeeper.stores.artifacts import write_durably
from shopkeeper.stores.holdings import Person, person_at
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.words import Words

_BLOCK = 1 << 20
_PLAIN = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_HALF = ".new"
_OWN = ("shop.db", "server.")  # the database is the parent's, and no person stands in the files of the lock
_WHOSE = ("user_id", "anonymous_id")
Said = dict[str, Any]


class Found(msgspec.Struct):
    """Names of files in the home. `models` and `left` hold the person still: what to do about them is said in the job's
    result."""

    rewritten: list[str] = msgspec.field(default_factory=list)
    removed: list[str] = msgspec.field(default_factory=list)
    starred: list[str] = msgspec.field(default_factory=list)
    models: list[str] = msgspec.field(default_factory=list)
    left: list[str] = msgspec.field(default_factory=list)


def erase_files(ctx: JobContext) -> dict[str, Any]:
    """The job `erase`. Its parent does the rest when this has ended."""
    with closing(open_database(ctx.sql_url, read_only=True)) as db, db.read() as connection:
        person = person_at(connection, ctx.params["row"])
        rows = connection.execute(select(schema.imports.c.import_id, schema.imports.c.mapping)).all()
        plans: dict[str, Said] = {row.import_id: row.mapping for row in rows}
    found = Found()
    if person is not None:
        files = list(home_files(ctx.home))
        words = Words(person.ids)
        for done, path in enumerate(files):
            clean_file(ctx.home, path, person, words, plans, found)
            ctx.report(done + 1, len(files) + 1, message="files")
    said: Said = msgspec.to_builtins(found)
    return {"files": said}


def home_files(home: Path) -> Iterator[Path]:
    """Every file of a home but the database and the lock."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink() and not (path.parent == home and path.name.startswith(_OWN)):
            yield path


def imports_naming(home: Path, person: Person, plans: dict[str, Said]) -> list[str]:
    """Ids of the imports in whose files the person stands."""
    words = Words(person.ids)
    named = {path.parent.name for path in home_files(home / "imports") if _stands_in(path, person, words, plans)}
    return sorted(named)


def clean_file(home: Path, path: Path, person: Person, words: Words, plans: dict[str, Said], found: Found) -> None:
    """Takes the person out of one file, and notes what was done. `plans`: import id -> how its file is read."""
    name = str(path.relative_to(home))
    top = path.relative_to(home).parts[0]
    try:
        if top == "imports":
            _clean_import(path, name, person, words, plans, found)
        elif top == "logs" or (top == "jobs" and path.name == LOG):
            _clean_log(path, name, words, found)
        elif top == "jobs":
            _clean_work(path, name, words, found)
        elif _bytes_hold(path, words):
            (found.models if top == "artifacts" else found.left).append(name)
    except FileNotFoundError:
        return  # a job that ended meanwhile took its files along


def _clean_import(path: Path, name: str, person: Person, words: Words, plans: dict[str, Said], found: Found) -> None:
    if path.suffix == _HALF:
        path.unlink()  # of a try that was cut off
        return
    if not _stands_in(path, person, words, plans):
        return
    if path.suffix not in _PLAIN or not _is_plain(path):
        path.unlink()
        found.removed.append(name)
        return
    names = _namer(path, person, words, plans)
    fresh = path.with_name(f"{path.name}{_HALF}")
    with path.open("rb") as source, fresh.open("wb") as target:
        os.fchmod(target.fileno(), path.stat().st_mode)
        target.writelines(record for record in _records(source, path) if not names(record))
        target.flush()
        os.fsync(target.fileno())
    fresh.replace(path)
    found.rewritten.append(name)


def _clean_work(path: Path, name: str, words: Words, found: Found) -> None:
    """What a job has made, maybe one that goes on: there a short id is a number of a model, or of a process."""
    if path.suffix != ".json":
        _clean_log(path, name, words.unmistakable(), found)
    elif _bytes_hold(path, words):
        try:
            said = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError:  # half of one, or none
            _clean_log(path, name, words.unmistakable(), found)
            return
        fresh = words.out_of(said)
        if fresh != said:
            write_durably(path, msgspec.json.encode(fresh))
            found.rewritten.append(name)


def _clean_log(path: Path, name: str, words: Words, found: Found) -> None:
    """Over the old bytes, as others may be writing at its end."""
    if not _bytes_hold(path, words):
        return
    with path.open("r+b") as file:
        if b"\0" in file.read(_BLOCK):
            path.unlink()
            found.removed.append(name)
            return
        for at, block in _blocks(file, words.longest):
            starred = words.starred(block)
            if starred != block:
                file.seek(at)
                file.write(starred)
        os.fsync(file.fileno())
    found.starred.append(name)


def _stands_in(path: Path, person: Person, words: Words, plans: dict[str, Said]) -> bool:
    if path.suffix in _PLAIN and _is_plain(path):
        names = _namer(path, person, words, plans)
        with path.open("rb") as file:
            return _bytes_hold(path, words) and any(names(record) for record in _records(file, path))
    return _bytes_hold(path, words) or _values_hold(path, person)


def _namer(path: Path, person: Person, words: Words, plans: dict[str, Said]) -> Callable[[bytes], bool]:
    """Whether a record names the person: an id that can be nothing else anywhere in it, a short one in the columns
    of ids (in any, where those are not known)."""
    sure, ids = words.unmistakable(), person.ids
    plan = plans.get(path.parent.name, {})
    layout = plan.get("layout", {})
    encoding, mark = layout.get("encoding") or "utf-8", layout.get("delimiter") or ","
    columns = list(layout.get("columns", []))
    wanted = [columns.index(c) for f, c in plan.get("mapping", {}).items() if f in _WHOSE and c in columns]
    shift = 2 if path.name.startswith("rejects-") else 0  # its number and the reason come first

    def names(record: bytes) -> bool:
        if sure.ids and sure.in_bytes(record):
            return True
        if not words.in_bytes(record):
            return False
        if path.suffix in (".jsonl", ".ndjson"):
            return _object_names(record, ids, [column for f, column in plan.get("mapping", {}).items() if f in _WHOSE])
        cells = next(csv.reader([record.decode(encoding, "replace")], delimiter="," if shift else mark), [])
        told = [cells[at + shift] for at in wanted if at + shift < len(cells)] if wanted else cells
        return any(cell.strip().removesuffix(".0") in ids for cell in told)

    return names


def _object_names(record: bytes, ids: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether one of these fields is an id of the person; anything may be one where those are not known."""
    try:
        said = msgspec.json.decode(record)
    except msgspec.DecodeError:
        return True
    if not wanted or not isinstance(said, dict):
        return True
    return any(str(said.get(field)).strip().removesuffix(".0") in ids for field in wanted)


def _records(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Lines; in CSV those that belong together by their quotes."""
    whole = path.suffix not in (".jsonl", ".ndjson")
    held = b""
    for line in file:
        held += line
        if not whole or held.count(b'"') % 2 == 0 or len(held) > _BLOCK:
            yield held
            held = b""
    if held:
        yield held


def _is_plain(path: Path) -> bool:
    """Bytes that can be read line by line."""
    with path.open("rb") as file:
        return b"\0" not in file.read(_BLOCK)


def _bytes_hold(path: Path, words: Words) -> bool:
    with path.open("rb") as file:
        return any(words.in_bytes(block) for _, block in _blocks(file, words.longest))


def _blocks(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes]]:
    """(place, bytes) of overlapping blocks, so that no id is cut in two."""
    at = 0
    while True:
        file.seek(at)
        block = file.read(_BLOCK + longest + 2)
        if not block:
            return
        yield at, block
        if len(block) <= longest + 2:
            return
        at += _BLOCK


def _values_hold(path: Path, person: Person) -> bool:
    """In the cells of a packed format (Parquet, Excel). A file that cannot be read counts as holding everybody."""
    if not path.stat().st_size:
        return False
    try:
        source = open_source(path)
        layout: Layout = source.layout(path)
        for part in source.slices(path, layout):
            for column in part.frame.iter_columns():
                if any(str(value).strip().removesuffix(".0") in person.ids for value in column.to_list()):
                    return True
    except ShopkeeperError:
        return True
    return False
