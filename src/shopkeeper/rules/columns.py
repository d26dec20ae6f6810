"""A rule for all users: the tree over numpy columns, slice by slice so that what is in between stays in the cache.

Gives the same answers as `one.py`, row by row; a property test over generated rules holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.rules.schema import Schema
from shopkeeper.rules.tree import Node, Type, fields
from shopkeeper.rules.vector import evaluate
from shopkeeper.rules.vectors import MapColumn, Numbers, TextColumn

SLICE = 16_384
"""Rows computed at a time: 128 KiB a column of numbers."""

Column: TypeAlias = "Numbers | NDArray[np.bool_] | TextColumn | MapColumn"


@dataclass(frozen=True, slots=True)
class Columns:
    """`n` rows. Numbers float64[n] (NaN missing), texts `TextColumn`, bools bool[n], maps `MapColumn`.

    A field without a column is missing in every row. `values` may compute a column when it is first read.
    """

    n: int
    values: Mapping[str, Column]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], schema: Schema) -> Columns:
        """Columns of rows made by `Schema.row`."""
        return cls(len(rows), {name: _column([row[name] for row in rows], kind) for name, kind in schema.types.items()})


def compile_columns(tree: Node) -> Callable[[Columns], NDArray[np.bool_]]:
    """The condition as a function of columns; gives bool[n]."""
    names = fields(tree)

    def run(columns: Columns) -> NDArray[np.bool_]:
        out = np.empty(columns.n, dtype=np.bool_)
        used = {name: columns.values[name] for name in names if name in columns.values}
        with np.errstate(all="ignore"):
            for start in range(0, columns.n, SLICE):
                rows = slice(start, min(start + SLICE, columns.n))
                out[rows] = evaluate(tree, {name: column[rows] for name, column in used.items()})
        return out

    return run


def _column(values: list[Any], kind: Type) -> Column:
    if kind == "number":
        return np.array(values, dtype=np.float64)
    if kind == "bool":
        return np.array(values, dtype=np.bool_)
    return TextColumn.of(values) if kind == "text" else MapColumn.of(values)
