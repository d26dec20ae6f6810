"""A source of one's own: JSON lines packed with gzip, as log shippers and warehouses hand them over."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from shopkeeper.core.errors import Invalid
from shopkeeper.sources.slices import column_names, json_object, json_slice
from shopkeeper.sources.source import SLICE_ROWS, Layout, Slice

MAX_LINE = 1 << 20


class GzippedJsonl:
    name: ClassVar[str] = "jsonl_gz"
    description: ClassVar[str] = "One JSON object a line, packed with gzip"
    suffixes: ClassVar[tuple[str, ...]] = (".gz",)

    def layout(self, path: Path) -> Layout:
        """All names that any line uses, in the order in which they come."""
        names: dict[str, None] = {}
        for line in self.lines(path):
            record = json_object(line)
            if isinstance(record, dict):
                names.update(dict.fromkeys(record))
        if not names:
            raise Invalid("no line holds a JSON object; expected one object a line", code="bad_jsonl")
        return Layout(self.name, column_names(list(names)), "utf-8")

    def slices(self, path: Path, layout: Layout, *, first_row: int = 1, size: int = SLICE_ROWS) -> Iterator[Slice]:
        lines = itertools.islice(self.lines(path), first_row - 1, None)
        at = first_row
        while block := list(itertools.islice(lines, size)):
            yield json_slice(block, at, layout)
            at += len(block)

    def lines(self, path: Path) -> Iterator[bytes]:
        """Lines that are not blank. Raises Invalid for what is no gzip file, and for one that is cut off."""
        try:
            with gzip.open(path) as file:
                while line := file.readline(MAX_LINE + 1):
                    if len(line) > MAX_LINE:
                        raise Invalid(f"a line is longer than {MAX_LINE >> 20} MiB; split it", code="too_large")
                    if line.strip():
                        yield line.strip()
        except (OSError, EOFError, zlib.error) as error:
            raise Invalid(f"the file cannot be unpacked ({error}); pack it with gzip again", code="bad_gzip") from error
