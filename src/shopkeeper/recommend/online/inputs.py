"""What `ftrl` reads of a row: numbers as they are and by the part of their range, texts by their code.

A linear model cannot bend: a weight for each part of a number's range lets it. Parts are cut at quantiles of the rows
that were learned from first, so they are part of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.online.ftrl import Active
from shopkeeper.recommend.ranking.deepfm_inputs import Inputs

_MOST_LOOKED_AT = 50_000


@dataclass(frozen=True)
class LinearInputs:
    """`edges` float32 (numbers, parts - 1): rising in each row, +inf where a number has fewer parts."""

    schema: Schema
    edges: NDArray[np.float32]

    @classmethod
    def of(cls, schema: Schema, values: NDArray[np.float32], parts: int) -> LinearInputs:
        """Cut by `values` (n, f), not standardised; `parts` 1: ranges are not looked at."""
        inputs = Inputs.of(schema)
        edges = np.full((len(inputs.numbers), parts - 1), np.inf, dtype=np.float32)
        some = values[:: max(1, len(values) // _MOST_LOOKED_AT)]
        for place, at in enumerate(inputs.numbers):
            known = some[np.isfinite(some[:, at]), at]
            if len(known) and parts > 1:
                cuts = np.unique(np.quantile(known, np.arange(1, parts) / parts).astype(np.float32))
                edges[place, : len(cuts)] = cuts
        return cls(schema, edges)

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs.of(self.schema)

    @property
    def _parts(self) -> int:
        """Weights of a number: its ranges, and one for a number that is missing; none where there is one range."""
        return self.edges.shape[1] + 2 if self.edges.shape[1] else 0

    @property
    def width(self) -> int:
        """Weights in all."""
        return self._inputs.width + self._inputs.rows + len(self._inputs.numbers) * self._parts + 1

    def read(self, values: NDArray[np.float32]) -> Active:
        """Rows (n, f) in the order of the schema, not standardised."""
        codes, numbers = self._inputs.read(self.schema.standardise(values))
        if not self._parts:
            return Active(numbers, codes)
        parts = np.empty((len(values), len(self._inputs.numbers)), dtype=np.int32)
        for place, at in enumerate(self._inputs.numbers):
            column = values[:, at]
            part = np.searchsorted(self.edges[place], column, side="right")
            parts[:, place] = np.where(np.isnan(column), self._parts - 1, part)
        parts += np.int32(self._inputs.rows) + self._parts * np.arange(parts.shape[1], dtype=np.int32)
        return Active(numbers, np.hstack([codes, parts]))

    def parts(self, rows: Active, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, f): what each column adds to the log-odds of its row; with the last weight they add up to it."""
        inputs, width = self._inputs, self._inputs.width
        added = np.zeros((len(rows), len(self.schema.names)))
        each = rows.numbers * weights[:width]
        for place, at in enumerate((*inputs.numbers, *inputs.gaps)):
            added[:, at] += each[:, place]
        columns = (*inputs.codes, *(inputs.numbers if self._parts else ()))
        for place, at in enumerate(columns):
            added[:, at] += weights[width + rows.places[:, place]]
        return added
