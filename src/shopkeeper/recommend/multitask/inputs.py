"""How a net reads rows of a schema: which columns are numbers, which are codes, and how a number is spread out.

A number comes standardised, and as the share of each span between two of its quantiles that lies below it (piecewise
linear encoding: Gorishniy, Rubachev, Babenko, NeurIPS 2022), so that long tails need no thought and a layer can bend
at every quantile. What is missing has a place of its own. All of it is fitted on the rows to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Column, Schema

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
_SAMPLE = 200_000


@dataclass(frozen=True)
class Inputs:
    """Of f columns m are numbers and c are codes; the numbers have b spans together.

    `numeric` (m,) and `codes` (c,) are places in a row, `sizes` (c,) how many codes there are; `mean` and `scale` (m,);
    of each span (b,) the number that it belongs to, where it begins and how wide it is.
    """

    numeric: Places
    mean: Floats
    scale: Floats
    owner: Places
    low: Floats
    span: Floats
    codes: Places
    sizes: Places

    def width(self, embedding: int) -> int:
        """Numbers that a net gets of each row: value and gap, spans, a vector for each code."""
        return 2 * len(self.numeric) + len(self.owner) + embedding * len(self.codes)


def fit_inputs(schema: Schema, values: Floats, spans: int) -> Inputs:
    """By the rows to learn from, `values` (n, f) as `schema` standardises them; at most `spans` for each number."""
    codes = np.array(schema.categorical, dtype=np.int64)
    numeric = np.array([at for at in range(len(schema.columns)) if at not in set(schema.categorical)], dtype=np.int64)
    seen = values[:: max(1, len(values) // _SAMPLE)]
    mean, scale = np.zeros(len(numeric), dtype=np.float32), np.ones(len(numeric), dtype=np.float32)
    owner, low, span = list[int](), list[float](), list[float]()
    for place, at in enumerate(numeric.tolist()):
        known = seen[np.isfinite(seen[:, at]), at].astype(np.float64)
        if not len(known):
            continue
        mean[place], spread = known.mean(), float(known.std())
        scale[place] = spread if spread > 0 else 1.0
        edges = np.unique(np.quantile(known, np.linspace(0, 1, spans + 1)).astype(np.float32))
        owner += [place] * (len(edges) - 1)
        low += edges[:-1].tolist()
        span += np.diff(edges).tolist()
    return Inputs(
        numeric=numeric,
        mean=mean,
        scale=scale,
        owner=np.array(owner, dtype=np.int64),
        low=np.array(low, dtype=np.float32),
        span=np.array(span, dtype=np.float32),
        codes=codes,
        sizes=np.array([_size(schema.columns[at]) for at in codes], dtype=np.int64),
    )


def _size(column: Column) -> int:
    return max([*(column.categories or {}).values(), column.other, column.missing]) + 1
