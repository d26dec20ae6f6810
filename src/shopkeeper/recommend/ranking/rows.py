"""Rows that rankers learn from and are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Schema

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Lists:
    """Which rows were candidates of one question, rows of a list side by side; all (n,).

    `number` of the list, `fused` the strength in recall (the order a shop without a ranker shows), `unseen`: never
    bought by this user before, `wanted`: how many items were taken at that moment, in the list or not, and
    `wanted_unseen`: how many of them for the first time.
    """

    number: NDArray[np.int64]
    fused: NDArray[np.float32]
    unseen: NDArray[np.bool_]
    wanted: NDArray[np.int64]
    wanted_unseen: NDArray[np.int64]


@dataclass(frozen=True)
class RankRows:
    """n rows of f numbers, `values` (n, f) as `schema` encodes them, not standardised; NaN is a missing one.

    `label` 0 or 1, `weight` how many rows of the population one stands for, all (n,). Rows are in order of time where
    `by_time` is true. `lists` is None for rows that are not candidates of anything; `group` (n,) numbers whose rows
    they are (-1: nobody's). `frame` holds what the values were made from, where that was a table: another model may
    encode its texts otherwise.
    """

    schema: Schema
    values: NDArray[np.float32]
    label: NDArray[np.float32]
    weight: NDArray[np.float32]
    by_time: bool = True
    lists: Lists | None = None
    group: NDArray[np.int64] | None = None
    frame: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def names(self) -> tuple[str, ...]:
        return self.schema.names

    def seen_by(self, schema: Schema) -> NDArray[np.float32]:
        """(n, its columns) as that schema encodes them; a column that these rows do not have takes its default."""
        if schema == self.schema:
            return self.values
        if self.frame is not None:
            return schema.encode_frame(self.frame)
        place = {name: at for at, name in enumerate(self.names)}
        result = np.empty((len(self), len(schema.names)), dtype=np.float32)
        for at, name in enumerate(schema.names):
            result[:, at] = self.values[:, place[name]] if name in place else schema.defaults[at]
        return result

    def take(self, where: slice | NDArray[np.bool_] | NDArray[np.int64]) -> RankRows:
        """The rows at `where`, without their lists, groups and table."""
        return RankRows(self.schema, self.values[where], self.label[where], self.weight[where], self.by_time)

    def golden(self, n: int = 8) -> list[dict[str, Any]]:
        """n rows spread over all, as named values; what is missing is null only where it may stay so."""
        places = np.unique(np.linspace(0, len(self) - 1, n if len(self) else 0).astype(np.int64)).tolist()
        if self.frame is None:
            return [dict(zip(self.names, map(float, self.values[at]), strict=True)) for at in places]
        rows = self.frame.select(self.names)[places].rows(named=True)
        defaults = {column.name: column.default for column in self.schema.columns if column.categories is None}
        return [{name: _told(value, defaults.get(name)) for name, value in row.items()} for row in rows]


def _told(value: Any, default: float | None) -> Any:
    if value is None or (isinstance(value, float) and not isfinite(np.float32(value))):
        return default
    return value
