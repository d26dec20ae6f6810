"""What a source of rows is: entry-point group `shopkeeper.sources`, one class a format.

A file source surveys a file once (columns, number of rows, a sample) and then gives its rows in slices, any slice again
from any row. Row numbers count data rows from 1; the header and blank lines are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    import polars as pl

SLICE_ROWS = 50_000
SAMPLE_ROWS = 2_000


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: names of its columns, and for text the encoding and the delimiter."""

    source: str
    columns: tuple[str, ...]
    encoding: str = ""
    delimiter: str = ""


@dataclass(frozen=True)
class Broken:
    """A row that could not even be split into columns."""

    row: int
    reason: str
    raw: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """Rows `first_row` to `next_row - 1`. `rows` (n,) numbers the n rows of `frame`; the others are in `broken`."""

    first_row: int
    next_row: int
    rows: pl.Series
    frame: pl.DataFrame
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Survey:
    """One look at a whole file. `sample`: up to SAMPLE_ROWS rows spread evenly over it; `sha256` of its bytes."""

    layout: Layout
    rows: int
    sample: pl.DataFrame
    sha256: str


class FileSource(Protocol):
    """One file format. All errors are Invalid with what was found, what was expected and what to do."""

    name: ClassVar[str]
    description: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def layout(self, path: Path) -> Layout: ...

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        """Slices from the one that begins with `first_row`; `first_row` is 1 or a `next_row` given out before."""
        ...
