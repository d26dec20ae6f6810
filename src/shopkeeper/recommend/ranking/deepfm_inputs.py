"""What `deepfm` reads of a row: codes of its texts, numbers, and which numbers are missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Column, Schema

FARTHEST = 1000.0
"""Spreads from the mean beyond which a number counts as that far."""


@dataclass(frozen=True)
class Inputs:
    """Columns of a schema by what they are: `codes` with their `sizes`, `numbers`, and of these `gaps`, those that may
    be missing; each says so by a number of its own, 0 or 1.

    A code of column j stands in row `offsets[j] + code` of one table for all.
    """

    codes: tuple[int, ...]
    sizes: tuple[int, ...]
    numbers: tuple[int, ...]
    gaps: tuple[int, ...]

    @classmethod
    def of(cls, schema: Schema) -> Inputs:
        columns = schema.columns
        codes = schema.categorical
        numbers = tuple(at for at in range(len(columns)) if columns[at].categories is None)
        gaps = tuple(at for at in numbers if columns[at].default is None)
        return cls(codes, tuple(_size(columns[at]) for at in codes), numbers, gaps)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)[: len(self.sizes)]

    @property
    def rows(self) -> int:
        """Of the table."""
        return sum(self.sizes)

    @property
    def width(self) -> int:
        """How many numbers are read of a row, those of the gaps included."""
        return len(self.numbers) + len(self.gaps)

    def read(self, values: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(rows of the table (n, codes), numbers (n, width)) of standardised `values` (n, f). Far numbers come nearer:
        by asinh, which leaves those near the mean as they are. A missing one is 0."""
        last = np.array(self.sizes, dtype=np.float32) - 1
        codes = np.clip(np.nan_to_num(values[:, list(self.codes)]), 0, last).astype(np.int32)
        codes += self.offsets.astype(np.int32)
        found = values[:, list(self.numbers)]
        told = np.isnan(found)
        near = np.arcsinh(np.clip(np.where(told, np.float32(0.0), found), -FARTHEST, FARTHEST))
        missing = np.isnan(values[:, list(self.gaps)]).astype(np.float32)
        return np.ascontiguousarray(codes), np.ascontiguousarray(np.hstack([near, missing]), dtype=np.float32)


def _size(column: Column) -> int:
    return max(column.other, column.missing, *(column.categories or {"": 0}).values()) + 1
