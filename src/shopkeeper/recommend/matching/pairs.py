"""What a matcher learns from: queries, documents, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.matching.text import Floats
from shopkeeper.recommend.spelling import shown, spelled

Rows = NDArray[np.int64]
MOST_CHARACTERS = 100_000
"""Of one column; no model reads more of it."""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Side:
    """n queries, or n documents: a text of each (empty: none) and k numbers, float32 (n, k), NaN where missing."""

    texts: tuple[str, ...]
    values: Floats

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Rows) -> Side:
        return Side(tuple(self.texts[row] for row in rows.tolist()), self.values[rows])


class Columns(msgspec.Struct, kw_only=True, frozen=True):
    """The names of one side's columns: `texts` are read one after another, `numbers` in their order."""

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.texts, *self.numbers)

    def read(self, rows: Sequence[Mapping[str, Any]]) -> Side:
        """Unknown names are ignored; what is missing or null is an empty text, or a missing number.

        Raises Invalid (`not_a_text`, `not_a_number`) with row and field.
        """
        texts = tuple(
            " ".join(filter(None, (_text(row.get(name), at, name) for name in self.texts)))
            for at, row in enumerate(rows)
        )
        values = np.full((len(rows), len(self.numbers)), np.nan, dtype=np.float32)
        for at, row in enumerate(rows):
            for column, name in enumerate(self.numbers):
                if (value := row.get(name)) is not None:
                    values[at, column] = _number(value, at, name)
        return Side(texts, values)


@dataclass(frozen=True)
class Pairs:
    """Pair i joins `query[i]` of `queries` and `doc[i]` of `docs`, int64 (n,); `label` float32 (n,): 1 where they go
    together. A query stands once in `queries`, a document once in `docs`. `doc_ids`: the names of the documents, empty
    where they have none; then nothing can be looked for among them by name."""

    query_columns: Columns
    doc_columns: Columns
    queries: Side
    docs: Side
    query: Rows
    doc: Rows
    label: Floats
    doc_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.label)

    def of_queries(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The pairs of the queries (q,) that are true; queries and documents keep their places."""
        where = np.flatnonzero(chosen[self.query])
        return replace(self, query=self.query[where], doc=self.doc[where], label=self.label[where])


def distinct(side: Side) -> tuple[Side, Rows]:
    """(each different one once, in order of appearance; for every row its place among them)."""
    place: dict[tuple[str, bytes], int] = {}
    keys = zip(side.texts, (row.tobytes() for row in side.values), strict=True)
    at = np.array([place.setdefault(key, len(place)) for key in keys], dtype=np.int64)
    first = np.full(len(place), -1, dtype=np.int64)
    first[at[::-1]] = np.arange(len(at))[::-1]
    return side.take(first), at


def _text(value: Any, row: int, name: str) -> str:
    if value is None:
        return ""
    with suppress(ValueError):  # an integer of thousands of digits
        if isinstance(value, str | bool | int | float):
            return spelled(value)[:MOST_CHARACTERS]
    raise Invalid(
        f"row {row}: {name} is {shown(value)}, expected a text", code="not_a_text", field=f"data[{row}].{name}"
    )


def _number(value: Any, row: int, name: str) -> float:
    if isinstance(value, bool | int | float | np.floating | np.integer):
        try:
            number = float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = float("inf")
        if isfinite(number) and abs(number) <= _LARGEST:
            return number
    raise Invalid(
        f"row {row}: {name} is {shown(value)}, expected a finite number",
        code="not_a_number",
        field=f"data[{row}].{name}",
    )
