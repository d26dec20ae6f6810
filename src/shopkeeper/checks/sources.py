"""Checks for every source. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

A check is given a source of files with something that writes a table in its format, and an empty folder of its own. A
source that is a whole shop in itself goes through `checks/shops.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_name
from shopkeeper.sources.files import open_source, survey
from shopkeeper.sources.source import FileSource, Slice

if TYPE_CHECKING:
    import polars as pl

Writer: TypeAlias = "Callable[[Path, pl.DataFrame], object]"
ROWS = 53
_SIZES = (1, 7, ROWS, 1000)


@dataclass(frozen=True)
class FileFormat:
    """A source by class, and how a table of texts and numbers is written in its format."""

    source: type[FileSource]
    write: Writer

    def file(self, folder: Path, table: pl.DataFrame | None = None) -> Path:
        path = folder / f"sample{self.source.suffixes[0]}"
        self.write(path, small_table() if table is None else table)
        return path

    def slices(self, path: Path, *, first_row: int = 1, size: int = 1000) -> list[Slice]:
        source = self.source()
        return list(source.slices(path, source.layout(path), first_row=first_row, size=size))


def small_table(rows: int = ROWS) -> pl.DataFrame:
    """Orders with names in several scripts, with signs that formats use themselves, and with empty cells."""
    import polars as pl

    names = ("Mug", "杯子", "Tea, Earl Grey", 'Frame 6"', "Café crème", "50 % off; last one", "two\nlines", "a | b")
    return pl.DataFrame(
        {
            "Order No": [f"A{n // 3:03d}" for n in range(rows)],
            "商品": [names[n % len(names)] for n in range(rows)],
            "pieces": [n % 9 + 1 for n in range(rows)],
            "note": [None if n % 5 == 0 else f"note {n}" for n in range(rows)],
        }
    )


def states_its_facts(form: FileFormat, folder: Path) -> None:
    """Name, description, and endings in lower case with their dot."""
    del folder
    check_name(form.source.name)
    assert form.source.description
    assert form.source.suffixes
    assert all(ending.startswith(".") and ending == ending.lower() for ending in form.source.suffixes)


def is_picked_for_its_files(form: FileFormat, folder: Path) -> None:
    """An import of such a file comes here."""
    assert type(open_source(form.file(folder))) is form.source


def gives_what_was_written(form: FileFormat, folder: Path) -> None:
    """Same columns, same cells, same order; an empty cell may come as null or as an empty text."""
    table = small_table()
    path = form.file(folder, table)
    assert form.source().layout(path).columns == tuple(table.columns)
    assert [cells for _, cells in _rows(form.slices(path))] == _texts(table)


def numbers_rows_without_a_gap(form: FileFormat, folder: Path) -> None:
    """Rows count from 1; a slice begins where the one before it ended."""
    path = form.file(folder)
    for size in _SIZES:
        parts = form.slices(path, size=size)
        bounds = [(part.first_row, part.next_row) for part in parts]
        assert [first for first, _ in bounds] == [1, *(end for _, end in bounds[:-1])]
        assert bounds[-1][1] == ROWS + 1
        assert [number for number, _ in _rows(parts)] == list(range(1, ROWS + 1))


def does_not_depend_on_the_size_of_slices(form: FileFormat, folder: Path) -> None:
    path = form.file(folder)
    whole = _rows(form.slices(path))
    for size in _SIZES:
        parts = form.slices(path, size=size)
        assert max(part.next_row - part.first_row for part in parts) <= size
        assert _rows(parts) == whole


def goes_on_from_every_slice(form: FileFormat, folder: Path) -> None:
    """What an import that was killed relies on."""
    path = form.file(folder)
    parts = form.slices(path, size=7)
    for place, part in enumerate(parts):
        again = form.slices(path, first_row=part.first_row, size=7)
        assert _rows(again) == _rows(parts[place:])
    assert form.slices(path, first_row=ROWS + 1, size=7) == []


def two_readers_do_not_disturb_each_other(form: FileFormat, folder: Path) -> None:
    path = form.file(folder)
    source, alone = form.source(), _rows(form.slices(path, size=5))
    layout = source.layout(path)
    pairs = list(zip(source.slices(path, layout, size=5), source.slices(path, layout, size=5), strict=True))
    assert _rows([one for one, _ in pairs]) == _rows([other for _, other in pairs]) == alone


def leaves_the_file_as_it_is(form: FileFormat, folder: Path) -> None:
    path = form.file(folder)
    before = path.read_bytes()
    form.slices(path)
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path]


def is_surveyed_whole(form: FileFormat, folder: Path) -> None:
    seen = survey(form.file(folder))
    assert seen.rows == ROWS
    assert seen.layout.source == form.source.name
    assert _texts(seen.sample) == _texts(small_table())


def a_damaged_file_is_read_or_refused(form: FileFormat, folder: Path) -> None:
    """Cut off anywhere, or something else altogether: Invalid with words, or rows; no other error."""
    path = form.file(folder)
    whole = path.read_bytes()
    cuts = [whole[:length] for length in (1, 4, len(whole) // 3, len(whole) // 2, len(whole) - 1)]
    flipped = whole[: len(whole) // 2] + bytes(byte ^ 0xFF for byte in whole[len(whole) // 2 :])
    for content in (*cuts, flipped, b"\x00\x01\x02" * 50, b"\xff\xfe\xfd\n" * 50, b"{}[]\n\n"):
        path.write_bytes(content)
        assert _refusal(form, path) != "", "refused without a word"


Check: TypeAlias = Callable[[FileFormat, Path], None]
CHECKS: tuple[Check, ...] = (
    states_its_facts,
    is_picked_for_its_files,
    gives_what_was_written,
    numbers_rows_without_a_gap,
    does_not_depend_on_the_size_of_slices,
    goes_on_from_every_slice,
    two_readers_do_not_disturb_each_other,
    leaves_the_file_as_it_is,
    is_surveyed_whole,
    a_damaged_file_is_read_or_refused,
)


def _refusal(form: FileFormat, path: Path) -> str | None:
    """The message with which reading ends; None when it is read to the end."""
    try:
        form.slices(path)
    except Invalid as error:
        return error.message
    return None


def _rows(parts: list[Slice]) -> list[tuple[int, tuple[str, ...]]]:
    """(number, cells) of all rows; none may be broken."""
    assert not [broken for part in parts for broken in part.broken]
    return [row for part in parts for row in zip(part.rows.to_list(), _texts(part.frame), strict=True)]


def _texts(table: pl.DataFrame) -> list[tuple[str, ...]]:
    def text(value: Any) -> str:
        return "" if value is None else str(value)

    return [tuple(map(text, row)) for row in table.rows()]
