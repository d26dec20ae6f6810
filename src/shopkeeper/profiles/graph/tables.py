"""What is known of nodes besides their edges: columns of numbers, words, lists of words and series of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class NodeTable:
    """Of n nodes of one type. `numbers` float64 (n,), NaN: not known; `words` None: not known; `lists` of words and
    `series` of numbers (old first) may be empty. Which column an attribute is in is seen from its values."""

    n: int
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    words: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    lists: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[float, ...]]] = field(default_factory=dict)

    def take(self, where: NDArray[np.int64]) -> NodeTable:
        """Only the nodes at some positions (k,), in that order."""
        rows = where.tolist()
        columns = (
            {name: [column[row] for row in rows] for name, column in each.items()}
            for each in (self.words, self.lists, self.series)
        )
        return NodeTable(len(rows), {name: column[where] for name, column in self.numbers.items()}, *columns)


def table_of(rows: Sequence[Mapping[str, Any]]) -> NodeTable:
    """From attributes as records carry them. An attribute of mixed kinds is the kind that most of its values are; the
    others count as not known. Numbers that are not finite are not known."""
    kinds: dict[str, dict[str, int]] = {}
    for row in rows:
        for name, value in row.items():
            if (kind := _kind(value)) is not None:
                counts = kinds.setdefault(name, {})
                counts[kind] = counts.get(kind, 0) + 1
    chosen = {name: max(sorted(counts), key=counts.__getitem__) for name, counts in sorted(kinds.items())}
    columns: dict[str, dict[str, Any]] = {"numbers": {}, "words": {}, "lists": {}, "series": {}}
    for name, kind in chosen.items():
        values = [row.get(name) if _kind(row.get(name)) == kind else None for row in rows]
        columns[kind][name] = _READ[kind](values)
    return NodeTable(len(rows), **columns)


def table_apart(rows: Sequence[Mapping[str, Any]]) -> NodeTable:
    """The same, but what is read of a row does not depend on the others: an attribute of mixed kinds has a column of
    each, and who reads one of them finds there what is of that kind."""
    columns: dict[str, dict[str, Any]] = {"numbers": {}, "words": {}, "lists": {}, "series": {}}
    for name in sorted({name for row in rows for name in row}):
        found = [_kind(row.get(name)) for row in rows]
        for kind in sorted({kind for kind in found if kind is not None}):
            values = [row.get(name) if one == kind else None for row, one in zip(rows, found, strict=True)]
            columns[kind][name] = _READ[kind](values)
    return NodeTable(len(rows), **columns)


def _kind(value: Any) -> str | None:
    if isinstance(value, bool | str):
        return "words"
    if isinstance(value, int | float):
        return "numbers" if abs(value) <= _LARGEST else None  # whole numbers of JSON have no bound
    if isinstance(value, list | tuple) and value:
        if all(isinstance(part, str) for part in value):
            return "lists"
        if all(_kind(part) == "numbers" for part in value):
            return "series"
    return None


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def _words(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else str(value).lower() if isinstance(value, bool) else value for value in values]


def _lists(values: Sequence[Any]) -> list[tuple[str, ...]]:
    return [() if value is None else tuple(value) for value in values]


def _series(values: Sequence[Any]) -> list[tuple[float, ...]]:
    return [() if value is None else tuple(float(part) for part in value) for value in values]


_READ: dict[str, Any] = {"numbers": _numbers, "words": _words, "lists": _lists, "series": _series}
